#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/forward/kernels.h"
#include "vk/buffer.h"
#include "vk/device.h"

namespace preflight::forward {

/// The largest key or value plane of a layer that kernels can see: what some windows of the
/// device's bindings hold (shaders/include/kv_planes.glsl).
[[nodiscard]] std::uint64_t most_plane_bytes(const vk::DeviceDescription& device, bool kv16);

/// What a kernel of KV pages is bound to: the planes whole, or in windows where one binding cannot
/// see them, by another variant of the kernel.
struct KvView {
  std::string suffix;             ///< of the variant's name: "", "_windows"
  std::vector<vk::Slice> slices;  ///< all bindings
  std::uint32_t window_quads = 0;

  [[nodiscard]] std::uint32_t n_bindings() const {
    return static_cast<std::uint32_t>(slices.size());
  }
  /// The kernel's specialization constants with that of the windows.
  [[nodiscard]] std::vector<std::uint32_t> constants(std::vector<std::uint32_t> own) const;
};

/// `slices` as a kernel without windows has them, the planes whole at `keys` and `values`.
[[nodiscard]] KvView kv_view(const Kernels& kernels, std::span<const vk::Slice> slices,
                             std::uint32_t keys, std::uint32_t values);

}  // namespace preflight::forward
