#include "engine/forward/kv_view.h"

#include <algorithm>
#include <bit>

#include "shaders/params/attention.h"

namespace preflight::forward {
namespace {

constexpr std::uint64_t kQuadBytes = 8;  // 4 values of float16

std::uint64_t window_bytes(const vk::DeviceDescription& device) {
  return std::bit_floor(device.max_storage_buffer_range);
}

/// Window `ix` of a plane; one past its end repeats the first, and nobody reads it.
vk::Slice window_of(const vk::Slice& plane, std::uint64_t bytes, std::uint64_t ix) {
  const std::uint64_t at = ix * bytes < plane.size_bytes ? ix * bytes : 0;
  return {plane.buffer, plane.offset_bytes + at, std::min(bytes, plane.size_bytes - at)};
}

}  // namespace

std::uint64_t most_plane_bytes(const vk::DeviceDescription& device, bool kv16) {
  // Float32 pages are for comparison: their kernels have no variants with windows. The kernel with
  // the most bindings sees the further windows behind them.
  constexpr std::uint32_t kMostBindings =
      params::kAttentionInputBindings + 2 * (params::kKvWindows - 1);
  const bool windowed = kv16 && device.max_storage_buffers >= kMostBindings;
  const std::uint64_t windows = windowed ? params::kKvWindows * window_bytes(device) : 0;
  return std::min<std::uint64_t>(std::max<std::uint64_t>(windows, device.max_storage_buffer_range),
                                 device.max_allocation_bytes);
}

std::vector<std::uint32_t> KvView::constants(std::vector<std::uint32_t> own) const {
  if (window_quads == 0) return own;
  PREFLIGHT_ASSERT(own.size() <= params::kKvSpecWindowQuads);
  own.resize(params::kKvSpecWindowQuads, 0);
  own.push_back(window_quads);
  return own;
}

KvView kv_view(const Kernels& kernels, std::span<const vk::Slice> slices, std::uint32_t keys,
               std::uint32_t values) {
  const vk::DeviceDescription& device = kernels.device();
  KvView view{.suffix = "", .slices = {slices.begin(), slices.end()}, .window_quads = 0};
  if (std::max(slices[keys].size_bytes, slices[values].size_bytes) <=
      device.max_storage_buffer_range)
    return view;
  PREFLIGHT_ASSERT(kernels.options().kv16);  // the memory plan refuses what has no windows
  const std::uint64_t bytes = window_bytes(device);
  view.suffix = "_windows";
  view.window_quads = static_cast<std::uint32_t>(bytes / kQuadBytes);
  for (const std::uint32_t plane : {keys, values}) {
    for (std::uint64_t ix = 1; ix < params::kKvWindows; ix++)
      view.slices.push_back(window_of(slices[plane], bytes, ix));
    view.slices[plane] = window_of(slices[plane], bytes, 0);
  }
  return view;
}

}  // namespace preflight::forward
