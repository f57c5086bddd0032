#include "engine/media/decoder/protocol.h"

#include <array>
#include <cmath>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace preflight::media {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 5> kJobNames = {"image", "sound", "video", "facts", "kind"};
constexpr std::array<std::string_view, 3> kModeNames = {"default", "spread", "times"};

template <std::size_t N>
std::optional<std::size_t> index_of(const std::array<std::string_view, N>& names,
                                    const json& value) {
  if (!value.is_string()) return std::nullopt;
  for (std::size_t i = 0; i < N; ++i) {
    if (names[i] == value.get_ref<const std::string&>()) return i;
  }
  return std::nullopt;
}

tl::unexpected<Error> bad_job(std::string_view what) {
  return fail(ErrorCode::kInternal, fmt::format("the decoding job has no usable \"{}\"", what));
}

Result<std::uint64_t> whole(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned()) return bad_job(key);
  return found->get<std::uint64_t>();
}

Result<double> seconds(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number()) return bad_job(key);
  return found->get<double>();
}

Result<std::uint32_t> budget_of(const json& value) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > kImageBudgets.back()) {
    return bad_job("budget");
  }
  return value.get<std::uint32_t>();
}

json limits_to_json(const DecodeLimits& limits) {
  return {{"cpu_s", limits.cpu_s},
          {"memory_bytes", limits.memory_bytes},
          {"output_bytes", limits.output_bytes},
          {"image_bytes", limits.image_bytes},
          {"image_pixels", limits.image_pixels},
          {"media_bytes", limits.media_bytes},
          {"video_pixels", limits.video_pixels},
          {"video_s", limits.video_s},
          {"sound_s", limits.sound_s}};
}

Result<DecodeLimits> limits_from_json(const json& object) {
  DecodeLimits limits;
  PREFLIGHT_TRY(const std::uint64_t cpu_s, whole(object, "cpu_s"));
  if (cpu_s > UINT32_MAX) return bad_job("cpu_s");
  limits.cpu_s = static_cast<std::uint32_t>(cpu_s);
  PREFLIGHT_TRY(limits.memory_bytes, whole(object, "memory_bytes"));
  PREFLIGHT_TRY(limits.output_bytes, whole(object, "output_bytes"));
  PREFLIGHT_TRY(limits.image_bytes, whole(object, "image_bytes"));
  PREFLIGHT_TRY(limits.image_pixels, whole(object, "image_pixels"));
  PREFLIGHT_TRY(limits.media_bytes, whole(object, "media_bytes"));
  PREFLIGHT_TRY(limits.video_pixels, whole(object, "video_pixels"));
  PREFLIGHT_TRY(limits.video_s, seconds(object, "video_s"));
  PREFLIGHT_TRY(limits.sound_s, seconds(object, "sound_s"));
  return limits;
}

json video_to_json(const VideoRequest& video) {
  json at = json::array();
  for (const VideoRequest::At& one : video.at) at.push_back({one.time_s, one.budget});
  return {{"mode", kModeNames.at(static_cast<std::size_t>(video.mode))},
          {"n_frames", video.n_frames},
          {"budget", video.budget},
          {"at", at},
          {"sound", video.sound}};
}

Result<VideoRequest> video_from_json(const json& object) {
  VideoRequest video;
  const auto mode = index_of(kModeNames, object.value("mode", json()));
  if (!mode) return bad_job("mode");
  video.mode = static_cast<VideoRequest::Mode>(*mode);
  PREFLIGHT_TRY(video.n_frames, whole(object, "n_frames"));
  PREFLIGHT_TRY(video.budget, budget_of(object.value("budget", json())));
  const json at = object.value("at", json());
  if (!at.is_array()) return bad_job("at");
  for (const json& one : at) {
    if (!one.is_array() || one.size() != 2 || !one[0].is_number()) return bad_job("at");
    PREFLIGHT_TRY(const std::uint32_t budget, budget_of(one[1]));
    video.at.push_back({.time_s = one[0].get<double>(), .budget = budget});
  }
  const json sound = object.value("sound", json());
  if (!sound.is_boolean()) return bad_job("sound");
  video.sound = sound.get<bool>();
  return video;
}

}  // namespace

std::string job_to_json(const Job& job) {
  json out = {{"job", kJobNames.at(static_cast<std::size_t>(job.kind))},
              {"limits", limits_to_json(job.limits)}};
  if (job.kind == JobKind::kVideo) out["video"] = video_to_json(job.video);
  return out.dump();
}

Result<Job> job_from_json(std::string_view text) {
  const json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) return fail(ErrorCode::kInternal, "the decoding job is no JSON object");
  const auto kind = index_of(kJobNames, parsed.value("job", json()));
  if (!kind) return bad_job("job");
  Job job{.kind = static_cast<JobKind>(*kind), .limits = {}, .video = {}};
  const json limits = parsed.value("limits", json());
  if (!limits.is_object()) return bad_job("limits");
  PREFLIGHT_TRY(job.limits, limits_from_json(limits));
  if (job.kind == JobKind::kVideo) {
    const json video = parsed.value("video", json());
    if (!video.is_object()) return bad_job("video");
    PREFLIGHT_TRY(job.video, video_from_json(video));
  }
  return job;
}

}  // namespace preflight::media
