#include "daemon/review/fact_rows.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace preflight::review {
namespace {

using Json = nlohmann::json;
using protocol::Role;

constexpr double kShortestSilence_s = 0.5;  // as the rules count silence
constexpr double kAtStart_s = 0.05;
constexpr double kLoudnessBlock_s = 0.4;  // EBU R128 weighs blocks of this length
constexpr std::uint32_t kMostLoudnessChannels = 8;

void put(MeasuredMap& map, std::string_view name, Json value, Json evidence = Json::array(),
         std::string detail = {}) {
  map[std::string(name)] = {std::move(value), {}, std::move(evidence), std::move(detail)};
}

void put_unknown(MeasuredMap& map, std::string_view name, std::string why) {
  map[std::string(name)] = {Json(), std::move(why), Json::array(), {}};
}

template <class T>
void put_optional(MeasuredMap& map, std::string_view name, const std::optional<T>& value,
                  std::string_view why) {
  if (value)
    put(map, name, *value);
  else
    put_unknown(map, name, std::string(why));
}

const media::TimeSpan* longest(const std::vector<media::TimeSpan>& spans) {
  const auto found = std::max_element(spans.begin(), spans.end(), [](const auto& a, const auto& b) {
    return a.end_s - a.start_s < b.end_s - b.start_s;
  });
  return found == spans.end() ? nullptr : &*found;
}

Json span_evidence(const media::TimeSpan& span) {
  return Json::array({Json{{"t0", span.start_s}, {"t1", span.end_s}}});
}

void put_longest(MeasuredMap& map, std::string_view name, const std::vector<media::TimeSpan>& spans,
                 double at_least_s) {
  const media::TimeSpan* span = longest(spans);
  if (span == nullptr || span->end_s - span->start_s < at_least_s)
    put(map, name, 0.0);
  else
    put(map, name, span->end_s - span->start_s, span_evidence(*span));
}

/// Container names that go with a file name's ending.
bool ending_fits(std::string_view extension, std::string_view container) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 24> kPairs = {
      {{".mp4", "mp4"},   {".m4v", "mp4"},   {".m4a", "mp4"},  {".m4a", "m4a"},
       {".mov", "mov"},   {".webm", "webm"}, {".mkv", "mkv"},  {".mkv", "matroska"},
       {".wav", "wav"},   {".flac", "flac"}, {".ogg", "ogg"},  {".oga", "ogg"},
       {".opus", "ogg"},  {".mp3", "mp3"},   {".png", "png"},  {".jpg", "jpeg"},
       {".jpeg", "jpeg"}, {".webp", "webp"}, {".mpg", "mpeg"}, {".mpeg", "mpeg"},
       {".avi", "avi"},   {".3gp", "3gp"},   {".mp4", "mov"},  {".gif", "gif"}}};
  return std::any_of(kPairs.begin(), kPairs.end(), [&](const auto& pair) {
    return pair.first == extension && pair.second == container;
  });
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

void measure_video(const media::MediaFacts& media, const RuleSet& rules, MeasuredMap& map) {
  const media::VideoFacts& video = *media.video;
  put(map, "video.codec", video.codec);
  put_optional(map, "video.fps", video.frames_per_s, "the frame rate is not stated");
  put_optional(map, "video.duration", video.duration_s ? video.duration_s : media.duration_s,
               "the file does not say how long it is");
  put(map, "video.size", Json::array({video.width, video.height}));
  put(map, "video.width", video.width);
  // Square pixels are what a viewer sees: a film of 720x576 with pixels of 16:15 is 4:3.
  const double ratio = video.height == 0 || video.sample_aspect_den == 0
                           ? 0.0
                           : static_cast<double>(video.width) / video.height *
                                 video.sample_aspect_num / video.sample_aspect_den;
  if (ratio > 0) {
    put(map, "video.aspect_ratio", ratio);
    const bool square = video.sample_aspect_num == video.sample_aspect_den;
    put(map, "video.aspect",
        square ? aspect_name(video.width, video.height, rules.aspect_tolerance)
               : aspect_name(static_cast<std::uint32_t>(std::lround(ratio * video.height)),
                             video.height, rules.aspect_tolerance));
  }
  put(map, "video.sample_aspect",
      fmt::format("{}:{}", video.sample_aspect_num, video.sample_aspect_den));
  put(map, "video.display_matrix",
      video.rotation_degrees == 0 ? std::string("none")
                                  : fmt::format("rotated by {} degrees", video.rotation_degrees));
  put_longest(map, "video.black_longest", video.black, 0);
  put_longest(map, "video.freeze_longest", video.frozen, 0);
  constexpr double kOpening_s = 3;
  put(map, "video.cuts_first_3s",
      std::count_if(video.cuts.begin(), video.cuts.end(),
                    [](const media::SceneCut& cut) { return cut.time_s < kOpening_s; }));
  if (!video.cuts.empty()) {
    const double first_s = video.cuts.front().time_s;
    put(map, "video.first_cut", first_s, span_evidence({first_s, first_s}));
  }
  put_optional(map, "video.first_frame_black", video.first_frame_black, "no frame was decoded");
  if (video.letterbox) {
    const media::Letterbox& bars = *video.letterbox;
    const bool none = bars.top == 0 && bars.bottom == 0 && bars.left == 0 && bars.right == 0;
    put(map, "video.letterbox",
        none ? std::string("none")
             : fmt::format("top {}, bottom {}, left {}, right {} px", bars.top, bars.bottom,
                           bars.left, bars.right));
  } else {
    put_unknown(map, "video.letterbox", "every frame is dark");
  }
  put(map, "audio.present", media.sound.has_value());
  for (const std::string_view name : {"flash.general_per_second", "flash.red_per_second"})
    put_unknown(map, name, "flashes are not counted by this version");
  put_unknown(map, "flash.screen_ratio", "flashes are not counted by this version");
  for (const std::string_view name : {"text.in_safe_area", "text.reading_speed",
                                      "text.on_screen_time", "disclaimer.on_screen_time"})
    put_unknown(map, name, "the place of text in the picture is not measured by this version");
}

void measure_sound(const media::SoundFacts& sound, MeasuredMap& map) {
  const bool short_sound = sound.duration_s && *sound.duration_s < kLoudnessBlock_s;
  put_optional(map, "audio.loudness_integrated", sound.integrated_lufs,
               short_sound ? "it is shorter than the 0.4 s that EBU R128 needs"
               : sound.channels > kMostLoudnessChannels
                   ? "it has more channels than EBU R128 weighs"
                   : "all of it is below the gate of EBU R128");
  put_optional(map, "audio.true_peak", sound.true_peak_dbtp, "no sample was decoded");
  put(map, "audio.clipped_runs", sound.clipped_runs);
  put_longest(map, "audio.silence_longest", sound.silences, kShortestSilence_s);
  const auto first = std::find_if(sound.silences.begin(), sound.silences.end(),
                                  [](const auto& span) { return span.start_s <= kAtStart_s; });
  if (first == sound.silences.end())
    put(map, "audio.silence_at_start", 0.0);
  else
    put(map, "audio.silence_at_start", first->end_s, span_evidence(*first));
  if (sound.channels >= 2) {
    if (sound.channel_difference_lu)
      put(map, "audio.channel_difference", std::abs(*sound.channel_difference_lu));
    else
      put_unknown(map, "audio.channel_difference", "one of the channels is silent");
  }
  put_unknown(map, "speech.rate", "the speech has not been written down");
}

bool in_list(const Json& list, const std::string& word) {
  return std::any_of(list.begin(), list.end(),
                     [&](const Json& entry) { return entry.get<std::string>() == word; });
}

/// Does the rule's condition hold for what was measured?
bool applies(const Rule& rule, const protocol::Bundle& bundle, const MeasuredMap& measured) {
  if (rule.when.is_null()) return true;
  if (const auto aspect = rule.when.find("aspect"); aspect != rule.when.end()) {
    const auto found = measured.find("video.aspect");
    if (found == measured.end() || !found->second.value.is_string() ||
        found->second.value.get<std::string>() != aspect->get<std::string>())
      return false;
  }
  if (const auto prefix = rule.when.find("locale_prefix"); prefix != rule.when.end()) {
    const std::string wanted = lower(prefix->get<std::string>());
    const std::string locale = lower(bundle.locale);
    if (locale != wanted && !locale.starts_with(wanted + "-")) return false;
  }
  return true;
}

std::string shown(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return fmt::format("{:.2f}", value.get<double>());
  if (value.is_array()) {
    std::string out;
    for (const Json& entry : value) {
      if (!out.empty()) out += ", ";
      out += shown(entry);
    }
    return out;
  }
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// " px"; nothing where the number counts things.
std::string unit_after(const Rule& rule) {
  return rule.unit.empty() || rule.unit == "count" ? std::string() : fmt::format(" {}", rule.unit);
}

std::string expectation(const Rule& rule) {
  const std::string unit = unit_after(rule);
  const Json& value = rule.value;
  if (rule.op == "le") return fmt::format("at most {}{}", shown(value), unit);
  if (rule.op == "ge") return fmt::format("at least {}{}", shown(value), unit);
  if (rule.op == "between")
    return fmt::format("{} to {}{}", shown(value[0]), shown(value[1]), unit);
  if (rule.op == "min")
    return fmt::format("at least {} x {}{}", shown(value[0]), shown(value[1]), unit);
  if (rule.op == "near")
    return fmt::format("{} give or take {}{}", shown(value[0]), shown(value[1]), unit);
  if (rule.op == "in") return fmt::format("one of {}", shown(value));
  if (rule.op == "in_max") return fmt::format("the length chosen, one of {}{}", shown(value), unit);
  if (rule.op == "not_contains") return fmt::format("none of {}", shown(value));
  return shown(value) + unit;
}

std::string sentence(const Rule& rule, const Measured& measured, std::string_view result) {
  const std::string unit = measured.value.is_number() ? unit_after(rule) : std::string();
  if (result == "not_measured") return fmt::format("{}: {}", rule.fact, measured.why_not);
  if (rule.op == "not_contains" && measured.value.is_string()) {
    std::vector<std::string> hits;
    const std::string low = lower(measured.value.get<std::string>());
    for (const Json& word : rule.value)
      if (low.find(lower(word.get<std::string>())) != std::string::npos)
        hits.push_back(fmt::format("\"{}\"", word.get<std::string>()));
    return hits.empty() ? fmt::format("{} has none of {}", rule.fact, shown(rule.value))
                        : fmt::format("{} has {} in it", rule.fact, fmt::join(hits, ", "));
  }
  // What is wrong with a yes-or-no fact is said by its detail alone.
  if (measured.value.is_boolean() && result != "pass" && !measured.detail.empty())
    return measured.detail;
  std::string text = fmt::format("{} is {}{}", rule.fact, shown(measured.value), unit);
  if (result == "shown")
    text += "; no verified limit is known";
  else if (result != "pass")
    text += fmt::format(", expected {}", expectation(rule));
  if (!measured.detail.empty()) text += fmt::format(": {}", measured.detail);
  return text;
}

Json row(const Rule& rule, const protocol::Asset* asset, const std::string* placement,
         const Measured& measured, const std::optional<double>& max_duration_s) {
  const std::string result = judge(rule, measured, max_duration_s);
  Json out = {{"id", rule.id},
              {"fact", rule.fact},
              {"op", rule.op},
              {"measured", measured.value},
              {"expected", rule.value},
              {"unit", rule.unit.empty() ? Json() : Json(rule.unit)},
              {"result", result},
              {"severity", to_string(rule.severity)},
              {"source", rule.source.empty() ? Json() : Json(rule.source)},
              {"as_of", rule.as_of},
              {"status", rule.status},
              {"placement", placement == nullptr ? Json() : Json(*placement)},
              {"asset", asset == nullptr ? Json() : Json(asset->id)},
              {"text", sentence(rule, measured, result)}};
  if (!measured.evidence.empty()) out["evidence"] = measured.evidence;
  if (!rule.note.empty()) out["note"] = rule.note;
  return out;
}

/// Bytes and lengths that rules state in other units than the files do.
Measured in_unit_of(const Rule& rule, const Measured& measured) {
  // A length rule on a text compares its code points.
  if (rule.fact.starts_with("copy.") && measured.value.is_string() &&
      (rule.op == "le" || rule.op == "ge" || rule.op == "between")) {
    Measured out = measured;
    out.value = protocol::code_points(measured.value.get_ref<const std::string&>());
    return out;
  }
  return measured;
}

bool has_role(const Rule& rule, std::string_view role) {
  return std::any_of(rule.roles.begin(), rule.roles.end(), [&](const std::string& name) {
    return name == role || (name == "*" && role != "copy");
  });
}

}  // namespace

std::string aspect_name(std::uint32_t width, std::uint32_t height, double tolerance) {
  if (width == 0 || height == 0) return "none";
  static constexpr std::array<std::pair<int, int>, 11> kNamed = {
      {{9, 16}, {16, 9}, {1, 1}, {4, 5}, {5, 4}, {4, 3}, {3, 4}, {2, 3}, {3, 2}, {21, 9}, {2, 1}}};
  const double ratio = static_cast<double>(width) / height;
  for (const auto& [w, h] : kNamed) {
    const double named = static_cast<double>(w) / h;
    if (std::abs(ratio - named) <= tolerance * named) return fmt::format("{}:{}", w, h);
  }
  const std::uint32_t divisor = std::gcd(width, height);
  return fmt::format("{}:{}", width / divisor, height / divisor);
}

MeasuredMap measure_asset(const AssetFacts& facts, const RuleSet& rules) {
  MeasuredMap map;
  if (facts.asset == nullptr) return map;
  const Role role = facts.asset->role;
  const bool is_media = role == Role::kVideo || role == Role::kVoiceover ||
                        role == Role::kProductImage || role == Role::kThumbnail || facts.media;
  if (!facts.problem.empty()) {
    put(map, "media.decodes", false, Json::array(), facts.problem);
    return map;
  }
  if (!is_media || !facts.media) return map;
  const media::MediaFacts& media = *facts.media;
  put(map, "media.decodes", media.decodes, Json::array(), media.decode_problem);
  put(map, "file.container", media.container);
  const std::string extension =
      lower(std::filesystem::path(facts.asset->path).extension().string());
  put(map, "file.type_matches_name", ending_fits(extension, media.container), Json::array(),
      fmt::format("a {} file named \"{}\"", media.container, facts.asset->path));
  const double megabytes = static_cast<double>(media.size_bytes) / rules.megabyte;
  put(map, "file.size", megabytes);
  if (media.image) put(map, "image.file_size", megabytes);
  if (role == Role::kVideo && !media.video) {
    put(map, "media.decodes", false, Json::array(),
        fmt::format("\"{}\" has no picture", facts.asset->path));
    return map;
  }
  if (role == Role::kVoiceover && !media.sound) {
    put(map, "media.decodes", false, Json::array(),
        fmt::format("\"{}\" has no sound", facts.asset->path));
    return map;
  }
  if (media.video) measure_video(media, rules, map);
  if (media.sound) measure_sound(*media.sound, map);
  if (media.bits_per_s) {
    put(map, "video.bitrate_total", static_cast<double>(*media.bits_per_s) / 1000);
  } else if (media.duration_s && *media.duration_s > 0) {
    put(map, "video.bitrate_total",
        static_cast<double>(media.size_bytes) * 8 / *media.duration_s / 1000);
  }
  return map;
}

MeasuredMap measure_copy(const protocol::Bundle& bundle) {
  MeasuredMap map;
  for (const auto& [field, text] : bundle.copy) put(map, fmt::format("copy.{}", field), text);
  return map;
}

std::string judge(const Rule& rule, const Measured& measured,
                  const std::optional<double>& max_duration_s) {
  const Json& found = measured.value;
  const Json& value = rule.value;
  if (found.is_null()) return "not_measured";
  if (value.is_null()) return "shown";
  bool holds = false;
  if (rule.op == "eq") {
    holds = found == value;
  } else if (rule.op == "in") {
    holds = found.is_string() && in_list(value, found.get<std::string>());
  } else if (rule.op == "not_contains") {
    const std::string text = found.is_string() ? lower(found.get<std::string>()) : "";
    holds = std::none_of(value.begin(), value.end(), [&](const Json& word) {
      return text.find(lower(word.get<std::string>())) != std::string::npos;
    });
  } else if (rule.op == "min") {
    holds = found.is_array() && found.size() == 2 &&
            found[0].get<double>() >= value[0].get<double>() &&
            found[1].get<double>() >= value[1].get<double>();
  } else if (!found.is_number()) {
    holds = false;
  } else {
    const double x = found.get<double>();
    if (rule.op == "le") holds = x <= value.get<double>();
    if (rule.op == "ge") holds = x >= value.get<double>();
    if (rule.op == "between") holds = x >= value[0].get<double>() && x <= value[1].get<double>();
    if (rule.op == "near") holds = std::abs(x - value[0].get<double>()) <= value[1].get<double>();
    if (rule.op == "in_max") {
      if (!max_duration_s) return "needs_human";
      // Containers round a frame up: half a frame of 24 a second is allowed.
      holds = x <= *max_duration_s + 0.021 &&
              std::any_of(value.begin(), value.end(), [&](const Json& allowed) {
                return allowed.get<double>() == *max_duration_s;
              });
    }
  }
  return holds ? "pass" : rule.outcome;
}

Json rule_rows(const protocol::Bundle& bundle, const RuleSet& rules, const protocol::Asset* asset,
               std::string_view role, const MeasuredMap& measured) {
  Json rows = Json::array();
  std::set<std::string> done;
  for (const protocol::PlacementUse& use : bundle.placements) {
    const auto found = rules.placements.find(use.id);
    if (found == rules.placements.end()) continue;
    if (asset != nullptr && !asset->placements.empty() &&
        std::find(asset->placements.begin(), asset->placements.end(), use.id) ==
            asset->placements.end())
      continue;
    const auto take = [&](const Rule& rule, const std::string* placement) {
      const auto fact = measured.find(rule.fact);
      if (fact == measured.end()) return;
      if (!has_role(rule, role) && rule.fact != "media.decodes") return;
      if (!applies(rule, bundle, measured)) return;
      rows.push_back(
          row(rule, asset, placement, in_unit_of(rule, fact->second), use.max_duration_s));
    };
    for (const Rule* rule : rules.common_for(found->second))
      if (done.insert(rule->id).second) take(*rule, nullptr);
    for (const Rule& rule : found->second.rules) take(rule, &use.id);
  }
  return rows;
}

}  // namespace preflight::review
