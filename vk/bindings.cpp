#include <array>
#include <deque>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "vk/commands.h"
#include "vk/device_state.h"
#include "vk/result.h"

namespace preflight::vk {

constexpr std::uint32_t kSetsInPool = 256;
constexpr std::uint32_t kDescriptorsInPool = 2048;  // of each type

struct BindingPoolState {
  explicit BindingPoolState(DeviceState& device_in) : device(device_in) {}
  BindingPoolState(const BindingPoolState&) = delete;
  BindingPoolState& operator=(const BindingPoolState&) = delete;
  ~BindingPoolState() {
    if (!device.idle()) return;
    for (const VkBufferView view : views) vkDestroyBufferView(device.device, view, nullptr);
    for (const VkDescriptorPool pool : pools) vkDestroyDescriptorPool(device.device, pool, nullptr);
  }

  // A pool says in advance how much it holds; running out is our own count, not a driver's error.
  Result<VkDescriptorPool> pool_for(std::uint32_t n_descriptors) {
    if (sets_left > 0 && descriptors_left >= n_descriptors) return pools.back();
    const std::uint32_t n = std::max(kDescriptorsInPool, n_descriptors);
    const std::array<VkDescriptorPoolSize, 2> sizes = {
        VkDescriptorPoolSize{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, n},
        VkDescriptorPoolSize{VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, n}};
    VkDescriptorPoolCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO;
    info.maxSets = kSetsInPool;
    info.poolSizeCount = sizes.size();
    info.pPoolSizes = sizes.data();
    VkDescriptorPool pool = VK_NULL_HANDLE;
    PREFLIGHT_TRY_VOID(check(vkCreateDescriptorPool(device.device, &info, nullptr, &pool),
                             "creating a descriptor pool"));
    sets_left = kSetsInPool;
    descriptors_left = n;
    pools.push_back(pool);
    return pool;
  }

