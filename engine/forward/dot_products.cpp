#include "engine/forward/dot_products.h"

#include <array>

#include <fmt/format.h>

#include "shaders/params/matmul.h"
#include "shaders/params/quantise.h"
#include "shaders/params/step.h"

namespace preflight::forward {
namespace {

// A tile of 128 weight rows and 64 columns: 256 lanes with 32 sums each, 10.5 KiB shared.
constexpr std::uint32_t kRowLanes = 16, kColumnLanes = 16;
constexpr std::uint32_t kTileRows = kRowLanes * params::kTiledRowsPerLane;
constexpr std::uint32_t kTileColumns = kColumnLanes * params::kTiledColumnsPerLane;
constexpr std::uint32_t kSharedBytes = (kTileRows + kTileColumns) * (3 * 16 + 8);
constexpr std::uint32_t kQuantiseLanes = 64;

}  // namespace

bool can_run_dot(const vk::DeviceDescription& device) {
  return device.int_dot && device.max_workgroup_invocations >= kRowLanes * kColumnLanes &&
         device.max_shared_bytes >= kSharedBytes;
}

bool has_f16_inputs(vk::Tier tier, const vk::DeviceDescription& device) {
  if (tier == vk::Tier::kDot) return device.storage_16bit && device.shader_f16;
  return tier >= vk::Tier::kF16;
}

bool has_dot_products(const Kernels& kernels, KernelType type) {
  if (!kernels.options().dot) return false;
  switch (type) {
    case KernelType::kQ8_0:
    case KernelType::kQ4_0:
    case KernelType::kQ4_K:
    case KernelType::kQ6_K:
      return true;
    case KernelType::kF32:
    case KernelType::kF16:
    case KernelType::kBF16:
    case KernelType::kAffine8:
      return false;
  }
  PREFLIGHT_ASSERT(false);
}

Result<ProductFamily> dot_products(Kernels& kernels, std::string_view op, const WeightShape& shape,
                                   std::uint32_t n_bindings, std::uint32_t epilogue) {
  const bool gated = op == "gate_up";  // whose outputs need two weight rows, and have a format
  PREFLIGHT_TRY(const vk::Pipeline* pipeline,
                kernels.pipeline(fmt::format("{}_dot_{}{}", op, shader_name(shape.type),
                                             gated ? kernels.act_suffix() : ""),
                                 n_bindings + 1, sizeof(params::MatmulParams),
                                 {shape.lanes, epilogue, kRowLanes, kColumnLanes}));
  return ProductFamily{.variants = {{pipeline, kTileColumns, gated ? kTileRows / 2 : kTileRows}},
                       .reads_codes = true};
}

Result<QuantiseOp> QuantiseOp::create(Kernels& kernels, const vk::Slice& x, std::uint32_t x_stride,
                                      const QuantisedInput& to,
                                      std::span<const ProductOp* const> readers) {
  QuantiseOp made;
  for (const ProductOp* reader : readers) {
    made.in_prefill_ |= reader->prefill.reads_codes;
    made.in_generation_ |= reader->generate.reads_codes;
  }
  if (!made.in_prefill_ && !made.in_generation_) return made;
  PREFLIGHT_TRY(const vk::Pipeline* pipeline,
                kernels.pipeline("quantise" + kernels.act_suffix(), params::kQuantiseBindings,
                                 sizeof(params::QuantiseParams), {kQuantiseLanes}));
  const std::array<vk::Slice, params::kQuantiseBindings> slices = {x, to.codes, to.scales};
  PREFLIGHT_TRY(const vk::BindingSet* bindings, kernels.bind(*pipeline, slices));
  const std::uint32_t n_blocks = x_stride / params::kWeightBlock;
  made.op_ = RowOp::of(pipeline, bindings, params::QuantiseParams{.n_blocks = n_blocks},
                       (n_blocks + kQuantiseLanes - 1) / kQuantiseLanes);
  return made;
}

void QuantiseOp::record(vk::CommandList& list, std::uint32_t n_rows, Phase phase) const {
  if (!(phase == Phase::kPrefill ? in_prefill_ : in_generation_)) return;
  op_.record(list, n_rows);
  list.barrier();
}

}  // namespace preflight::forward
