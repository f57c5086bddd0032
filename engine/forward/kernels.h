#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/forward/step.h"
#include "engine/forward/tuning.h"
#include "engine/forward/weight_layout.h"
#include "vk/commands.h"
#include "vk/device.h"
#include "vk/error.h"
#include "vk/pipeline.h"

namespace preflight::forward {

/// What decides which shader variants a model runs on.
struct KernelOptions {
  Tuning tuning;
  bool act16 = false;    ///< product inputs in float16 (tier f16)
  bool kv16 = true;      ///< KV pages in float16
  bool dot = false;      ///< products by integer dot products (tier dot); needs can_run_dot()
  bool coopmat = false;  ///< prefill on matrix units (tier coopmat); needs act16 and coopmat_tile()
};

/// All pipelines and binding sets of a loaded model. Everything is made at load and written once.
class Kernels {
 public:
  using PipelineMap =
      std::map<std::pair<std::string, std::vector<std::uint32_t>>, std::unique_ptr<vk::Pipeline>>;

  [[nodiscard]] static Result<Kernels> create(vk::Device& device, const KernelOptions& options);

  [[nodiscard]] const KernelOptions& options() const { return options_; }
  [[nodiscard]] const vk::DeviceDescription& device() const { return device_->description(); }
  /// The pipeline of a shader variant with these specialization constants; made on first use.
  /// `subgroup_size` and `binding_kinds` as in PipelineOptions: the same for every use of a variant
  /// and its constants.
  [[nodiscard]] Result<const vk::Pipeline*> pipeline(
      const std::string& shader, std::uint32_t n_bindings, std::uint32_t push_bytes,
      std::vector<std::uint32_t> constants, std::uint32_t subgroup_size = 0,
      std::vector<vk::BindingKind> binding_kinds = {});
  /// Every pipeline made so far, by shader variant and constants.
  [[nodiscard]] const PipelineMap& pipelines() const { return pipelines_; }
  [[nodiscard]] Result<const vk::BindingSet*> bind(const vk::Pipeline& pipeline,
                                                   std::span<const vk::Slice> slices);
  /// "_act16" in the tier that rounds product inputs, else nothing.
  [[nodiscard]] std::string act_suffix() const { return options_.act16 ? "_act16" : ""; }
  [[nodiscard]] std::string kv_suffix() const { return options_.kv16 ? "_kv16" : ""; }
  /// Teams that share a weight row's blocks in products of Phase::kGenerate; 1: none does.
  [[nodiscard]] std::uint32_t narrow_teams() const;
  /// How the lanes of a product with that many rows to a weight group get their activations.
  [[nodiscard]] ActivationLoads activation_loads(std::uint32_t weight_lanes) const;
  /// How planes are read here: what the tuning asks for, or what comes next to it.
  [[nodiscard]] PlaneLoads plane_loads() const;
  /// How weights must lie for that.
  [[nodiscard]] Interleave interleave() const;
  /// Bytes of one value of a product's input.
  [[nodiscard]] std::uint32_t act_bytes() const { return options_.act16 ? 2 : 4; }

 private:
  Kernels(vk::Device& device, const KernelOptions& options, vk::BindingPool pool)
      : device_(&device), options_(options), pool_(std::move(pool)) {}

  vk::Device* device_;
  KernelOptions options_;
  vk::BindingPool pool_;
  PipelineMap pipelines_;
};

/// One dispatch per row of the step, all else fixed at load.
struct RowOp {
  const vk::Pipeline* pipeline = nullptr;
  const vk::BindingSet* bindings = nullptr;
  std::array<std::byte, 64> push{};
  std::uint32_t push_size = 0;
  std::uint32_t grid_y = 1;

  template <class Params>
  [[nodiscard]] static RowOp of(const vk::Pipeline* pipeline, const vk::BindingSet* bindings,
                                const Params& params, std::uint32_t grid_y = 1) {
    static_assert(sizeof(Params) <= sizeof(push));
    RowOp op{.pipeline = pipeline,
             .bindings = bindings,
             .push = {},
             .push_size = sizeof(Params),
             .grid_y = grid_y};
    const auto bytes = vk::push_bytes(params);
    std::copy(bytes.begin(), bytes.end(), op.push.begin());
    return op;
  }
  void record(vk::CommandList& list, std::uint32_t n_rows) const {
    list.dispatch(*pipeline, *bindings, std::span(push).first(push_size), n_rows, grid_y);
  }
};

/// Pipelines of one product that add in the same order, for different numbers of activation rows.
struct ProductFamily {
  struct Variant {
    const vk::Pipeline* pipeline;
    std::uint32_t columns;             ///< activation rows that one workgroup serves
    std::uint32_t rows_per_workgroup;  ///< output rows
  };
  std::vector<Variant> variants;  ///< columns ascending
  bool reads_codes = false;       ///< the input is what QuantiseOp leaves; binds its scales too

  /// The narrowest that serves all columns at once, else the widest.
  [[nodiscard]] const Variant& of(std::uint32_t n_columns) const;
};

/// Where a product's input lies rounded to 8 bit in blocks (shaders/quantise.comp).
struct QuantisedInput {
  vk::Slice codes, scales;
};

/// A matrix product over all rows of the step: one dispatch per part of the matrix.
struct ProductOp {
  struct Part {
    const vk::BindingSet *prefill, *generate;
    std::uint32_t first_row, n_rows;
  };
  ProductFamily prefill, generate;
  std::vector<Part> parts;
  std::uint32_t n_blocks = 0, x_stride_vec4 = 0, y_stride = 0, y_offset = 0;
  bool gather = false;
  float soft_cap = 0;

  [[nodiscard]] const ProductFamily& family(Phase phase) const {
    return phase == Phase::kPrefill ? prefill : generate;
  }
  void record(vk::CommandList& list, std::uint32_t n_columns, Phase phase) const;
};

struct ProductOptions {
  vk::Slice x, y;
  std::uint32_t x_stride = 0;              ///< values; a multiple of 32
  std::uint32_t y_stride = 0;              ///< values
  std::uint32_t y_offset = 0;              ///< values
  const vk::Slice* gather_rows = nullptr;  ///< activation row of each column; null: in order
  const vk::Slice* bias = nullptr;
  float soft_cap = 0;  ///< 0: none
  /// Where a QuantiseOp rounds x; null: nowhere, and no product reads it so.
  const QuantisedInput* quantised = nullptr;
};

[[nodiscard]] Result<ProductOp> make_product(Kernels& kernels, const WeightMatrix& weights,
                                             const ProductOptions& options);
/// gelu(gate x) * (up x) into a product input; both matrices have one type, shape and division.
/// `quantised` as in ProductOptions.
[[nodiscard]] Result<ProductOp> make_gate_up(Kernels& kernels, const WeightMatrix& gate,
                                             const WeightMatrix& up, const vk::Slice& x,
                                             std::uint32_t x_stride, const vk::Slice& y,
                                             std::uint32_t y_stride,
                                             const QuantisedInput* quantised = nullptr);

/// Row lengths of product inputs are padded to whole weight blocks.
[[nodiscard]] constexpr std::uint32_t padded(std::uint32_t values) {
  return (values + 31) / 32 * 32;
}

}  // namespace preflight::forward