  DeviceState& device;
  std::vector<VkDescriptorPool> pools;
  std::vector<VkBufferView> views;
  std::uint32_t sets_left = 0;
  std::uint32_t descriptors_left = 0;
  std::deque<BindingSet> sets;  // a deque: their addresses stay
};

namespace {

constexpr VkDeviceSize kAddressAlignment = 16;  // of what shaders declare their references with

struct Texel {
  VkFormat format;
  VkDeviceSize bytes;
};
Texel texel(BindingKind kind) {
  switch (kind) {
    case BindingKind::kTexels1:
      return {VK_FORMAT_R32_UINT, 4};
    case BindingKind::kTexels2:
      return {VK_FORMAT_R32G32_UINT, 8};
    case BindingKind::kTexels4:
      return {VK_FORMAT_R32G32B32A32_UINT, 16};
    case BindingKind::kStorage:
    case BindingKind::kAddress:
      break;
  }
  PREFLIGHT_ASSERT(false);
}

Result<void> check_texels(const DeviceDescription& d, BindingKind kind, const Slice& slice,
                          const std::string& use) {
  const VkDeviceSize bytes = texel(kind).bytes;
  if (slice.size_bytes % bytes != 0) {
    return fail(ErrorCode::kInternal,
                fmt::format("{}: {} bytes of \"{}\" are no whole texels of {} bytes", use,
                            slice.size_bytes, slice.buffer->label(), bytes));
  }
  if (slice.offset_bytes % d.min_texel_offset_alignment != 0) {
    return fail(
        ErrorCode::kLimit,
        fmt::format("{}: offset {} of texels in \"{}\" is no multiple of {}, as \"{}\" asks", use,
                    slice.offset_bytes, slice.buffer->label(), d.min_texel_offset_alignment,
                    d.name));
  }
  if (slice.size_bytes / bytes > d.max_texels) {
    return fail(
        ErrorCode::kLimit,
        fmt::format("{}: {} texels of \"{}\" are more than the {} that \"{}\" can bind", use,
                    slice.size_bytes / bytes, slice.buffer->label(), d.max_texels, d.name));
  }
  return {};
}

Result<void> check_binding(const DeviceDescription& d, const Pipeline& pipeline,
                           std::uint32_t index, const Slice& slice) {
  const std::string use = fmt::format("binding {} of \"{}\"", index, pipeline.label());
  PREFLIGHT_TRY_VOID(check_bounds(slice, use));
  const BindingKind kind = pipeline.binding_kind(index);
  if (kind == BindingKind::kAddress) {
    if (slice.offset_bytes % kAddressAlignment == 0) return {};
    return fail(ErrorCode::kInternal,
                fmt::format("{}: offset {} in \"{}\" is no multiple of {}", use, slice.offset_bytes,
                            slice.buffer->label(), kAddressAlignment));
  }
  if (kind != BindingKind::kStorage) return check_texels(d, kind, slice, use);
  if (slice.offset_bytes % d.min_storage_offset_alignment != 0) {
    return fail(ErrorCode::kLimit, fmt::format("{}: offset {} in \"{}\" is no multiple of {}, as "
                                               "\"{}\" asks",
                                               use, slice.offset_bytes, slice.buffer->label(),
                                               d.min_storage_offset_alignment, d.name));
  }
  if (slice.size_bytes > d.max_storage_buffer_range) {
    return fail(
        ErrorCode::kLimit,
        fmt::format("{}: {} bytes of \"{}\" are more than the {} that \"{}\" can bind", use,
                    slice.size_bytes, slice.buffer->label(), d.max_storage_buffer_range, d.name));
  }
  return {};
}

// A slice as texels, for a binding that reads it so.
Result<VkBufferView> make_view(const DeviceState& device, const Pipeline& pipeline,
                               std::uint32_t index, const Slice& slice) {
  VkBufferViewCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO;
  info.buffer = slice.buffer->handle();
  info.format = texel(pipeline.binding_kind(index)).format;
  info.offset = slice.offset_bytes;
  info.range = slice.size_bytes;
  VkBufferView view = VK_NULL_HANDLE;
  PREFLIGHT_TRY_VOID(
      check(vkCreateBufferView(device.device, &info, nullptr, &view),
            fmt::format("making the texels of binding {} of \"{}\"", index, pipeline.label())));
  return view;
}

}  // namespace

Result<BindingPool> BindingPool::create(Device& device) {
  return BindingPool(std::make_unique<BindingPoolState>(device.state()));
}

BindingPool::BindingPool(std::unique_ptr<BindingPoolState> state) : state_(std::move(state)) {}
BindingPool::BindingPool(BindingPool&& other) noexcept = default;
BindingPool& BindingPool::operator=(BindingPool&& other) noexcept = default;
BindingPool::~BindingPool() = default;

Result<const BindingSet*> BindingPool::add(const Pipeline& pipeline,
                                           std::span<const Slice> slices) {
  const DeviceDescription& d = state_->device.physical.description;
  const std::uint32_t n = pipeline.n_bindings();
  if (slices.size() != n) {
    return fail(ErrorCode::kInternal, fmt::format("\"{}\" has {} bindings, {} were given",
                                                  pipeline.label(), n, slices.size()));
  }
  std::vector<VkBufferView> views(n, VK_NULL_HANDLE);
  std::vector<VkDeviceAddress> addresses;
  for (std::uint32_t i = 0; i < n; ++i) {
    PREFLIGHT_TRY_VOID(check_binding(d, pipeline, i, slices[i]));
    switch (pipeline.binding_kind(i)) {
      case BindingKind::kStorage:
        break;
      case BindingKind::kTexels1:
      case BindingKind::kTexels2:
      case BindingKind::kTexels4: {
        PREFLIGHT_TRY(views[i], make_view(state_->device, pipeline, i, slices[i]));
        state_->views.push_back(views[i]);
        break;
      }
      case BindingKind::kAddress:
        addresses.push_back(slices[i].buffer->address() + slices[i].offset_bytes);
    }
  }
  PREFLIGHT_TRY(const VkDescriptorPool pool, state_->pool_for(n));
  const VkDescriptorSetLayout layout = pipeline.set_layout();
  VkDescriptorSetAllocateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO;
  info.descriptorPool = pool;
  info.descriptorSetCount = 1;
  info.pSetLayouts = &layout;
  VkDescriptorSet set = VK_NULL_HANDLE;
  PREFLIGHT_TRY_VOID(check(vkAllocateDescriptorSets(state_->device.device, &info, &set),
                           fmt::format("making bindings of \"{}\"", pipeline.label())));
  --state_->sets_left;
  state_->descriptors_left -= n;

  std::vector<VkDescriptorBufferInfo> buffers(n);
  std::vector<VkWriteDescriptorSet> writes;
  for (std::uint32_t i = 0; i < n; ++i) {
    if (pipeline.binding_kind(i) == BindingKind::kAddress) continue;
    buffers[i] = {slices[i].buffer->handle(), slices[i].offset_bytes, slices[i].size_bytes};
    VkWriteDescriptorSet& write = writes.emplace_back();
    write.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
    write.dstSet = set;
    write.dstBinding = i;
    write.descriptorCount = 1;
    write.descriptorType = descriptor_type(pipeline.binding_kind(i));
    write.pBufferInfo = &buffers[i];     // read for a storage buffer,
    write.pTexelBufferView = &views[i];  // and this for a texel buffer
  }
  vkUpdateDescriptorSets(state_->device.device, static_cast<std::uint32_t>(writes.size()),
                         writes.data(), 0, nullptr);
  return &state_->sets.emplace_back(BindingSet(set, layout, n, std::move(addresses)));
}

}  // namespace preflight::vk
