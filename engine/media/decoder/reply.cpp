#include "engine/media/decoder/reply.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/media/decoder/protocol.h"

namespace preflight::media {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxClauseBytes = 400;
constexpr std::uint64_t kMaxSide = 1 << 20;
constexpr double kMaxSeconds = 1e7;

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

tl::unexpected<Error> bad_reply(std::string_view what) {
  return fail(ErrorCode::kInternal,
              fmt::format("could not be decoded: the decoder's answer has no usable \"{}\"", what));
}

/// Collects the first wrong field, so that parsers read as lists of fields.
class Fields {
 public:
  explicit Fields(const json& object) : object_(object) {
    if (!object.is_object()) wrong_ = "object";
  }

  template <class T>
  void whole(const char* key, T& out, std::uint64_t max) {
    const json* value = find(key);
    if (value == nullptr) return;
    if (!value->is_number_unsigned() || value->get<std::uint64_t>() > max) {
      wrong_ = key;
      return;
    }
    out = static_cast<T>(value->get<std::uint64_t>());
  }
  void seconds(const char* key, double& out) {
    const json* value = find(key);
    if (value == nullptr) return;
    if (!value->is_number() || !(std::abs(value->get<double>()) <= kMaxSeconds)) {
      wrong_ = key;
      return;
    }
    out = value->get<double>();
  }
  void boolean(const char* key, bool& out) {
    const json* value = find(key);
    if (value == nullptr) return;
    if (!value->is_boolean()) {
      wrong_ = key;
      return;
    }
    out = value->get<bool>();
  }
  void text(const char* key, std::string& out) {
    const json* value = find(key);
    if (value == nullptr) return;
    if (!value->is_string()) {
      wrong_ = key;
      return;
    }
    out = value->get<std::string>();
  }
  Result<void> done() const {
    if (wrong_ != nullptr) return bad_reply(wrong_);
    return {};
  }

 private:
  const json* find(const char* key) {
    if (wrong_ != nullptr) return nullptr;
    const auto found = object_.find(key);
    if (found != object_.end()) return &*found;
    wrong_ = key;
    return nullptr;
  }

  const json& object_;
  const char* wrong_ = nullptr;
};

/// The bytes [at, at + n * size) of the memory; n * size is checked for overflow.
Result<std::span<const std::byte>> array_at(std::span<const std::byte> memory, std::uint64_t at,
                                            std::uint64_t n, std::uint64_t size) {
  if (at > memory.size() || n > (memory.size() - at) / size) return bad_reply("at");
  return memory.subspan(at, n * size);
}

Result<json> put_picture(const RgbImage& picture, const AppendArray& append) {
  PREFLIGHT_TRY(const std::uint64_t at, append(std::as_bytes(std::span(picture.pixels))));
  return json{{"width", picture.width}, {"height", picture.height}, {"at", at}};
}

Result<RgbImage> take_picture(const json& object, std::span<const std::byte> memory) {
  RgbImage picture;
  std::uint64_t at = 0;
  Fields fields(object);
  fields.whole("width", picture.width, kMaxSide);
  fields.whole("height", picture.height, kMaxSide);
  fields.whole("at", at, memory.size());
  PREFLIGHT_TRY_VOID(fields.done());
  if (picture.width == 0 || picture.height == 0) return bad_reply("width");
  PREFLIGHT_TRY(const auto bytes,
                array_at(memory, at, std::uint64_t{picture.width} * picture.height, 3));
  picture.pixels.resize(bytes.size());
  std::memcpy(picture.pixels.data(), bytes.data(), bytes.size());
  return picture;
}

Result<json> put_sound(const DecodedSound& sound, const AppendArray& append) {
  PREFLIGHT_TRY(const std::uint64_t at, append(std::as_bytes(std::span(sound.samples))));
  return json{{"n_samples", sound.samples.size()},
              {"at", at},
              {"source_rate_hz", sound.source_rate_hz},
              {"source_channels", sound.source_channels},
              {"source_samples", sound.source_samples},
              {"cut_samples", sound.cut_samples},
              {"missing_samples", sound.missing_samples},
              {"broken_packets", sound.broken_packets},
              {"start_s", sound.start_s}};
}

Result<DecodedSound> take_sound(const json& object, std::span<const std::byte> memory) {
  DecodedSound sound;
  std::uint64_t n_samples = 0;
  std::uint64_t at = 0;
  Fields fields(object);
  fields.whole("n_samples", n_samples, memory.size());
  fields.whole("at", at, memory.size());
  fields.whole("source_rate_hz", sound.source_rate_hz, UINT32_MAX);
  fields.whole("source_channels", sound.source_channels, UINT32_MAX);
  fields.whole("source_samples", sound.source_samples, UINT64_MAX);
  fields.whole("cut_samples", sound.cut_samples, UINT64_MAX);
  fields.whole("missing_samples", sound.missing_samples, UINT64_MAX);
  fields.whole("broken_packets", sound.broken_packets, UINT64_MAX);
  fields.seconds("start_s", sound.start_s);
  PREFLIGHT_TRY_VOID(fields.done());
  PREFLIGHT_TRY(const auto bytes, array_at(memory, at, n_samples, sizeof(float)));
  sound.samples.resize(n_samples);
  if (!bytes.empty()) std::memcpy(sound.samples.data(), bytes.data(), bytes.size());
  if (!std::all_of(sound.samples.begin(), sound.samples.end(),
                   [](float x) { return std::isfinite(x); })) {
    return bad_reply("samples");
  }
  return sound;
}

Result<PickedFrame> take_frame(const json& object, std::span<const std::byte> memory) {
  PickedFrame frame;
  Fields fields(object);
  fields.whole("index", frame.index, kMaxFilmFrames);
  fields.seconds("time_s", frame.time_s);
  fields.whole("source_width", frame.source_width, kMaxSide);
  fields.whole("source_height", frame.source_height, kMaxSide);
  PREFLIGHT_TRY_VOID(fields.done());
  PREFLIGHT_TRY(frame.picture, take_picture(object, memory));
  return frame;
}

/// Text of the child that a person will read: one line, no control characters, not endless.
std::string clean_clause(std::string text) {
  text.resize(std::min(text.size(), kMaxClauseBytes));
  std::replace_if(
      text.begin(), text.end(),
      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '\x7f'; }, ' ');
  return text;
}

