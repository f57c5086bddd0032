#include "engine/forward/wide_products.h"

#include <algorithm>

#include <fmt/format.h>

#include "shaders/embedded.h"
#include "shaders/params/matmul.h"
#include "shaders/params/step.h"

namespace preflight::forward {
namespace {

// A tile of 64 x 64: 128 lanes with 32 sums each.
constexpr std::uint32_t kRowLanes = 8, kColumnLanes = 16;
constexpr std::uint32_t kTileRows = kRowLanes * params::kTiledRowsPerLane;
constexpr std::uint32_t kTileColumns = kColumnLanes * params::kTiledColumnsPerLane;
constexpr std::uint32_t kTiledSharedBytes =
    (kTileRows + kTileColumns) * (params::kWeightBlock + 4) * sizeof(float);

/// Output rows of a tile of so many weight rows: a gated output needs two.
std::uint32_t outputs(std::string_view op, std::uint32_t tile_rows) {
  return op == "gate_up" ? tile_rows / 2 : tile_rows;
}

std::uint32_t shared_bytes(const CoopmatTile& tile) {
  return (tile.rows + tile.columns) * (params::kWeightBlock + 8) * 2 +
         tile.subgroup_rows * tile.subgroup_columns * tile.fragment.m * tile.fragment.n *
             std::uint32_t{sizeof(float)};
}

/// Each subgroup has whole fragments, along the rows an even number of them.
bool divides(const CoopmatTile& tile) {
  return tile.rows % (tile.subgroup_rows * tile.fragment.m * 2) == 0 &&
         tile.columns % (tile.subgroup_columns * tile.fragment.n) == 0;
}

Result<ProductFamily> coopmat_products(Kernels& kernels, std::string_view op,
                                       const WeightShape& shape, std::uint32_t n_bindings,
                                       std::uint32_t epilogue) {
  const auto tile = coopmat_tile(kernels.device(), kernels.options().tuning);
  PREFLIGHT_ASSERT(tile && kernels.options().act16);
  const std::uint32_t workgroup =
      tile->subgroup_rows * tile->subgroup_columns * tile->subgroup_size;
  PREFLIGHT_TRY(const vk::Pipeline* pipeline,
                kernels.pipeline(fmt::format("{}_coopmat_{}", op, shader_name(shape.type)),
                                 n_bindings, sizeof(params::MatmulParams),
                                 {shape.lanes, epilogue, workgroup, tile->fragment.m,
                                  tile->fragment.n, tile->fragment.k, tile->rows, tile->columns,
                                  tile->subgroup_rows, tile->subgroup_columns},
                                 tile->subgroup_size));
  return ProductFamily{.variants = {{pipeline, tile->columns, outputs(op, tile->rows)}}};
}

}  // namespace

bool has_coopmat_kernels() { return !shaders::spirv("matmul_coopmat_q4_0").empty(); }

std::optional<CoopmatTile> coopmat_tile(const vk::DeviceDescription& device, const Tuning& tuning) {
  if (device.coopmat.m == 0 || !has_coopmat_kernels()) return std::nullopt;
  CoopmatTile tile{.fragment = device.coopmat,
                   .rows = tuning.coopmat_tile,
                   .columns = tuning.coopmat_tile,
                   .subgroup_size = device.subgroup_size};
  // Intel's compiler feeds its matrix units at the narrowest width alone.
  if (device.vendor_id == 0x8086) tile.subgroup_size = device.min_subgroup_size;
  const std::uint32_t n_subgroups = std::clamp(256 / tile.subgroup_size, 2u, 8u);
  tile.subgroup_rows = 2;
  tile.subgroup_columns = n_subgroups / 2;
  while (tile.rows > 32 && (!divides(tile) || shared_bytes(tile) > device.max_shared_bytes))
    tile.rows = tile.columns = tile.rows / 2;
  if (!divides(tile) || shared_bytes(tile) > device.max_shared_bytes ||
      n_subgroups * tile.subgroup_size > device.max_workgroup_invocations)
    return std::nullopt;
  return tile;
}

bool has_wide_products(const Kernels& kernels) {
  return kernels.options().coopmat || (kernels.options().tuning.prefill_tiles == 2 &&
                                       kernels.device().max_shared_bytes >= kTiledSharedBytes);
}

Result<ProductFamily> wide_products(Kernels& kernels, std::string_view op, const WeightShape& shape,
                                    std::uint32_t n_bindings, std::uint32_t epilogue) {
  if (kernels.options().coopmat) return coopmat_products(kernels, op, shape, n_bindings, epilogue);
  PREFLIGHT_TRY(const vk::Pipeline* pipeline,
                kernels.pipeline(
                    fmt::format("{}_tiled_{}{}", op, shader_name(shape.type), kernels.act_suffix()),
                    n_bindings, sizeof(params::MatmulParams),
                    {shape.lanes, epilogue, kRowLanes, kColumnLanes}));
  return ProductFamily{.variants = {{pipeline, kTileColumns, outputs(op, kTileRows)}}};
}

}  // namespace preflight::forward
