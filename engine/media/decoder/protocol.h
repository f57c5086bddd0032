#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/media/decoder.h"
#include "vk/error.h"

/// What passes between the host and `preflight-decode`. Used by both sides; knows no codec.
///
/// The child is started with three descriptors and nothing else but standard error:
///
///   3  the input file, read with pread only; the child is never told a path
///   4  shared memory (memfd) for pixels and samples; the child writes, the host reads after its
///   end 5  a stream socket: the host sends one JSON document (the job) and shuts its side, the
///   child
///      sends one JSON document (the reply) and exits with status 0
///
/// Reply of a job that failed: {"error": {"code": n, "says": "is not a film: it is text"}}; the
/// host puts the file's name before it. Reply of one that worked: the members named in reply.cpp.
/// Arrays in shared memory are named by their offset in bytes, {"at": n}; their lengths follow from
/// the dimensions, and the host checks every one against the memory's size. All offsets are
/// multiples of 64, all numbers little endian: pixels u8 [height, width, 3], samples f32 [n].
namespace preflight::media {

inline constexpr int kInputFd = 3;
inline constexpr int kOutputFd = 4;
inline constexpr int kControlFd = 5;
inline constexpr std::uint64_t kArrayAlignment = 64;
/// A reply longer than this is no reply of ours.
inline constexpr std::uint64_t kMaxReplyBytes = std::uint64_t{16} << 20;
/// A film of more frames than this is refused: 10 minutes at 240 frames a second.
inline constexpr std::uint64_t kMaxFilmFrames = 144'000;

enum class JobKind { kImage, kSound, kVideo, kFacts, kKind };

struct Job {
  JobKind kind = JobKind::kImage;
  DecodeLimits limits = {};
  VideoRequest video = {};  ///< of kVideo
};

std::string job_to_json(const Job& job);
Result<Job> job_from_json(std::string_view json);

}  // namespace preflight::media
