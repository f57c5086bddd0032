#include "engine/media/facts.h"

#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace preflight::media {
namespace {

using nlohmann::json;

/// Visits the fields of every struct under their names, so that writing and reading cannot differ.
template <class Facts, class Visit>
void visit_fields(Facts& f,
                  Visit& visit) requires std::is_same_v<std::remove_const_t<Facts>, TimeSpan> {
  visit("start_s", f.start_s);
  visit("end_s", f.end_s);
}

template <class Facts, class Visit>
void visit_fields(Facts& f,
                  Visit& visit) requires std::is_same_v<std::remove_const_t<Facts>, SceneCut> {
  visit("time_s", f.time_s);
  visit("score", f.score);
}

template <class Facts, class Visit>
void visit_fields(Facts& f,
                  Visit& visit) requires std::is_same_v<std::remove_const_t<Facts>, Letterbox> {
  visit("top", f.top);
  visit("bottom", f.bottom);
  visit("left", f.left);
  visit("right", f.right);
}

template <class Facts, class Visit>
void visit_fields(Facts& f,
                  Visit& visit) requires std::is_same_v<std::remove_const_t<Facts>, StreamFacts> {
  visit("kind", f.kind);
  visit("codec", f.codec);
}

template <class Facts, class Visit>
void visit_fields(Facts& f,
                  Visit& visit) requires std::is_same_v<std::remove_const_t<Facts>, ImageFacts> {
  visit("format", f.format);
  visit("width", f.width);
  visit("height", f.height);
  visit("orientation", f.orientation);
  visit("has_alpha", f.has_alpha);
  visit("animated", f.animated);
}

template <class Facts, class Visit>
void visit_fields(Facts& f,
                  Visit& visit) requires std::is_same_v<std::remove_const_t<Facts>, VideoFacts> {
  visit("codec", f.codec);
  visit("profile", f.profile);
  visit("pixel_format", f.pixel_format);
  visit("coded_width", f.coded_width);
  visit("coded_height", f.coded_height);
  visit("width", f.width);
  visit("height", f.height);
  visit("rotation_degrees", f.rotation_degrees);
  visit("sample_aspect_num", f.sample_aspect_num);
  visit("sample_aspect_den", f.sample_aspect_den);
  visit("n_frames", f.n_frames);
  visit("frames_per_s", f.frames_per_s);
  visit("constant_rate", f.constant_rate);
  visit("duration_s", f.duration_s);
  visit("bits_per_s", f.bits_per_s);
  visit("black", f.black);
  visit("first_frame_black", f.first_frame_black);
  visit("frozen", f.frozen);
  visit("cuts", f.cuts);
  visit("letterbox", f.letterbox);
}

template <class Facts, class Visit>
void visit_fields(Facts& f,
                  Visit& visit) requires std::is_same_v<std::remove_const_t<Facts>, SoundFacts> {
  visit("codec", f.codec);
  visit("rate_hz", f.rate_hz);
  visit("channels", f.channels);
  visit("duration_s", f.duration_s);
  visit("bits_per_s", f.bits_per_s);
  visit("integrated_lufs", f.integrated_lufs);
  visit("momentary_max_lufs", f.momentary_max_lufs);
  visit("short_term_max_lufs", f.short_term_max_lufs);
  visit("loudness_range_lu", f.loudness_range_lu);
  visit("true_peak_dbtp", f.true_peak_dbtp);
  visit("sample_peak_dbfs", f.sample_peak_dbfs);
  visit("clipped_runs", f.clipped_runs);
  visit("clipped_samples", f.clipped_samples);
  visit("dc_offset", f.dc_offset);
  visit("channel_difference_lu", f.channel_difference_lu);
  visit("channels_identical", f.channels_identical);
  visit("silences", f.silences);
  visit("silent_s", f.silent_s);
}

template <class Facts, class Visit>
void visit_fields(Facts& f,
                  Visit& visit) requires std::is_same_v<std::remove_const_t<Facts>, MediaFacts> {
  visit("container", f.container);
  visit("size_bytes", f.size_bytes);
  visit("duration_s", f.duration_s);
  visit("bits_per_s", f.bits_per_s);
  visit("streams", f.streams);
  visit("decodes", f.decodes);
  visit("decode_problem", f.decode_problem);
  visit("broken_packets", f.broken_packets);
  visit("video", f.video);
  visit("sound", f.sound);
  visit("image", f.image);
}

struct Writer {
  json out = json::object();

