#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "engine/forward/kernels.h"
#include "engine/forward/step.h"
#include "engine/forward/weight_layout.h"
#include "vk/buffer.h"
#include "vk/commands.h"
#include "vk/device.h"
#include "vk/error.h"

namespace preflight::forward {

/// Whether the kernels of tier dot run on a device, fast or not.
[[nodiscard]] bool can_run_dot(const vk::DeviceDescription& device);

/// Whether product inputs are float16 in a tier. Tier dot is there for devices without float16,
/// too: they keep float32 inputs beside the codes.
[[nodiscard]] bool has_f16_inputs(vk::Tier tier, const vk::DeviceDescription& device);

/// Whether weights of this type are multiplied by integer dot products: in tier dot those whose
/// kernels hold codes and scales, in prefill and, where a row's blocks are shared out among teams,
/// in generation. The others keep the families that they have without.
[[nodiscard]] bool has_dot_products(const Kernels& kernels, KernelType type);

/// That family of prefill (matmul_dot.comp). `op` is "matmul" or "gate_up", `epilogue` one of
/// params::kEpilogue*; it binds what the other families bind and one buffer more, the scales of its
/// input.
[[nodiscard]] Result<ProductFamily> dot_products(Kernels& kernels, std::string_view op,
                                                 const WeightShape& shape, std::uint32_t n_bindings,
                                                 std::uint32_t epilogue);

/// Rounds the rows of a product's input to 8 bit in blocks (quantise.comp), in the phases in which
/// one of its readers wants them so.
class QuantiseOp {
 public:
  /// `x` rows of `x_stride` values, a multiple of 32.
  [[nodiscard]] static Result<QuantiseOp> create(Kernels& kernels, const vk::Slice& x,
                                                 std::uint32_t x_stride, const QuantisedInput& to,
                                                 std::span<const ProductOp* const> readers);
  /// With the barrier that its readers wait for. What read `to` before must be behind a barrier.
  void record(vk::CommandList& list, std::uint32_t n_rows, Phase phase) const;

 private:
  RowOp op_;
  bool in_prefill_ = false, in_generation_ = false;
};

}  // namespace preflight::forward
