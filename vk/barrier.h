#pragma once

#include <vulkan/vulkan.h>

namespace preflight::vk {

/// Everything recorded or submitted later on the queue sees the writes of every dispatch, copy and
/// fill so far; with `to_host` the host does too, once it has waited. One barrier over all memory:
/// drivers handle narrower ones no faster on a queue of computes.
void record_barrier(VkCommandBuffer commands, bool to_host = false);

}  // namespace preflight::vk
