#include "vk/submit.h"

#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "vk/barrier.h"
#include "vk/device_state.h"
#include "vk/result.h"
#include "vk/timeline.h"

namespace preflight::vk {

struct SubmitterState {
  SubmitterState(DeviceState& device_in, Timeline timeline_in, Buffer serial_in, Buffer sentinel_in,
                 std::chrono::milliseconds timeout_in)
      : device(device_in),
        timeline(std::move(timeline_in)),
        serial_buffer(std::move(serial_in)),
        sentinel_buffer(std::move(sentinel_in)),
        timeout(timeout_in) {}
  SubmitterState(const SubmitterState&) = delete;
  SubmitterState& operator=(const SubmitterState&) = delete;
  ~SubmitterState() {
    if (device.idle()) vkDestroyCommandPool(device.device, pool, nullptr);
  }

  // The last commands of every submission, recorded once: copy the serial to the sentinel, let the
  // host see everything.
  Result<void> record_tail() {
    VkCommandPoolCreateInfo pool_info{};
    pool_info.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
    pool_info.queueFamilyIndex = device.physical.queue_family;
    PREFLIGHT_TRY_VOID(check(vkCreateCommandPool(device.device, &pool_info, nullptr, &pool),
                             "creating a command pool"));
    VkCommandBufferAllocateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
    info.commandPool = pool;
    info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    info.commandBufferCount = 1;
    PREFLIGHT_TRY_VOID(
        check(vkAllocateCommandBuffers(device.device, &info, &tail), "creating a command buffer"));
    VkCommandBufferBeginInfo begin{};
    begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
    PREFLIGHT_TRY_VOID(check(vkBeginCommandBuffer(tail, &begin), "beginning the sentinel"));
    record_barrier(tail);
    const VkBufferCopy region{0, 0, sizeof(std::uint32_t)};
    vkCmdCopyBuffer(tail, serial_buffer.handle(), sentinel_buffer.handle(), 1, &region);
    record_barrier(tail, /*to_host=*/true);
    return check(vkEndCommandBuffer(tail), "ending the sentinel");
  }

  // Host memory that the device reads and writes: every access is a real one.
  static std::atomic_ref<std::uint32_t> word(const Buffer& buffer) {
    return std::atomic_ref(*reinterpret_cast<std::uint32_t*>(buffer.host_view().data()));
  }

  DeviceState& device;
  Timeline timeline;
  Buffer serial_buffer;
  Buffer sentinel_buffer;
  std::chrono::milliseconds timeout;
  VkCommandPool pool = VK_NULL_HANDLE;
  VkCommandBuffer tail = VK_NULL_HANDLE;
  std::uint32_t serial = 0x5e7f1e55;  // no value that memory holds by itself
  std::function<void()> heartbeat;
  double total_ms = 0;
};

Result<Submitter> Submitter::create(Device& device, std::chrono::milliseconds timeout) {
  PREFLIGHT_TRY(auto timeline, Timeline::create(device.state()));
  PREFLIGHT_TRY(auto serial, Buffer::create(device, sizeof(std::uint32_t), Residency::kUpload,
                                            "submission serial"));
  PREFLIGHT_TRY(auto sentinel, Buffer::create(device, sizeof(std::uint32_t), Residency::kReadback,
                                              "submission sentinel"));
  auto state = std::make_unique<SubmitterState>(device.state(), std::move(timeline),
                                                std::move(serial), std::move(sentinel), timeout);
  PREFLIGHT_TRY_VOID(state->record_tail());
  return Submitter(std::move(state));
}

Submitter::Submitter(std::unique_ptr<SubmitterState> state) : state_(std::move(state)) {}
Submitter::Submitter(Submitter&& other) noexcept = default;
Submitter& Submitter::operator=(Submitter&& other) noexcept = default;
Submitter::~Submitter() = default;

void Submitter::set_heartbeat(std::function<void()> heartbeat) {
  state_->heartbeat = std::move(heartbeat);
}

double Submitter::total_ms() const { return state_->total_ms; }

Result<double> Submitter::run(std::span<const CommandList* const> lists) {
  std::vector<VkCommandBuffer> buffers;
  buffers.reserve(lists.size() + 1);
  for (const CommandList* list : lists) {
    if (list == nullptr || !list->ready()) {
      return fail(ErrorCode::kInternal,
                  "a command list was submitted that is not recorded to its end");
    }
    buffers.push_back(list->handle());
  }
  buffers.push_back(state_->tail);

  const std::uint32_t serial = ++state_->serial;
  SubmitterState::word(state_->serial_buffer).store(serial);
  SubmitterState::word(state_->sentinel_buffer).store(~serial);
  const auto begin = std::chrono::steady_clock::now();
  PREFLIGHT_TRY(const std::uint64_t value, state_->timeline.submit(buffers));
  PREFLIGHT_TRY_VOID(state_->timeline.wait(value, state_->timeout, state_->heartbeat));
  const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - begin;
  state_->total_ms += taken.count();

  const std::uint32_t found = SubmitterState::word(state_->sentinel_buffer).load();
  if (found != serial) {
    return tl::unexpected(state_->device.note(
        {ErrorCode::kDeviceLost,
         fmt::format("\"{}\" reports work as done that it did not do: its sentinel is {:#010x}, "
                     "{:#010x} was expected",
                     state_->device.physical.description.name, found, serial)}));
  }
  return taken.count();
}

}  // namespace preflight::vk
