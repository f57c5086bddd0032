#include "daemon/review/material.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "engine/media/sound.h"

namespace preflight::review {
namespace {

using protocol::Asset;
using protocol::Bundle;
using protocol::Role;

constexpr std::uint32_t kProductBudget = 280;
constexpr std::uint32_t kPageBudget = 560;
constexpr std::uint32_t kHookBudget = 140;
constexpr std::uint32_t kFrameBudget = 70;

bool is_medium(const Asset& asset) {
  switch (asset.role) {
    case Role::kVideo:
    case Role::kVoiceover:
    case Role::kProductImage:
    case Role::kThumbnail:
      return true;
    case Role::kLandingPage:
      return !asset.text.has_value();
    default:
      return false;
  }
}

/// The upper third of a long page: what a visitor sees first.
media::RgbImage top_third(const media::RgbImage& page) {
  media::RgbImage out;
  out.width = page.width;
  out.height = std::max<std::uint32_t>(1, page.height / 3);
  const std::size_t bytes = std::size_t{out.width} * out.height * 3;
  out.pixels.assign(page.pixels.begin(), page.pixels.begin() + static_cast<std::ptrdiff_t>(bytes));
  return out;
}

class Opener {
 public:
  Opener(const protocol::BundleReading& reading, const std::filesystem::path& directory,
         const MaterialOptions& options)
      : bundle_(reading.bundle), directory_(directory), options_(options) {
    for (const protocol::Problem& problem : reading.problems.errors)
      if (problem.asset >= 0) problems_[static_cast<std::size_t>(problem.asset)] = problem.message;
  }

  Result<Material> run() {
    for (std::size_t i = 0; i < bundle_.assets.size(); ++i) {
      if (options_.cancelled && options_.cancelled())
        return fail(ErrorCode::kCancelled, "the review was cancelled");
      const Asset& asset = bundle_.assets[i];
      AssetFacts facts{&asset, std::nullopt, {}};
      if (const auto problem = problems_.find(i); problem != problems_.end()) {
        facts.problem = problem->second;
      } else if (is_medium(asset)) {
        if (options_.on_asset) options_.on_asset(asset.id);
        PREFLIGHT_TRY_VOID(open(asset, facts));
      } else if (asset.role == Role::kReference) {
        out_.not_seen.push_back(asset.id);
      }
      if (!facts.problem.empty()) out_.not_seen.push_back(asset.id);
      out_.facts.push_back(std::move(facts));
    }
    for (TextItem& item : text_items(bundle_)) out_.texts.push_back(std::move(item));
    return std::move(out_);
  }

 private:
  /// Our own failures end the review; what is wrong with the file is the file's.
  static bool is_ours(const Error& error) {
    return error.code == ErrorCode::kCancelled || error.code == ErrorCode::kInternal;
  }

  Result<void> open(const Asset& asset, AssetFacts& facts) {
    auto file = media::MediaFile::open(directory_ / asset.path);
    if (!file) {
      facts.problem = file.error().message;
      return {};
    }
    auto measured = options_.decoder->facts(*file);
    if (!measured) {
      if (is_ours(measured.error())) return tl::unexpected(measured.error());
      facts.problem = measured.error().message;
      return {};
    }
    facts.media = std::move(*measured);
    if (!options_.for_model) return {};
    auto shown = show(asset, *file, *facts.media);
    if (shown) return {};
    if (is_ours(shown.error())) return tl::unexpected(shown.error());
    facts.problem = shown.error().message;
    return {};
  }

  Result<void> show(const Asset& asset, const media::MediaFile& file,
                    const media::MediaFacts& facts) {
    switch (asset.role) {
      case Role::kProductImage: {
        PREFLIGHT_TRY(media::DecodedImage image, options_.decoder->image(file));
        add_picture("product", asset.id, kProductBudget, std::move(image.picture));
        return {};
      }
      case Role::kLandingPage: {
        PREFLIGHT_TRY(media::DecodedImage image, options_.decoder->image(file));
        if (image.picture.height > 2 * image.picture.width)
          add_picture("page_top", asset.id, kPageBudget, top_third(image.picture));
        add_picture("page_picture", asset.id, kPageBudget, std::move(image.picture));
        return {};
      }
      case Role::kVideo:
        return show_video(asset, file, facts);
      case Role::kVoiceover: {
        if (!facts.sound) return {};  // the facts say so
        PREFLIGHT_TRY(const media::DecodedSound sound, options_.decoder->sound(file));
        add_clips(asset.id, sound);
        return {};
      }
      default:
        out_.not_seen.push_back(asset.id);
        return {};
    }
  }

