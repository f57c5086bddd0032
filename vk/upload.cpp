#include "vk/upload.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "vk/barrier.h"
#include "vk/device_state.h"
#include "vk/result.h"
#include "vk/timeline.h"

namespace preflight::vk {

namespace {

constexpr std::chrono::milliseconds kTimeout = std::chrono::seconds(60);
constexpr std::size_t kSlots = 2;  // one is filled while the other is copied

// Where unit 0 of each plane lies in a buffer that holds `n_units` of each, plane after plane.
std::array<VkDeviceSize, Uploader::kMaxPlanes> packed_offsets(
    std::span<const Uploader::Plane> planes, std::uint64_t n_units) {
  std::array<VkDeviceSize, Uploader::kMaxPlanes> offsets{};
  VkDeviceSize at = 0;
  for (std::size_t i = 0; i < planes.size(); ++i) {
    offsets[i] = at;
    at += planes[i].unit_bytes * n_units;
  }
  return offsets;
}

}  // namespace

struct UploaderState {
  UploaderState(DeviceState& device_in, Timeline timeline_in, VkDeviceSize ring_bytes_in,
                UploadPath path_in)
      : device(device_in),
        ring_bytes(ring_bytes_in),
        path(path_in),
        timeline(std::move(timeline_in)) {}
  UploaderState(const UploaderState&) = delete;
  UploaderState& operator=(const UploaderState&) = delete;
  ~UploaderState() {
    if (device.idle()) vkDestroyCommandPool(device.device, pool, nullptr);
  }

  [[nodiscard]] VkDeviceSize slot_bytes() const { return ring_bytes / kSlots; }
  [[nodiscard]] VkDeviceSize readback_bytes() const {
    return std::min(ring_bytes, Uploader::kReadbackBytes);
  }

  // Records and submits one copy of some regions with the slot's command buffer, which must be
  // idle.
  Result<void> submit_copy(std::size_t slot, VkBuffer source, VkBuffer target,
                           std::span<const VkBufferCopy> regions) {
    const VkCommandBuffer commands = buffers[slot];
    VkCommandBufferBeginInfo begin{};
    begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
    begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
    PREFLIGHT_TRY_VOID(check(vkBeginCommandBuffer(commands, &begin), "beginning a copy"));
    record_barrier(commands);
    vkCmdCopyBuffer(commands, source, target, static_cast<std::uint32_t>(regions.size()),
                    regions.data());
    record_barrier(commands, /*to_host=*/true);
    PREFLIGHT_TRY_VOID(check(vkEndCommandBuffer(commands), "ending a copy"));
    PREFLIGHT_TRY(pending[slot], timeline.submit({&commands, 1}));
    return {};
  }

  Result<void> wait_slot(std::size_t slot) {
    if (pending[slot] == 0) return {};
    const std::uint64_t value = std::exchange(pending[slot], 0);
    return timeline.wait(value, kTimeout);
  }

  // A copy under way keeps the ring busy, so an error in between still waits for it. The first
  // error counts.
  Result<void> wait_all(Result<void> so_far) {
    for (std::size_t slot = 0; slot < kSlots; ++slot) {
      auto waited = wait_slot(slot);
      if (so_far.has_value()) so_far = std::move(waited);
    }
    return so_far;
  }

  Result<void> write_staged(Buffer& target, std::span<const Uploader::Plane> planes,
                            std::uint64_t n_units, std::uint64_t most_units,
                            const Uploader::Fill& fill) {
    if (upload == nullptr) {
      PREFLIGHT_TRY(upload,
                    device.allocator->allocate(ring_bytes, Residency::kUpload, "upload ring"));
    }
    std::size_t slot = 0;
    for (std::uint64_t first = 0; first < n_units; slot = (slot + 1) % kSlots) {
      PREFLIGHT_TRY_VOID(wait_slot(slot));
      const std::uint64_t n = std::min(most_units, n_units - first);
      const auto packed = packed_offsets(planes, n);
      std::array<std::span<std::byte>, Uploader::kMaxPlanes> pieces;
      std::array<VkBufferCopy, Uploader::kMaxPlanes> regions;
      for (std::size_t i = 0; i < planes.size(); ++i) {
        const VkDeviceSize at = slot * slot_bytes() + packed[i];
        const VkDeviceSize bytes = planes[i].unit_bytes * n;
        pieces[i] = std::span(upload->host + at, bytes);
        regions[i] = {at, planes[i].offset + planes[i].unit_bytes * first, bytes};
      }
      PREFLIGHT_TRY_VOID(fill(first, n, std::span(pieces).first(planes.size())));
      PREFLIGHT_TRY_VOID(submit_copy(slot, upload->buffer, target.handle(),
                                     std::span(regions).first(planes.size())));
      first += n;
    }
    return {};
  }

  Result<void> read_staged(const Buffer& source, VkDeviceSize offset, std::span<std::byte> bytes) {
    if (readback == nullptr) {
      PREFLIGHT_TRY(readback, device.allocator->allocate(readback_bytes(), Residency::kReadback,
                                                         "readback ring"));
    }
    // Slot k holds the piece that is fetched now, the other one the piece before.
    const VkDeviceSize slot_bytes = readback_bytes() / kSlots;
    std::size_t slot = 0;
    std::array<std::span<std::byte>, kSlots> wanted{};
    const auto collect = [&](std::size_t k) -> Result<void> {
      PREFLIGHT_TRY_VOID(wait_slot(k));
      if (!wanted[k].empty()) {
        std::memcpy(wanted[k].data(), readback->host + k * slot_bytes, wanted[k].size());
      }
      wanted[k] = {};
      return {};
    };
    for (std::size_t done = 0; done < bytes.size(); slot = (slot + 1) % kSlots) {
      PREFLIGHT_TRY_VOID(collect(slot));
      const std::size_t n = std::min<std::size_t>(slot_bytes, bytes.size() - done);
      const VkBufferCopy region{offset + done, slot * slot_bytes, n};
      PREFLIGHT_TRY_VOID(submit_copy(slot, source.handle(), readback->buffer, {&region, 1}));
      wanted[slot] = bytes.subspan(done, n);
      done += n;
    }
    for (std::size_t k = 0; k < kSlots; ++k) PREFLIGHT_TRY_VOID(collect(k));
    return {};
  }