  template <class T>
  static json value(const T& field) {
    if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::string>) {
      return field;
    } else {
      Writer inner;
      visit_fields(field, inner);
      return std::move(inner.out);
    }
  }
  template <class T>
  void operator()(const char* key, const T& field) {
    out[key] = value(field);
  }
  template <class T>
  void operator()(const char* key, const std::optional<T>& field) {
    if (field) out[key] = value(*field);
  }
  template <class T>
  void operator()(const char* key, const std::vector<T>& field) {
    json list = json::array();
    for (const T& one : field) list.push_back(value(one));
    out[key] = std::move(list);
  }
};

struct Reader {
  const json& in;
  std::string wrong;  ///< the first field that is missing or of the wrong type

  template <class T>
  bool take(const json& from, T& field) {
    if constexpr (std::is_same_v<T, std::string>) {
      if (!from.is_string()) return false;
      field = from.get<std::string>();
    } else if constexpr (std::is_same_v<T, bool>) {
      if (!from.is_boolean()) return false;
      field = from.get<bool>();
    } else if constexpr (std::is_floating_point_v<T>) {
      if (!from.is_number() || !std::isfinite(from.get<double>())) return false;
      field = from.get<double>();
    } else if constexpr (std::is_unsigned_v<T>) {
      if (!from.is_number_unsigned()) return false;
      if (from.get<std::uint64_t>() > std::numeric_limits<T>::max()) return false;
      field = static_cast<T>(from.get<std::uint64_t>());
    } else if constexpr (std::is_integral_v<T>) {
      if (!from.is_number_integer()) return false;
      const auto number = from.get<std::int64_t>();
      if (number < std::numeric_limits<T>::min() || number > std::numeric_limits<T>::max()) {
        return false;
      }
      field = static_cast<T>(number);
    } else {
      if (!from.is_object()) return false;
      Reader inner{.in = from, .wrong = {}};
      visit_fields(field, inner);
      if (!inner.wrong.empty()) wrong = std::move(inner.wrong);
      return true;
    }
    return true;
  }
  void reject(const char* key) {
    if (wrong.empty()) wrong = key;
  }
  template <class T>
  void operator()(const char* key, T& field) {
    const auto found = in.find(key);
    if (found == in.end() || !take(*found, field)) reject(key);
  }
  template <class T>
  void operator()(const char* key, std::optional<T>& field) {
    const auto found = in.find(key);
    if (found == in.end()) return;
    T inner{};
    if (!take(*found, inner)) return reject(key);
    field = std::move(inner);
  }
  template <class T>
  void operator()(const char* key, std::vector<T>& field) {
    const auto found = in.find(key);
    if (found == in.end() || !found->is_array()) return reject(key);
    for (const json& one : *found) {
      T inner{};
      if (!take(one, inner)) return reject(key);
      field.push_back(std::move(inner));
    }
  }
};

}  // namespace

std::string facts_to_json(const MediaFacts& facts) {
  return Writer::value(facts).dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<MediaFacts> facts_from_json(std::string_view text) {
  const json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) return fail(ErrorCode::kInvalidInput, "the facts are no JSON object");
  MediaFacts facts;
  Reader reader{.in = parsed, .wrong = {}};
  visit_fields(facts, reader);
  if (!reader.wrong.empty()) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("the facts have no usable \"{}\"", reader.wrong));
  }
  return facts;
}

}  // namespace preflight::media