  Result<void> show_video(const Asset& asset, const media::MediaFile& file,
                          const media::MediaFacts& facts) {
    if (!out_.video.empty()) {
      out_.not_seen.push_back(asset.id);  // one film is shown; the others were measured
      return {};
    }
    if (!facts.video) return {};
    const double duration_s = facts.video->duration_s.value_or(facts.duration_s.value_or(0));
    media::VideoRequest request;
    request.mode = media::VideoRequest::Mode::kTimes;
    request.at = frame_times(duration_s, options_.hook_window_s, options_.max_frames);
    request.sound = facts.sound.has_value();
    PREFLIGHT_TRY(media::DecodedVideo film, options_.decoder->video(file, request));
    out_.video = asset.id;
    out_.film_frames = film.n_frames;
    for (media::PickedFrame& frame : film.frames) {
      const std::string id = fmt::format("f{:04}", frame.index);
      if (!out_.frames.empty() && out_.frames.back().id == id) continue;
      out_.frames.push_back({id, asset.id, frame.time_s, std::move(frame.picture)});
    }
    if (film.sound) add_clips(asset.id, *film.sound);
    return {};
  }

  void add_picture(std::string_view id, const std::string& asset, std::uint32_t budget,
                   media::RgbImage image) {
    const auto same =
        std::count_if(out_.pictures.begin(), out_.pictures.end(), [&](const Picture& picture) {
          return picture.id == id || picture.id.starts_with(fmt::format("{}_", id));
        });
    std::string name = same == 0 ? std::string(id) : fmt::format("{}_{}", id, same + 1);
    out_.pictures.push_back({std::move(name), asset, budget, std::move(image)});
  }

  void add_clips(const std::string& asset, const media::DecodedSound& sound) {
    media::SplitOptions split = media::utterance_split();
    split.max_s = std::min(split.max_s, options_.clip_s);
    media::SoundClips cut = media::split_sound(sound.samples, split, sound.start_s);
    out_.silence_left_out_s += static_cast<double>(cut.dropped_samples) / media::kSampleRate;
    for (media::AudioClip& clip : cut.clips) {
      if (clip.samples.empty()) continue;
      const double length_s = static_cast<double>(clip.samples.size()) / media::kSampleRate;
      out_.speech_s += length_s;
      out_.clips.push_back({fmt::format("a{:02}", out_.clips.size() + 1), asset, clip.start_s,
                            clip.start_s + length_s, std::move(clip.samples)});
    }
  }