  DeviceState& device;
  VkDeviceSize ring_bytes;
  UploadPath path;
  Timeline timeline;
  VkCommandPool pool = VK_NULL_HANDLE;
  std::array<VkCommandBuffer, kSlots> buffers{};
  std::array<std::uint64_t, kSlots> pending{};  // timeline value of the slot's copy; 0: idle
  std::unique_ptr<Allocation> upload;           // made when first needed
  std::unique_ptr<Allocation> readback;
};

Result<Uploader> Uploader::create(Device& device, VkDeviceSize ring_bytes, UploadPath path) {
  DeviceState& state = device.state();
  // Slots begin at multiples of 256, which suits every driver's copies.
  constexpr VkDeviceSize kUnit = 256 * kSlots;
  ring_bytes = std::min(ring_bytes, state.physical.description.max_allocation_bytes);
  ring_bytes = std::max(ring_bytes / kUnit * kUnit, kUnit);
  PREFLIGHT_TRY(auto timeline, Timeline::create(state));
  auto uploader = std::make_unique<UploaderState>(state, std::move(timeline), ring_bytes, path);
  VkCommandPoolCreateInfo pool{};
  pool.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
  pool.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
  pool.queueFamilyIndex = state.physical.queue_family;
  PREFLIGHT_TRY_VOID(check(vkCreateCommandPool(state.device, &pool, nullptr, &uploader->pool),
                           "creating a command pool"));
  VkCommandBufferAllocateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
  info.commandPool = uploader->pool;
  info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
  info.commandBufferCount = kSlots;
  PREFLIGHT_TRY_VOID(check(vkAllocateCommandBuffers(state.device, &info, uploader->buffers.data()),
                           "creating command buffers"));
  return Uploader(std::move(uploader));
}

Uploader::Uploader(std::unique_ptr<UploaderState> state) : state_(std::move(state)) {}
Uploader::Uploader(Uploader&& other) noexcept = default;
Uploader& Uploader::operator=(Uploader&& other) noexcept = default;
Uploader::~Uploader() = default;

Result<void> Uploader::write(Buffer& target, std::span<const Plane> planes, std::uint64_t n_units,
                             const Fill& fill) {
  if (n_units == 0) return {};
  VkDeviceSize unit = 0;
  for (const Plane& plane : planes) {
    PREFLIGHT_TRY_VOID(
        check_bounds({&target, plane.offset, plane.unit_bytes * n_units}, "target of a write"));
    unit += plane.unit_bytes;
  }
  if (planes.size() > kMaxPlanes || unit == 0 || unit > state_->slot_bytes()) {
    return fail(ErrorCode::kInternal,
                fmt::format("write to \"{}\": {} planes with units of {} bytes, at most {} planes "
                            "and {} bytes are possible",
                            target.label(), planes.size(), unit, kMaxPlanes, state_->slot_bytes()));
  }
  const std::uint64_t most_units = state_->slot_bytes() / unit;
  const std::span<std::byte> host = target.host_view();
  if (host.empty() || state_->path == UploadPath::kStaged) {
    return state_->wait_all(state_->write_staged(target, planes, n_units, most_units, fill));
  }
  for (std::uint64_t first = 0; first < n_units; first += most_units) {
    const std::uint64_t n = std::min(most_units, n_units - first);
    std::array<std::span<std::byte>, kMaxPlanes> pieces;
    for (std::size_t i = 0; i < planes.size(); ++i) {
      const Plane& plane = planes[i];
      pieces[i] = host.subspan(plane.offset + plane.unit_bytes * first, plane.unit_bytes * n);
    }
    PREFLIGHT_TRY_VOID(fill(first, n, std::span(pieces).first(planes.size())));
  }
  return {};
}

Result<void> Uploader::write(Buffer& target, VkDeviceSize offset,
                             std::span<const std::byte> bytes) {
  const Plane plane{.offset = offset, .unit_bytes = 1};
  return write(target, {&plane, 1}, bytes.size(),
               [&](std::uint64_t first, std::uint64_t n,
                   std::span<const std::span<std::byte>> pieces) -> Result<void> {
                 std::memcpy(pieces[0].data(), bytes.data() + first, n);
                 return {};
               });
}

Result<void> Uploader::read(const Buffer& source, VkDeviceSize offset, std::span<std::byte> bytes) {
  if (bytes.empty()) return {};
  PREFLIGHT_TRY_VOID(check_bounds({&source, offset, bytes.size()}, "source of a read"));
  const std::span<std::byte> host = source.host_view();
  // Uncached memory is read some hundred times slower than the device copies it.
  if (host.empty() || !source.host_cached() || state_->path == UploadPath::kStaged) {
    return state_->wait_all(state_->read_staged(source, offset, bytes));
  }
  std::memcpy(bytes.data(), host.data() + offset, bytes.size());
  return {};
}

}  // namespace preflight::vk
