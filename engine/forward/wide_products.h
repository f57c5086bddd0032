#pragma once

#include <optional>
#include <string_view>

#include "engine/forward/kernels.h"
#include "vk/device.h"

namespace preflight::forward {

/// How matmul_coopmat.comp divides its work on a device.
struct CoopmatTile {
  vk::CoopmatShape fragment;
  std::uint32_t rows = 0, columns = 0;  ///< of weights and activations in a workgroup's tile
  std::uint32_t subgroup_rows = 0, subgroup_columns = 0;
  std::uint32_t subgroup_size = 0;
};

/// None where the device has no cooperative matrices of a shape that a tile can be made of, or this
/// build has no kernels for them.
[[nodiscard]] std::optional<CoopmatTile> coopmat_tile(const vk::DeviceDescription& device,
                                                      const Tuning& tuning);

/// Whether this build has kernels for cooperative matrices.
[[nodiscard]] bool has_coopmat_kernels();

/// Whether prefill has a family of its own: tiles, on matrix units in tier coopmat.
[[nodiscard]] bool has_wide_products(const Kernels& kernels);

/// That family. `op` is "matmul" or "gate_up", `epilogue` one of params::kEpilogue*.
[[nodiscard]] Result<ProductFamily> wide_products(Kernels& kernels, std::string_view op,
                                                  const WeightShape& shape,
                                                  std::uint32_t n_bindings, std::uint32_t epilogue);

}  // namespace preflight::forward