  const Bundle& bundle_;
  const std::filesystem::path& directory_;
  const MaterialOptions& options_;
  std::map<std::size_t, std::string> problems_;
  Material out_;
};

void add_line(std::string& text, std::string_view name, const std::string& value) {
  if (!value.empty()) text += fmt::format("{}: {}\n", name, value);
}

std::string offer_text(const protocol::Offer& offer) {
  std::string text;
  add_line(text, "promise", offer.promise);
  if (!offer.price.empty()) add_line(text, "price", offer.price + " " + offer.currency);
  if (offer.discount_pct) add_line(text, "discount", fmt::format("{}%", *offer.discount_pct));
  add_line(text, "terms", offer.terms);
  add_line(text, "ends", offer.ends);
  add_line(text, "call to action", offer.cta);
  return text;
}

std::string guardrail_text(const Bundle& bundle) {
  const protocol::Guardrails& rails = bundle.guardrails;
  std::string text;
  if (!rails.tone.empty()) add_line(text, "tone", fmt::format("{}", fmt::join(rails.tone, ", ")));
  for (const auto& entry : rails.must) add_line(text, entry.id + " must", entry.text);
  for (const auto& entry : rails.must_not) add_line(text, entry.id + " must not", entry.text);
  if (rails.brand_by_s) add_line(text, "brand by", fmt::format("{} s", *rails.brand_by_s));
  for (const auto& entry : rails.required_disclosures) {
    std::string line = entry.text;
    if (entry.min_s) line += fmt::format(" (at least {} s)", *entry.min_s);
    add_line(text, entry.id + " disclosure", line);
  }
  return text;
}

std::string claim_text(const Bundle& bundle) {
  std::string text;
  for (const auto& claim : bundle.allow) add_line(text, claim.id + " cleared", claim.text);
  return text;
}

}  // namespace

std::string clock_time(double seconds) {
  const auto tenths = static_cast<long>(std::lround(std::max(0.0, seconds) * 10));
  return fmt::format("{:02}:{:02}.{}", tenths / 600, tenths / 10 % 60, tenths % 10);
}

std::vector<media::VideoRequest::At> frame_times(double duration_s, double hook_window_s,
                                                 std::uint32_t max_frames) {
  std::vector<media::VideoRequest::At> hook;
  std::vector<media::VideoRequest::At> later;
  for (double t = 0; t < std::min(hook_window_s, std::max(duration_s, 0.1)); t += 0.5)
    hook.push_back({t, kHookBudget});
  for (double t = std::ceil(hook_window_s); t < duration_s; t += 1.0)
    later.push_back({t, kFrameBudget});
  const std::size_t room = max_frames > hook.size() + 1 ? max_frames - hook.size() - 1 : 0;
  if (hook.size() + 1 > max_frames) hook.resize(std::max<std::uint32_t>(1, max_frames) - 1);
  std::vector<media::VideoRequest::At> out = hook;
  for (std::size_t i = 0; i < std::min(room, later.size()); ++i)
    out.push_back(later[i * later.size() / std::min(room, later.size())]);
  // The last frame, a little before the stated end, where every container still has one.
  const double last = std::max(0.0, duration_s - 0.05);
  if (out.empty() || last > out.back().time_s + 0.2) out.push_back({last, kHookBudget});
  return out;
}

std::vector<TextItem> text_items(const Bundle& bundle) {
  std::vector<TextItem> out;
  std::map<std::string, int> used;
  const auto add = [&](std::string_view id, const std::string& asset, std::string text,
                       bool third_party) {
    if (text.empty()) return;
    const int n = ++used[std::string(id)];
    std::string name = n == 1 ? std::string(id) : fmt::format("{}_{}", id, n);
    out.push_back({name, asset.empty() ? name : asset, std::move(text), third_party});
  };
  if (bundle.offer) add("offer", "", offer_text(*bundle.offer), false);
  add("guardrails", "", guardrail_text(bundle), false);
  add("claims", "", claim_text(bundle), false);
  for (const Asset& asset : bundle.assets) {
    if (!asset.text) continue;
    switch (asset.role) {
      case Role::kBrief:
        add("brief", asset.id, *asset.text, asset.third_party);
        break;
      case Role::kGuardrails:
        add("guardrails", asset.id, *asset.text, asset.third_party);
        break;
      case Role::kScript:
        add("script", asset.id, *asset.text, asset.third_party);
        break;
      case Role::kHook:
        add("hook", asset.id, *asset.text, asset.third_party);
        break;
      case Role::kCaptions:
        add("captions", asset.id, *asset.text, asset.third_party);
        break;
      case Role::kLandingPage:
        add("page", asset.id, *asset.text, asset.third_party);
        break;
      default:
        break;
    }
  }
  std::string copy;
  for (const auto& [field, text] : bundle.copy) add_line(copy, field, text);
  add("copy", "", std::move(copy), false);
  return out;
}

std::set<std::string> available_inputs(const Bundle& bundle, const Material& material) {
  std::set<std::string> have;
  for (const AssetFacts& facts : material.facts) {
    if (!facts.problem.empty()) continue;
    const Role role = facts.asset->role;
    // A film is there when it has frames; sound when it has a track.
    if (role == Role::kVideo && (!facts.media || !facts.media->video)) continue;
    if (role == Role::kVoiceover && (!facts.media || !facts.media->sound)) continue;
    have.insert(std::string(to_string(role)));
    if ((role == Role::kVideo || role == Role::kVoiceover) && facts.media && facts.media->sound)
      have.insert("sound");
  }
  if (!material.clips.empty()) have.insert("speech");
  if (bundle.offer) have.insert("offer");
  if (!bundle.copy.empty()) have.insert("copy");
  if (bundle.guardrails.brand_by_s) have.insert("brand_by_s");
  if (!bundle.guardrails.tone.empty()) have.insert("tone");
  if (!bundle.guardrails.pronounce.empty()) have.insert("pronounce");
  if (!bundle.guardrails.required_disclosures.empty()) have.insert("disclosures");
  for (const auto& [axis, values] : bundle.matrix)
    if (!values.empty()) have.insert(fmt::format("matrix.{}", axis));
  return have;
}

Result<Material> open_material(const protocol::BundleReading& reading,
                               const std::filesystem::path& directory,
                               const MaterialOptions& options) {
  return Opener(reading, directory, options).run();
}

}  // namespace preflight::review
