#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "engine/media/decoder/facts_film.h"
#include "engine/media/decoder/jobs.h"
#include "engine/media/decoder/picture.h"
#include "engine/media/decoder/sound_file.h"
#include "engine/media/decoder/sound_meter.h"

namespace preflight::media {
namespace {

/// The file is of a kind that is read, and something is wrong with it: that is a fact.
void set_problem(const Error& error, MediaFacts& facts) {
  facts.decodes = false;
  facts.decode_problem = error.message;
}

Result<MediaFacts> measure_picture(const Input& input, const DecodeLimits& limits,
                                   std::string container) {
  MediaFacts facts;
  facts.container = std::move(container);
  facts.size_bytes = input.size_bytes();
  const auto image = read_picture(input, limits);
  if (!image.has_value()) {
    if (image.error().code != ErrorCode::kInvalidInput) return tl::unexpected(image.error());
    set_problem(image.error(), facts);
    return facts;
  }
  facts.decodes = true;
  facts.image = ImageFacts{.format = image->format,
                           .width = image->picture.width,
                           .height = image->picture.height,
                           .orientation = image->orientation,
                           .has_alpha = image->had_alpha,
                           .animated = image->frames_left_out > 0};
  return facts;
}

Result<MediaFacts> measure_sound_file(const Input& input, const DecodeLimits& limits,
                                      std::string container) {
  MediaFacts facts;
  facts.container = std::move(container);
  facts.size_bytes = input.size_bytes();
  SoundFileInfo about;
  std::optional<SoundMeter> meter;
  const auto n_samples = read_sound_file(
      input,
      [&](const SoundFileInfo& info) -> Result<void> {
        about = info;
        if (info.rate_hz == 0)
          return fail(ErrorCode::kInvalidInput, "states a sample rate of 0 Hz");
        PREFLIGHT_TRY(meter, SoundMeter::create(info.rate_hz, usual_layout(info.channels)));
        return {};
      },
      [&](std::span<const float> block) -> Result<void> {
        PREFLIGHT_TRY_VOID(meter->push(block));
        if (static_cast<double>(meter->n_samples()) / about.rate_hz <= limits.sound_s) return {};
        return fail(ErrorCode::kLimit,
                    fmt::format("has more than {:.0f} s of sound, the longest that "
                                "is read",
                                limits.sound_s));
      });
  if (!n_samples.has_value()) {
    if (n_samples.error().code != ErrorCode::kInvalidInput)
      return tl::unexpected(n_samples.error());
    set_problem(n_samples.error(), facts);
    return facts;
  }
  PREFLIGHT_TRY(SoundFacts sound, meter->finish(0.0));
  sound.codec = about.codec;
  sound.rate_hz = about.rate_hz;
  sound.channels = about.channels;
  facts.streams.push_back({.kind = "sound", .codec = sound.codec});
  facts.decodes = true;
  const double duration_s = static_cast<double>(*n_samples) / sound.rate_hz;
  const std::uint64_t n_missing = n_missing_samples(about, *n_samples);
  if (*n_samples == 0) {
    set_problem({ErrorCode::kInvalidInput, "holds no sound: not a single sample"}, facts);
  } else if (n_missing > 0) {
    set_problem({ErrorCode::kInvalidInput,
                 fmt::format("breaks off: the last {:.2f} s of its sound are missing",
                             static_cast<double>(n_missing) / sound.rate_hz)},
                facts);
  } else if (meter->n_not_numbers() > 0) {
    set_problem({ErrorCode::kInvalidInput,
                 fmt::format("has {} samples that are not numbers", meter->n_not_numbers())},
                facts);
  }
  if (duration_s > 0.0) {
    facts.duration_s = duration_s;
    facts.bits_per_s =
        static_cast<std::uint64_t>(static_cast<double>(input.size_bytes()) * 8.0 / duration_s);
    sound.duration_s = duration_s;
    sound.bits_per_s = facts.bits_per_s;
  }
  facts.sound = std::move(sound);
  return facts;
}

std::string matroska_name(const Input& input) {
  std::array<std::uint8_t, 64> head = {};
  const std::int64_t n_read = input.read(0, head);
  const std::string_view text(reinterpret_cast<const char*>(head.data()),
                              n_read > 0 ? static_cast<std::size_t>(n_read) : 0);
  return text.find("webm") != std::string_view::npos ? "webm" : "matroska";
}

std::string iso_media_name(const Input& input) {
  std::array<std::uint8_t, 12> head = {};
  if (input.read(0, head) < 12) return "mp4";
  const std::string_view brand(reinterpret_cast<const char*>(head.data()) + 8, 4);
  const std::string_view box(reinterpret_cast<const char*>(head.data()) + 4, 4);
  // QuickTime files may begin without a brand at all.
  if (box != "ftyp" || brand == "qt  ") return "mov";
  return brand == "M4A " || brand == "M4B " ? "m4a" : "mp4";
}

}  // namespace

Result<MediaFacts> measure_facts(const Input& input, const DecodeLimits& limits) {
  switch (input.kind()) {
    case FileKind::kPng:
      return measure_picture(input, limits, "png");
    case FileKind::kJpeg:
      return measure_picture(input, limits, "jpeg");
    case FileKind::kWebp:
      return measure_picture(input, limits, "webp");
    case FileKind::kWav:
      return measure_sound_file(input, limits, "wav");
    case FileKind::kFlac:
      return measure_sound_file(input, limits, "flac");
    case FileKind::kOgg:
      return measure_sound_file(input, limits, "ogg");
    case FileKind::kMp3:
      return measure_sound_file(input, limits, "mp3");
    case FileKind::kIsoMedia:
      return measure_film(input, limits, iso_media_name(input));
    case FileKind::kMatroska:
      return measure_film(input, limits, matroska_name(input));
    case FileKind::kEmpty:
      return fail(ErrorCode::kInvalidInput, "is empty");
    default:
      return fail(ErrorCode::kInvalidInput,
                  fmt::format("is not a picture, sound or film that is read: it is {}",
                              describe(input.kind())));
  }
}

}  // namespace preflight::media
