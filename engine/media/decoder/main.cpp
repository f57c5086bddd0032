// preflight-decode: decodes one media file and ends. It is started by the host with descriptors
// only; protocol.h says which. Nothing that it is given names a path, and it opens none.

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <new>
#include <span>
#include <string>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

extern "C" {
#include <libavutil/log.h>
}

#include "engine/media/decoder/input.h"
#include "engine/media/decoder/jobs.h"
#include "engine/media/decoder/output.h"
#include "engine/media/decoder/picture.h"
#include "engine/media/decoder/protocol.h"
#include "engine/media/decoder/reply.h"

namespace {

using namespace preflight;
using namespace preflight::media;

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

constexpr std::size_t kMaxJobBytes = 1 << 20;

bool limit(__rlimit_resource resource, rlim_t soft, rlim_t hard) {
  const rlimit value = {.rlim_cur = soft, .rlim_max = hard};
  return ::setrlimit(resource, &value) == 0;
}

/// The walls that stand whatever the file does. False when one could not be put up.
bool limit_self(const DecodeLimits& limits) {
  // Nothing is opened from here on, so no number beyond the three descriptors is ever needed; a
  // sanitizer probes memory through a pipe of its own. Soft limit first for time: SIGXCPU ends us
  // with a reason that the host can tell.
  constexpr rlim_t kDescriptors = kControlFd + 1 + (kSanitized ? 2 : 0);
  bool all = limit(RLIMIT_CORE, 0, 0) && limit(RLIMIT_NOFILE, kDescriptors, kDescriptors) &&
             limit(RLIMIT_FSIZE, limits.output_bytes, limits.output_bytes) &&
             limit(RLIMIT_CPU, limits.cpu_s, rlim_t{limits.cpu_s} + 2);
  if (!kSanitized) {  // a sanitizer reserves terabytes
    all = all && limit(RLIMIT_AS, limits.memory_bytes, limits.memory_bytes);
  }
  return all && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

Result<Job> read_job() {
  std::string text;
  std::array<char, 4096> chunk = {};
  for (;;) {
    const ssize_t n = ::read(kControlFd, chunk.data(), chunk.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(ErrorCode::kIo, "could not be decoded: no job came");
    if (n == 0) break;
    text.append(chunk.data(), static_cast<std::size_t>(n));
    if (text.size() > kMaxJobBytes) {
      return fail(ErrorCode::kInternal, "could not be decoded: the job has no end");
    }
  }
  return job_from_json(text);
}

bool write_reply(const std::string& reply) {
  std::size_t done = 0;
  while (done < reply.size()) {
    const ssize_t n = ::write(kControlFd, reply.data() + done, reply.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += static_cast<std::size_t>(n);
  }
  return true;
}

Result<std::string> work(const Job& job) {
  PREFLIGHT_TRY(const Input input, Input::open(kInputFd));
  const bool still = job.kind == JobKind::kImage;
  if (!still && input.size_bytes() > job.limits.media_bytes) {
    return fail(ErrorCode::kLimit,
                "is a file of " + std::to_string(input.size_bytes() >> 20) + " MiB; at most " +
                    std::to_string(job.limits.media_bytes >> 20) + " MiB are read");
  }
  Output output(kOutputFd, job.limits.output_bytes);
  const AppendArray append = [&](std::span<const std::byte> bytes) { return output.append(bytes); };
  switch (job.kind) {
    case JobKind::kImage: {
      PREFLIGHT_TRY(const DecodedImage image, read_picture(input, job.limits));
      return encode_image(image, append);
    }
    case JobKind::kSound: {
      PREFLIGHT_TRY(const DecodedSound sound, decode_sound(input, job.limits));
      return encode_sound(sound, append);
    }
    case JobKind::kVideo: {
      PREFLIGHT_TRY(const DecodedVideo video, decode_video(input, job.limits, job.video));
      return encode_video(video, append);
    }
    case JobKind::kKind: {
      PREFLIGHT_TRY(const MediaKind kind, find_kind(input));
      return encode_kind(kind);
    }
    case JobKind::kFacts: {
      PREFLIGHT_TRY(const MediaFacts facts, measure_facts(input, job.limits));
      return encode_facts(facts);
    }
  }
  return fail(ErrorCode::kInternal, "could not be decoded: an unknown job");
}

Result<std::string> run() {
  PREFLIGHT_TRY(const Job job, read_job());
  if (!limit_self(job.limits)) {
    return fail(ErrorCode::kIo, "was not decoded: the decoder could not limit itself");
  }
  // The codec libraries and our own containers throw only when memory runs out.
  try {
    return work(job);
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kLimit, "needs more than " +
                                       std::to_string(job.limits.memory_bytes >> 20) +
                                       " MiB of memory to decode");
  }
}

}  // namespace

int main() {
  if (::fcntl(kInputFd, F_GETFD) < 0 || ::fcntl(kOutputFd, F_GETFD) < 0 ||
      ::fcntl(kControlFd, F_GETFD) < 0) {
    std::fputs(
        "preflight-decode is started by preflight with its files already open; it has no use by "
        "hand\n",
        stderr);
    return 2;
  }
  av_log_set_level(AV_LOG_QUIET);
  // Codec libraries print what they think of a file; the host has given us a silent standard
  // output.
  if (!kSanitized) (void)::dup2(STDOUT_FILENO, STDERR_FILENO);
  std::signal(SIGXFSZ, SIG_IGN);  // a write past the limit is an error we report
  std::signal(SIGPIPE, SIG_IGN);
  const Result<std::string> reply = run();
  return write_reply(reply.has_value() ? *reply : encode_error(reply.error())) ? 0 : 1;
}