/// The reply's object, or the error it carries.
Result<json> parse_reply(std::string_view reply) {
  json parsed = json::parse(reply, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) return bad_reply("object");
  const auto error = parsed.find("error");
  if (error == parsed.end()) return parsed;
  std::uint64_t code = 0;
  std::string says;
  Fields fields(*error);
  fields.whole("code", code, static_cast<std::uint64_t>(ErrorCode::kInternal));
  fields.text("says", says);
  PREFLIGHT_TRY_VOID(fields.done());
  return fail(static_cast<ErrorCode>(code), clean_clause(std::move(says)));
}

}  // namespace

std::string encode_error(const Error& error) {
  return dump(
      {{"error", {{"code", static_cast<std::uint64_t>(error.code)}, {"says", error.message}}}});
}

Result<std::string> encode_image(const DecodedImage& image, const AppendArray& append) {
  PREFLIGHT_TRY(json out, put_picture(image.picture, append));
  out["format"] = image.format;
  out["orientation"] = image.orientation;
  out["had_alpha"] = image.had_alpha;
  out["frames_left_out"] = image.frames_left_out;
  return dump(out);
}

Result<DecodedImage> parse_image(std::string_view reply, std::span<const std::byte> memory) {
  PREFLIGHT_TRY(const json object, parse_reply(reply));
  DecodedImage image;
  Fields fields(object);
  fields.text("format", image.format);
  fields.whole("orientation", image.orientation, 8);
  fields.boolean("had_alpha", image.had_alpha);
  fields.whole("frames_left_out", image.frames_left_out, UINT32_MAX);
  PREFLIGHT_TRY_VOID(fields.done());
  PREFLIGHT_TRY(image.picture, take_picture(object, memory));
  return image;
}

Result<std::string> encode_sound(const DecodedSound& sound, const AppendArray& append) {
  PREFLIGHT_TRY(const json out, put_sound(sound, append));
  return dump(out);
}

Result<DecodedSound> parse_sound(std::string_view reply, std::span<const std::byte> memory) {
  PREFLIGHT_TRY(const json object, parse_reply(reply));
  return take_sound(object, memory);
}

Result<std::string> encode_video(const DecodedVideo& video, const AppendArray& append) {
  json frames = json::array();
  for (const PickedFrame& frame : video.frames) {
    PREFLIGHT_TRY(json out, put_picture(frame.picture, append));
    out["index"] = frame.index;
    out["time_s"] = frame.time_s;
    out["source_width"] = frame.source_width;
    out["source_height"] = frame.source_height;
    frames.push_back(std::move(out));
  }
  json out = {{"frames", std::move(frames)},
              {"n_frames", video.n_frames},
              {"broken_frames", video.broken_frames},
              {"duration_s", video.duration_s},
              {"constant_rate", video.constant_rate},
              {"frames_per_s", video.frames_per_s},
              {"has_sound_track", video.has_sound_track}};
  if (video.sound) {
    PREFLIGHT_TRY(out["sound"], put_sound(*video.sound, append));
  }
  return dump(out);
}

Result<DecodedVideo> parse_video(std::string_view reply, std::span<const std::byte> memory) {
  PREFLIGHT_TRY(const json object, parse_reply(reply));
  DecodedVideo video;
  Fields fields(object);
  fields.whole("n_frames", video.n_frames, kMaxFilmFrames);
  fields.whole("broken_frames", video.broken_frames, UINT32_MAX);
  fields.seconds("duration_s", video.duration_s);
  fields.boolean("constant_rate", video.constant_rate);
  fields.seconds("frames_per_s", video.frames_per_s);
  fields.boolean("has_sound_track", video.has_sound_track);
  PREFLIGHT_TRY_VOID(fields.done());
  const auto frames = object.find("frames");
  if (frames == object.end() || !frames->is_array() || frames->empty()) return bad_reply("frames");
  for (const json& one : *frames) {
    PREFLIGHT_TRY(PickedFrame frame, take_frame(one, memory));
    const bool ascends = video.frames.empty() || frame.index > video.frames.back().index;
    if (!ascends || frame.index >= video.n_frames) return bad_reply("index");
    video.frames.push_back(std::move(frame));
  }
  const auto sound = object.find("sound");
  if (sound != object.end()) {
    PREFLIGHT_TRY(video.sound, take_sound(*sound, memory));
  }
  return video;
}

std::string encode_facts(const MediaFacts& facts) { return facts_to_json(facts); }

Result<MediaFacts> parse_facts(std::string_view reply) {
  PREFLIGHT_TRY(const json object, parse_reply(reply));
  return facts_from_json(reply);
}

std::string encode_kind(MediaKind kind) {
  return dump({{"kind", static_cast<std::uint64_t>(kind)}});
}

Result<MediaKind> parse_kind(std::string_view reply) {
  PREFLIGHT_TRY(const json object, parse_reply(reply));
  std::uint64_t kind = 0;
  Fields fields(object);
  fields.whole("kind", kind, static_cast<std::uint64_t>(MediaKind::kFilm));
  PREFLIGHT_TRY_VOID(fields.done());
  return static_cast<MediaKind>(kind);
}

}  // namespace preflight::media
