#pragma once

// Recorded work: binding sets written once, and command lists that are submitted again and again.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <vulkan/vulkan.h>

#include "vk/buffer.h"
#include "vk/device.h"
#include "vk/error.h"
#include "vk/pipeline.h"

namespace preflight::vk {

/// A descriptor set and the addresses beside it, written when it is made and never again. Made by
/// BindingPool::add.
class BindingSet {
 public:
  [[nodiscard]] VkDescriptorSet handle() const { return handle_; }
  [[nodiscard]] VkDescriptorSetLayout layout() const { return layout_; }
  [[nodiscard]] std::uint32_t n_bindings() const { return n_bindings_; }
  /// Of the bindings that are addresses, in their order.
  [[nodiscard]] std::span<const VkDeviceAddress> addresses() const { return addresses_; }

 private:
  friend class BindingPool;
  BindingSet(VkDescriptorSet handle, VkDescriptorSetLayout layout, std::uint32_t n_bindings,
             std::vector<VkDeviceAddress> addresses)
      : handle_(handle),
        layout_(layout),
        n_bindings_(n_bindings),
        addresses_(std::move(addresses)) {}
  VkDescriptorSet handle_;
  VkDescriptorSetLayout layout_;
  std::uint32_t n_bindings_;
  std::vector<VkDeviceAddress> addresses_;
};

struct BindingPoolState;

/// Owns binding sets; they go with it, all at once. The Device and the buffers named outlive it.
class BindingPool {
 public:
  [[nodiscard]] static Result<BindingPool> create(Device& device);
  BindingPool(BindingPool&& other) noexcept;
  BindingPool& operator=(BindingPool&& other) noexcept;
  ~BindingPool();

  /// One slice for each binding of `pipeline`, in order. The set fits every pipeline with as many
  /// bindings of the same kinds. The pointer is good as long as the pool.
  /// Errors: kInternal (number of slices, a slice outside its buffer, of no whole texels, or read
  /// by address from no multiple of 16), kLimit (offset not aligned as the device asks, range above
  /// max_storage_buffer_range or max_texels), naming pipeline and buffer.
  [[nodiscard]] Result<const BindingSet*> add(const Pipeline& pipeline,
                                              std::span<const Slice> slices);

 private:
  explicit BindingPool(std::unique_ptr<BindingPoolState> state);
  std::unique_ptr<BindingPoolState> state_;
};

/// A command buffer that is recorded once and submitted any number of times, by one Submitter::run
/// at a time. Recording returns nothing: the first mistake is kept and comes out of end(). Lists of
/// one submission run one after another: begin() records a barrier. Move-only; what it names
/// outlives it.
class CommandList {
 public:
  [[nodiscard]] static Result<CommandList> create(Device& device);
  CommandList(CommandList&& other) noexcept;
  CommandList& operator=(CommandList&& other) noexcept;
  ~CommandList();

  /// Begins anew, dropping what was recorded before.
  void begin();
  /// One dispatch of x * y * z workgroups, all above 0 and within the device's limits. `push` has
  /// exactly the pipeline's push_bytes. Nothing orders two dispatches but barrier().
  void dispatch(const Pipeline& pipeline, const BindingSet& bindings,
                std::span<const std::byte> push, std::uint32_t x, std::uint32_t y = 1,
                std::uint32_t z = 1);
  /// The grid is read from 3 uint32 at the begin of `grid` (offset a multiple of 4) when the list
  /// runs; the host or an earlier dispatch keeps it within the device's limits.
  void dispatch_indirect(const Pipeline& pipeline, const BindingSet& bindings,
                         std::span<const std::byte> push, const Slice& grid);
  /// Everything after sees the writes of every dispatch, copy and fill before.
  void barrier();
  /// `source` and `target` have the same size and do not overlap.
  void copy(const Slice& source, const Slice& target);
  /// Offset and size are multiples of 4; `value` is repeated.
  void fill(const Slice& target, std::uint32_t value);
  /// Ends the recording. Errors: the first of the recording, or of the driver.
  [[nodiscard]] Result<void> end();

  [[nodiscard]] VkCommandBuffer handle() const { return handle_; }
  [[nodiscard]] bool ready() const { return ready_; }  ///< ended without an error

 private:
  CommandList() = default;
  void release();
  void keep(Error error);
  bool bind(const Pipeline& pipeline, const BindingSet& bindings, std::span<const std::byte> push);

  DeviceState* device_ = nullptr;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  VkCommandBuffer handle_ = VK_NULL_HANDLE;
  bool recording_ = false;
  bool ready_ = false;
  std::optional<Error> first_error_;
};

/// The bytes of a push constant block, for dispatch().
template <class Params>
[[nodiscard]] std::span<const std::byte> push_bytes(const Params& params) {
  return std::as_bytes(std::span<const Params, 1>(&params, 1));
}

}  // namespace preflight::vk
