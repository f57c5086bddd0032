#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/media/facts.h"
#include "engine/media/image.h"
#include "engine/media/media.h"
#include "vk/error.h"

/// The host side of media decoding. Every file is decoded in a child process, `preflight-decode`,
/// which gets one descriptor of the file, writes into shared memory, and is ended at a deadline.
/// The child's answer is treated as hostile: all lengths are checked here before use. A failure of
/// any kind comes back as one sentence a reviewer understands, beginning with the file's name, for
/// example "clip.mp4 is not a video: it is text". engine/media/decoder/protocol.h has the layout.
namespace preflight::media {

/// An open file and the name people know it by. The descriptor is only read; its position may move.
class MediaFile {
 public:
  /// Opens a regular file for reading. Errors: kNotFound, kIo, kInvalidInput (a directory, a
  /// device).
  static Result<MediaFile> open(const std::filesystem::path& path);
  /// Takes over a descriptor that somebody else opened with care of their own.
  static MediaFile adopt(int fd, std::string name);
  MediaFile(MediaFile&& other) noexcept;
  MediaFile& operator=(MediaFile&& other) noexcept;
  MediaFile(const MediaFile&) = delete;
  MediaFile& operator=(const MediaFile&) = delete;
  ~MediaFile();

  int fd() const { return fd_; }
  const std::string& name() const { return name_; }

 private:
  MediaFile(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
  int fd_ = -1;
  std::string name_;
};

/// What one decoding may cost. Passing one is an error that names it.
struct DecodeLimits {
  std::chrono::milliseconds wall{180'000};
  std::uint32_t cpu_s = 150;
  std::uint64_t memory_bytes = std::uint64_t{2} << 30;  ///< address space of the child
  std::uint64_t output_bytes = std::uint64_t{1} << 30;  ///< decoded pixels and samples
  std::uint64_t image_bytes = std::uint64_t{40} << 20;  ///< size of an image file
  std::uint64_t image_pixels = 64'000'000;
  std::uint64_t media_bytes = std::uint64_t{4} << 30;       ///< size of a sound or video file
  std::uint64_t video_pixels = std::uint64_t{4096} * 2304;  ///< of one frame: 4K, not 8K
  double video_s = 600;
  double sound_s = 600;
};

struct DecoderOptions {
  std::filesystem::path program;  ///< preflight-decode; empty: looked for, see Decoder::create
  DecodeLimits limits;
  std::function<bool()> cancelled;  ///< asked about ten times a second; true ends the child
};

struct DecodedImage {
  RgbImage picture;                   ///< upright (EXIF orientation applied), alpha dropped
  std::string format;                 ///< "png", "jpeg", "webp"
  std::uint32_t orientation = 1;      ///< EXIF 1..8 that was applied
  bool had_alpha = false;             ///< alpha was dropped
  std::uint64_t frames_left_out = 0;  ///< frames of an animation after the first
};

struct DecodedSound {
  std::vector<float> samples;  ///< 16 kHz, mean of the channels, in [-1, 1]
  std::uint32_t source_rate_hz = 0;
  std::uint32_t source_channels = 0;
  std::uint64_t source_samples = 0;  ///< per channel, before resampling, after the cut below
  std::uint64_t cut_samples =
      0;               ///< decoded, but before the start or past the stated end, per channel
  double start_s = 0;  ///< of a film's track: against the film's first frame
  std::uint64_t missing_samples = 0;  ///< stated by the file, but not there, per channel
  std::uint64_t broken_packets = 0;   ///< could not be decoded
};

struct PickedFrame {
  std::uint64_t index = 0;         ///< among the film's frames in the order shown
  double time_s = 0;               ///< first frame = 0
  std::uint32_t source_width = 0;  ///< upright, before the resize to a budget
  std::uint32_t source_height = 0;
  RgbImage picture;  ///< at the size of its budget, or the source size for budget 0
};

/// Which frames of a film to bring home.
struct VideoRequest {
  enum class Mode {
    kDefault,  ///< 32 frames below 32 s, else one a second, at most 60
    kSpread,   ///< `n_frames` over the whole film
    kTimes,    ///< the frame shown at each of `times_s`
  };
  struct At {
    double time_s = 0;
    std::uint32_t budget = kDefaultVideoBudget;
  };
  Mode mode = Mode::kDefault;
  std::uint64_t n_frames = 0;
  std::vector<At> at;  ///< kTimes: times with the budget of each; ascending
  std::uint32_t budget =
      kDefaultVideoBudget;  ///< of the other modes; 0 leaves frames at source size
  bool sound = false;       ///< the sound track too, where there is one
};

struct DecodedVideo {
  std::vector<PickedFrame> frames;
  std::uint64_t n_frames = 0;       ///< in the whole film
  std::uint64_t broken_frames = 0;  ///< could not be decoded, or not fully
  double duration_s = 0;
  bool constant_rate = true;
  double frames_per_s = 0;  ///< average
  bool has_sound_track = false;
  std::optional<DecodedSound> sound;  ///< when asked for and there
};

/// What a file is by its content, whatever its name says.
enum class MediaKind {
  kPicture,
  kSound,
  kFilm,  ///< has a picture track
};

/// Starts children; holds no process itself. Copyable, usable from several threads.
class Decoder {
 public:
  /// Looks for the program: the option, else beside the running executable, else
  /// /usr/libexec/preflight-decode. Errors: kNotFound naming the places looked at.
  static Result<Decoder> create(DecoderOptions options = {});

  /// Errors: kInvalidInput and kUnsupported, naming what the file is instead.
  Result<MediaKind> kind(const MediaFile& file) const;
  Result<DecodedImage> image(const MediaFile& file) const;
  /// A sound file, or the sound track of a film ("has no sound track" otherwise).
  Result<DecodedSound> sound(const MediaFile& file) const;
  Result<DecodedVideo> video(const MediaFile& file, const VideoRequest& request) const;
  /// Measured facts in one pass. A file that is recognised but breaks off while decoding is not an
  /// error here: MediaFacts::decodes says so. What is no media at all is.
  Result<MediaFacts> facts(const MediaFile& file) const;

  const std::filesystem::path& program() const { return options_.program; }

 private:
  explicit Decoder(DecoderOptions options) : options_(std::move(options)) {}
  DecoderOptions options_;
};

}  // namespace preflight::media
