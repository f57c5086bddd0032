#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vk/error.h"

/// Facts that are measured on a file without a model, in one pass over it. Times are in seconds
/// from the first picture (or first sample of a file without pictures). A field that does not apply
/// or could not be measured is empty, never zero.
namespace preflight::media {

struct TimeSpan {
  double start_s = 0;
  double end_s = 0;
};

struct SceneCut {
  double time_s = 0;  ///< first frame after the cut
  double score = 0;   ///< 0..100, how unlike the frame before it is
};

/// Bars around the picture that stay dark through the film, in pixels of the upright picture: rows
/// and columns whose mean is never above 24 of 255 (black is 16).
struct Letterbox {
  std::uint32_t top = 0, bottom = 0, left = 0, right = 0;
};

struct VideoFacts {
  std::string codec;              ///< "h264", "hevc", "vp9", ...
  std::string profile;            ///< "High"; empty where there is none
  std::string pixel_format;       ///< "yuv420p"
  std::uint32_t coded_width = 0;  ///< before rotation
  std::uint32_t coded_height = 0;
  std::uint32_t width = 0;  ///< after rotation
  std::uint32_t height = 0;
  int rotation_degrees = 0;             ///< clockwise, 0 90 180 270
  std::uint32_t sample_aspect_num = 1;  ///< 1:1 square pixels
  std::uint32_t sample_aspect_den = 1;
  std::uint64_t n_frames = 0;          ///< decoded
  std::optional<double> frames_per_s;  ///< average
  std::optional<bool> constant_rate;
  std::optional<double> duration_s;
  std::optional<std::uint64_t> bits_per_s;
  std::vector<TimeSpan> black;  ///< 98 % of the pixels at most 10 % luma, 0.1 s or more
  std::optional<bool> first_frame_black;
  /// The mean difference to the first frame of the span is at most -60 dB, 1 s or more. Stills that
  /// follow each other are spans of their own.
  std::vector<TimeSpan> frozen;
  std::vector<SceneCut> cuts;
  std::optional<Letterbox> letterbox;  ///< empty when every frame was dark; of the first frame size
};

struct SoundFacts {
  std::string codec;
  std::uint32_t rate_hz = 0;
  std::uint32_t channels = 0;
  std::optional<double> duration_s;
  std::optional<std::uint64_t> bits_per_s;
  /// EBU R128. Empty when all of it is below the gate or shorter than 0.4 s, and for more than
  /// eight channels.
  std::optional<double> integrated_lufs;
  std::optional<double> momentary_max_lufs;
  std::optional<double> short_term_max_lufs;  ///< empty below 3 s
  std::optional<double> loudness_range_lu;    ///< empty below 3 s
  std::optional<double> true_peak_dbtp;       ///< of the sound at 192 kHz
  std::optional<double> sample_peak_dbfs;
  std::uint64_t clipped_runs = 0;     ///< runs of 3 or more samples at full scale, any channel
  std::uint64_t clipped_samples = 0;  ///< in those runs
  std::optional<double> dc_offset;    ///< largest mean of a channel, full scale = 1
  /// Stereo: RMS level of left minus that of right, neither taken as less than -70 dB.
  std::optional<double> channel_difference_lu;
  std::optional<bool> channels_identical;  ///< stereo: every sample equal
  std::vector<TimeSpan> silences;          ///< at least 0.25 s with every sample below -50 dBFS
  double silent_s = 0;                     ///< all of them together
};

struct ImageFacts {
  std::string format;       ///< "png", "jpeg", "webp"
  std::uint32_t width = 0;  ///< upright
  std::uint32_t height = 0;
  std::uint32_t orientation = 1;  ///< EXIF
  bool has_alpha = false;
  bool animated = false;
};

struct StreamFacts {
  std::string kind;  ///< "video", "sound", "subtitle", "data", "other"
  std::string codec;
};

struct MediaFacts {
  std::string container;  ///< "mp4", "mov", "webm", "wav", ..., "png"
  std::uint64_t size_bytes = 0;
  std::optional<double> duration_s;         ///< as the container states it
  std::optional<std::uint64_t> bits_per_s;  ///< of the whole file
  std::vector<StreamFacts> streams;
  bool decodes = false;        ///< every packet, to the end
  std::string decode_problem;  ///< what went wrong otherwise, a clause after its name
  std::uint64_t broken_packets = 0;
  std::optional<VideoFacts> video;  ///< the first video stream
  std::optional<SoundFacts> sound;  ///< the first sound stream
  std::optional<ImageFacts> image;
};

/// JSON with the field names above; empty fields are left out.
std::string facts_to_json(const MediaFacts& facts);
/// Errors: kInvalidInput naming the field that is missing or of the wrong type.
Result<MediaFacts> facts_from_json(std::string_view json);

}  // namespace preflight::media
