#include "engine/forward/kernels.h"

#include <algorithm>

#include <fmt/format.h>

#include "engine/forward/dot_products.h"
#include "engine/forward/wide_products.h"
#include "shaders/embedded.h"
#include "shaders/params/matmul.h"
#include "shaders/params/matvec.h"
#include "shaders/params/step.h"

namespace preflight::forward {
namespace {

constexpr std::array<std::uint32_t, 4> kColumns = {1, 2, 4, 8};
constexpr std::array<std::uint32_t, 5> kNarrowColumns = {1, 2, 4, 8, 16};
constexpr std::uint64_t kManyRows = 8192;

/// The names and sizes by which the families of one kind of product differ.
struct ProductKind {
  const char* op;
  const char* team_op;
  std::uint32_t n_bindings;
  std::uint32_t rows_per_lane;
  std::uint32_t most_team_rows_per_lane;
  bool is_gated;  ///< outputs are a product's input and have its format
};
constexpr ProductKind kMatmul = {
    "matmul", "matvec", params::kMatmulBindings, params::kMatmulRowsPerLane, 2, false};
constexpr ProductKind kGateUp = {
    "gate_up", "gate_up_vec", params::kGateUpBindings, params::kGateUpRowsPerLane, 1, true};

/// One lane to a weight row, or to a few: matmul.comp and gate_up.comp.
Result<ProductFamily> lane_per_row(Kernels& kernels, const ProductKind& kind,
                                   const WeightShape& shape, std::uint32_t epilogue) {
  const ActivationLoads loads = kernels.activation_loads(shape.lanes);
  const std::vector<std::uint32_t> constants = {shape.lanes, epilogue,
                                                loads == ActivationLoads::kBroadcast ? 1u : 0u};
  const PlaneLoads planes = kernels.plane_loads();
  // The planes of one matrix or two, then the activations (shaders/params/matmul.h).
  std::string suffix = kernels.act_suffix();
  std::vector<vk::BindingKind> kinds;
  switch (planes) {
    case PlaneLoads::kStorage:
      break;
    case PlaneLoads::kTexels:
    case PlaneLoads::kTexelsWithAttention:
      for (std::uint32_t matrix = 0; matrix < (kind.is_gated ? 2 : 1); matrix++)
        kinds.insert(kinds.end(), {vk::BindingKind::kTexels4, vk::BindingKind::kTexels1,
                                   vk::BindingKind::kTexels2});
      kinds.push_back(vk::BindingKind::kTexels4);
      suffix += "_texels";
      break;
    case PlaneLoads::kAddresses:
      kinds.assign(1 + (kind.is_gated ? params::kGateUpBindX : params::kMatmulBindX),
                   vk::BindingKind::kAddress);
      suffix += "_addresses";
      break;
  }
  if (loads == ActivationLoads::kShuffle) suffix += "_shuffle";
  ProductFamily family;
  for (const std::uint32_t columns : kColumns) {
    if (columns > kernels.options().tuning.narrow_columns) break;
    PREFLIGHT_TRY(
        const vk::Pipeline* pipeline,
        kernels.pipeline(
            fmt::format("{}_{}_c{}{}", kind.op, shader_name(shape.type), columns, suffix),
            kind.n_bindings, sizeof(params::MatmulParams), constants, /*subgroup_size=*/0, kinds));
    family.variants.push_back({pipeline, columns, shape.lanes * kind.rows_per_lane});
  }
  return family;
}

/// Teams of invocations to a weight row: matvec.comp and gate_up_vec.comp. The variants differ in
/// nothing that changes the order of a sum.
Result<ProductFamily> teams_per_row(Kernels& kernels, const ProductKind& kind,
                                    const WeightShape& shape, std::uint32_t epilogue,
                                    bool reads_codes) {
  const Tuning& tuning = kernels.options().tuning;
  // Teams are whole subgroups. Where the layout's groups are wider than any, a team has several.
  const std::uint32_t subgroup = std::min(shape.lanes, kernels.device().max_subgroup_size);
  // A column's activations of one piece are 64 bytes: short enough to stay where a card keeps what
  // its lanes share, while the next piece is decoded.
  const std::uint32_t piece = std::min(tuning.narrow_piece, kernels.options().act16 ? 8u : 4u);
  const std::string shader =
      reads_codes
          ? fmt::format("{}_dot_{}{}", kind.team_op, shader_name(shape.type),
                        kind.is_gated ? kernels.act_suffix() : "")
          : fmt::format("{}_{}{}", kind.team_op, shader_name(shape.type), kernels.act_suffix());
  ProductFamily family{.variants = {}, .reads_codes = reads_codes};
  for (const std::uint32_t columns : kNarrowColumns) {
    if (columns > tuning.narrow_columns) break;
    // Several columns load as much of the activations as of weights. A second weight row halves
    // that, and a matrix of many rows fills a card with half as many workgroups. With 16 columns
    // its 32 sums leave no register on the smallest of the cards.
    const bool several = columns >= 4 && columns <= 8;
    const std::uint32_t rows_per_lane =
        several && shape.rows >= kManyRows ? kind.most_team_rows_per_lane : 1;
    PREFLIGHT_TRY(const vk::Pipeline* pipeline,
                  kernels.pipeline(shader, kind.n_bindings + (reads_codes ? 1 : 0),
                                   sizeof(params::MatmulParams),
                                   {shape.lanes * kernels.narrow_teams(), shape.lanes,
                                    rows_per_lane, columns, piece, epilogue},
                                   subgroup));
    family.variants.push_back({pipeline, columns, shape.lanes * rows_per_lane});
  }
  return family;
}

/// The families of both phases. Where a device has none of its own for a phase, a lane has a row.
/// With `has_codes` the input lies there as codes, too, for families that read such.
Result<void> add_families(ProductOp& op, Kernels& kernels, const ProductKind& kind,
                          const WeightShape& shape, std::uint32_t epilogue, bool has_codes) {
  PREFLIGHT_ASSERT(shape.unit == kernels.interleave().unit);
  const bool dot = has_codes && has_dot_products(kernels, shape.type);
  const bool tiles = has_wide_products(kernels);
  const bool teams = kernels.narrow_teams() > 1;
  ProductFamily lanes;
  if ((!tiles && !dot) || !teams) {
    PREFLIGHT_TRY(lanes, lane_per_row(kernels, kind, shape, epilogue));
  }
  op.prefill = op.generate = lanes;
  if (dot) {
    PREFLIGHT_TRY(op.prefill, dot_products(kernels, kind.op, shape, kind.n_bindings, epilogue));
  } else if (tiles) {
    PREFLIGHT_TRY(op.prefill, wide_products(kernels, kind.op, shape, kind.n_bindings, epilogue));
  }
  if (teams) {
    PREFLIGHT_TRY(op.generate, teams_per_row(kernels, kind, shape, epilogue, dot));
  }
  return {};
}

/// The binding sets of a part for both phases. `slices` are what every family binds, `x` is where
/// the product's input stands among them.
template <std::size_t n>
Result<ProductOp::Part> bind_part(Kernels& kernels, const ProductOp& op,
                                  const std::array<vk::Slice, n>& slices, std::size_t x,
                                  const QuantisedInput* quantised, const WeightPart& part) {
  const auto bind = [&](const ProductFamily& family) -> Result<const vk::BindingSet*> {
    const vk::Pipeline& any = *family.variants.front().pipeline;  // all have the same bindings
    if (!family.reads_codes) return kernels.bind(any, slices);
    std::array<vk::Slice, n + 1> with_scales;
    std::ranges::copy(slices, with_scales.begin());
    with_scales[x] = quantised->codes;
    with_scales[n] = quantised->scales;
    return kernels.bind(any, with_scales);
  };
  PREFLIGHT_TRY(const vk::BindingSet* generate, bind(op.generate));
  const vk::BindingSet* prefill = generate;
  if (op.prefill.variants.front().pipeline->set_layout() != generate->layout()) {
    PREFLIGHT_TRY(prefill, bind(op.prefill));
  }
  return ProductOp::Part{
      .prefill = prefill, .generate = generate, .first_row = part.first_row, .n_rows = part.n_rows};
}

}  // namespace

Result<Kernels> Kernels::create(vk::Device& device, const KernelOptions& options) {
  PREFLIGHT_TRY(vk::BindingPool pool, vk::BindingPool::create(device));
  return Kernels(device, options, std::move(pool));
}

std::uint32_t Kernels::narrow_teams() const {
  const Tuning& tuning = options_.tuning;
  if (tuning.weight_lanes < device().min_subgroup_size) return 1;  // a team is whole subgroups
  return std::max(1u, tuning.narrow_threads / tuning.weight_lanes);
}

ActivationLoads Kernels::activation_loads(std::uint32_t weight_lanes) const {
  constexpr std::uint32_t kQuads = params::kWeightBlock / 4;  // one a lane; of two columns, or one
  if (plane_loads() == PlaneLoads::kAddresses || device().subgroup_size != weight_lanes ||
      (weight_lanes != kQuads && weight_lanes != 2 * kQuads))
    return ActivationLoads::kEach;
  const auto wanted = static_cast<ActivationLoads>(options_.tuning.activation_loads);
  if (wanted == ActivationLoads::kShuffle && plane_loads() == PlaneLoads::kStorage)
    return ActivationLoads::kEach;
  return wanted;
}

PlaneLoads Kernels::plane_loads() const {
  const Tuning& tuning = options_.tuning;
  const vk::DeviceDescription& d = device();
  if (tuning.plane_loads == 0) return PlaneLoads::kStorage;
  auto loads = static_cast<PlaneLoads>(tuning.plane_loads);
  // By address all products of a model go lane by lane, and a subgroup's lanes are a vector of
  // words.
  const bool vectors = d.subgroup_size == tuning.weight_lanes &&
                       d.min_subgroup_size == d.max_subgroup_size &&
                       (d.subgroup_size == 8 || d.subgroup_size == 16);
  if (loads == PlaneLoads::kAddresses &&
      (!d.buffer_addresses || !vectors || options_.act16 || options_.dot || narrow_teams() > 1 ||
       has_wide_products(*this)))
    loads = PlaneLoads::kTexels;
  // A plane is as large as a storage buffer's binding may be, and some are of words. Mesa's byte
  // offsets of texels are signed: so large ranges are not for it either.
  const std::uint64_t most_bytes = d.max_storage_buffer_range;
  const bool texels = loads == PlaneLoads::kTexels || loads == PlaneLoads::kTexelsWithAttention;
  if (texels && (options_.act16 || most_bytes > INT32_MAX ||
                 d.max_texels < most_bytes / sizeof(std::uint32_t)))
    return PlaneLoads::kStorage;
  return loads;
}

Interleave Kernels::interleave() const {
  return {.lanes = options_.tuning.weight_lanes,
          .unit = plane_loads() == PlaneLoads::kAddresses ? InterleaveUnit::kWord
                                                          : InterleaveUnit::kQuad};
}

Result<const vk::Pipeline*> Kernels::pipeline(const std::string& shader, std::uint32_t n_bindings,
                                              std::uint32_t push_bytes,
                                              std::vector<std::uint32_t> constants,
                                              std::uint32_t subgroup_size,
                                              std::vector<vk::BindingKind> binding_kinds) {
  auto& slot = pipelines_[{shader, constants}];
  if (slot == nullptr) {
    const auto spirv = shaders::spirv(shader);
    if (spirv.empty())
      return fail(ErrorCode::kInternal,
                  fmt::format("no shader variant \"{}\" in this build", shader));
    PREFLIGHT_TRY(vk::Pipeline made,
                  vk::Pipeline::create(*device_, {.spirv = spirv,
                                                  .n_bindings = n_bindings,
                                                  .binding_kinds = std::move(binding_kinds),
                                                  .push_bytes = push_bytes,
                                                  .constants = std::move(constants),
                                                  .required_subgroup_size = subgroup_size,
                                                  .label = shader}));
    slot = std::make_unique<vk::Pipeline>(std::move(made));
  }
  return slot.get();
}

Result<const vk::BindingSet*> Kernels::bind(const vk::Pipeline& pipeline,
                                            std::span<const vk::Slice> slices) {
  return pool_.add(pipeline, slices);
}

const ProductFamily::Variant& ProductFamily::of(std::uint32_t n_columns) const {
  const auto found = std::ranges::find_if(
      variants, [&](const Variant& variant) { return variant.columns >= n_columns; });
  return found != variants.end() ? *found : variants.back();
}

void ProductOp::record(vk::CommandList& list, std::uint32_t n_columns, Phase phase) const {
  const ProductFamily::Variant& variant = family(phase).of(n_columns);
  for (const Part& part : parts) {
    const params::MatmulParams push{.n_columns = n_columns,
                                    .n_blocks = n_blocks,
                                    .n_rows = part.n_rows,
                                    .x_stride_vec4 = x_stride_vec4,
                                    .y_stride = y_stride,
                                    .y_offset = y_offset + part.first_row,
                                    .gather = gather ? 1u : 0u,
                                    .soft_cap = soft_cap};
    const std::uint32_t x =
        (part.n_rows + variant.rows_per_workgroup - 1) / variant.rows_per_workgroup;
    const std::uint32_t y = (n_columns + variant.columns - 1) / variant.columns;
    list.dispatch(*variant.pipeline, phase == Phase::kPrefill ? *part.prefill : *part.generate,
                  vk::push_bytes(push), x, y);
  }
}

Result<ProductOp> make_product(Kernels& kernels, const WeightMatrix& weights,
                               const ProductOptions& options) {
  const WeightShape& shape = weights.shape;
  PREFLIGHT_ASSERT(options.x_stride == padded(static_cast<std::uint32_t>(shape.cols)));
  const std::uint32_t epilogue = options.bias != nullptr ? params::kEpilogueBias
                                 : options.soft_cap != 0 ? params::kEpilogueSoftCap
                                                         : params::kEpilogueNone;
  ProductOp op;
  PREFLIGHT_TRY_VOID(
      add_families(op, kernels, kMatmul, shape, epilogue, options.quantised != nullptr));
  op.n_blocks = shape.n_blocks;
  op.x_stride_vec4 = options.x_stride / 4;
  op.y_stride = options.y_stride;
  op.y_offset = options.y_offset;
  op.gather = options.gather_rows != nullptr;
  op.soft_cap = options.soft_cap;
  for (const WeightPart& part : weights.parts) {
    // A part's bias begins at its first row; parts of a matrix with a bias are never cut so small
    // that this start would be unaligned, because only the vision embedder has one.
    if (options.bias != nullptr && weights.parts.size() > 1)
      return fail(ErrorCode::kUnsupported,
                  "the vision embedder's matrix does not fit one binding of this device");
    const std::array<vk::Slice, params::kMatmulBindings> slices = {
        part.quants,
        part.scales,
        part.high,
        options.x,
        options.y,
        options.gather_rows != nullptr ? *options.gather_rows : part.quants,
        options.bias != nullptr ? *options.bias : part.quants};
    PREFLIGHT_TRY(const ProductOp::Part bound,
                  bind_part(kernels, op, slices, params::kMatmulBindX, options.quantised, part));
    op.parts.push_back(bound);
  }
  return op;
}

Result<ProductOp> make_gate_up(Kernels& kernels, const WeightMatrix& gate, const WeightMatrix& up,
                               const vk::Slice& x, std::uint32_t x_stride, const vk::Slice& y,
                               std::uint32_t y_stride, const QuantisedInput* quantised) {
  const WeightShape& shape = gate.shape;
  PREFLIGHT_ASSERT(shape.type == up.shape.type && shape.unit == up.shape.unit &&
                   gate.parts.size() == up.parts.size());
  PREFLIGHT_ASSERT(x_stride == padded(static_cast<std::uint32_t>(shape.cols)));
  ProductOp op;
  PREFLIGHT_TRY_VOID(
      add_families(op, kernels, kGateUp, shape, params::kEpilogueNone, quantised != nullptr));
  op.n_blocks = shape.n_blocks;
  op.x_stride_vec4 = x_stride / 4;
  op.y_stride = y_stride;
  for (std::size_t i = 0; i < gate.parts.size(); i++) {
    const WeightPart& g = gate.parts[i];
    const WeightPart& u = up.parts[i];
    const std::array<vk::Slice, params::kGateUpBindings> slices = {
        g.quants, g.scales, g.high, u.quants, u.scales, u.high, x, y};
    PREFLIGHT_TRY(const ProductOp::Part bound,
                  bind_part(kernels, op, slices, params::kGateUpBindX, quantised, g));
    op.parts.push_back(bound);
  }
  return op;
}

}  // namespace preflight::forward
