#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>

#include "vk/error.h"

namespace preflight::media {

/// What a decoding child left behind: its reply and the shared memory, mapped for reading. The
/// child has ended and the memory is sealed, so nothing can change any more.
class ChildResult {
 public:
  ChildResult(std::string reply, int memory_fd, const std::byte* memory, std::size_t size_bytes)
      : reply_(std::move(reply)), memory_fd_(memory_fd), memory_(memory), size_bytes_(size_bytes) {}
  ChildResult(ChildResult&& other) noexcept;
  ChildResult& operator=(ChildResult&& other) = delete;
  ChildResult(const ChildResult&) = delete;
  ChildResult& operator=(const ChildResult&) = delete;
  ~ChildResult();

  const std::string& reply() const { return reply_; }
  std::span<const std::byte> memory() const { return {memory_, size_bytes_}; }

 private:
  std::string reply_;
  int memory_fd_;
  const std::byte* memory_;
  std::size_t size_bytes_;
};

struct ChildJob {
  std::filesystem::path program;
  int input_fd = -1;
  std::string job;                   ///< one JSON document
  std::chrono::milliseconds wall{};  ///< from start to end
  std::uint32_t cpu_s = 0;           ///< for the message only; the child limits itself
  std::function<bool()> cancelled;
};

/// Starts the program with the descriptors of decoder/protocol.h, waits for its end, and ends it at
/// the deadline. Errors are clauses that follow the file's name: kLimit for time, kCancelled, kIo,
/// kInternal when the child crashed or broke the protocol.
Result<ChildResult> run_child(const ChildJob& job);

}  // namespace preflight::media
