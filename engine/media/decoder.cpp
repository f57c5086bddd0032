#include "engine/media/decoder.h"

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "engine/media/child.h"
#include "engine/media/decoder/protocol.h"
#include "engine/media/decoder/reply.h"

namespace preflight::media {
namespace {

constexpr const char* kProgramName = "preflight-decode";
constexpr const char* kInstalledProgram = "/usr/libexec/preflight-decode";

bool can_run(const std::filesystem::path& program) { return ::access(program.c_str(), X_OK) == 0; }

template <class T>
Result<T> with_name(const MediaFile& file, Result<T> result) {
  if (result.has_value()) return result;
  return fail(result.error().code, fmt::format("{} {}", file.name(), result.error().message));
}

Result<ChildResult> run_job(const DecoderOptions& options, const MediaFile& file, Job job) {
  job.limits = options.limits;
  return run_child({.program = options.program,
                    .input_fd = file.fd(),
                    .job = job_to_json(job),
                    .wall = options.limits.wall,
                    .cpu_s = options.limits.cpu_s,
                    .cancelled = options.cancelled});
}

Result<void> check_frame_budget(std::uint32_t budget) {
  if (budget == 0) return {};  // frames at their own size
  const auto size = target_size({.width = kPatchSide, .height = kPatchSide}, budget);
  if (!size.has_value()) return tl::unexpected(size.error());
  return {};
}

Result<void> check_request(const VideoRequest& request) {
  if (request.mode == VideoRequest::Mode::kSpread && request.n_frames == 0) {
    return fail(ErrorCode::kInvalidInput, "a film cannot be looked at in 0 frames");
  }
  if (request.mode == VideoRequest::Mode::kTimes && request.at.empty()) {
    return fail(ErrorCode::kInvalidInput, "a film cannot be looked at in 0 frames");
  }
  PREFLIGHT_TRY_VOID(check_frame_budget(request.budget));
  for (const VideoRequest::At& at : request.at) PREFLIGHT_TRY_VOID(check_frame_budget(at.budget));
  return {};
}

}  // namespace

Result<MediaFile> MediaFile::open(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0 && errno == ENOENT) {
    return fail(ErrorCode::kNotFound, fmt::format("{}: no such file", path.string()));
  }
  if (fd < 0) {
    return fail(ErrorCode::kIo,
                fmt::format("{} cannot be opened: {}", path.string(), std::strerror(errno)));
  }
  MediaFile file(fd, name);
  struct stat info = {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("{} is {}, not a file", path.string(),
                            S_ISDIR(info.st_mode) ? "a directory" : "a device or a pipe"));
  }
  return file;
}

MediaFile MediaFile::adopt(int fd, std::string name) { return MediaFile(fd, std::move(name)); }

MediaFile::MediaFile(MediaFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), name_(std::move(other.name_)) {}

MediaFile& MediaFile::operator=(MediaFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(name_, other.name_);
  return *this;
}

MediaFile::~MediaFile() {
  if (fd_ >= 0) ::close(fd_);
}

Result<Decoder> Decoder::create(DecoderOptions options) {
  if (!options.program.empty()) {
    if (can_run(options.program)) return Decoder(std::move(options));
    return fail(ErrorCode::kNotFound,
                fmt::format("the media decoder {} is not there or cannot be run",
                            options.program.string()));
  }
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto beside = error ? std::filesystem::path() : self.parent_path() / kProgramName;
  for (const std::filesystem::path& place : {beside, std::filesystem::path(kInstalledProgram)}) {
    if (!place.empty() && can_run(place)) {
      options.program = place;
      return Decoder(std::move(options));
    }
  }
  return fail(ErrorCode::kNotFound, fmt::format("the media decoder is at neither {} nor {}",
                                                beside.string(), kInstalledProgram));
}

Result<MediaKind> Decoder::kind(const MediaFile& file) const {
  PREFLIGHT_TRY(const ChildResult result,
                with_name(file, run_job(options_, file, {.kind = JobKind::kKind})));
  return with_name(file, parse_kind(result.reply()));
}

Result<DecodedImage> Decoder::image(const MediaFile& file) const {
  PREFLIGHT_TRY(const ChildResult result,
                with_name(file, run_job(options_, file, {.kind = JobKind::kImage})));
  return with_name(file, parse_image(result.reply(), result.memory()));
}

Result<DecodedSound> Decoder::sound(const MediaFile& file) const {
  PREFLIGHT_TRY(const ChildResult result,
                with_name(file, run_job(options_, file, {.kind = JobKind::kSound})));
  return with_name(file, parse_sound(result.reply(), result.memory()));
}

Result<DecodedVideo> Decoder::video(const MediaFile& file, const VideoRequest& request) const {
  PREFLIGHT_TRY_VOID(check_request(request));
  PREFLIGHT_TRY(
      const ChildResult result,
      with_name(file, run_job(options_, file, {.kind = JobKind::kVideo, .video = request})));
  return with_name(file, parse_video(result.reply(), result.memory()));
}

Result<MediaFacts> Decoder::facts(const MediaFile& file) const {
  PREFLIGHT_TRY(const ChildResult result,
                with_name(file, run_job(options_, file, {.kind = JobKind::kFacts})));
  return with_name(file, parse_facts(result.reply()));
}

}  // namespace preflight::media
