// A bundle opened: every asset decoded once, measured, and given the ids that prompts, answers and
// findings name it by.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "daemon/protocol/bundle.h"
#include "daemon/review/checks.h"
#include "daemon/review/fact_rows.h"
#include "engine/media/decoder.h"

namespace preflight::review {

/// A still picture that the model sees.
struct Picture {
  std::string id;     ///< "product", "page_top", "page"
  std::string asset;  ///< the asset's id
  std::uint32_t budget = 0;
  media::RgbImage image;  ///< empty in a review without a model
};

struct Frame {
  std::string id;  ///< "f0012": the frame's number in the film
  std::string asset;
  double time_s = 0;
  media::RgbImage image;  ///< at the size of its budget
};

struct Clip {
  std::string id;  ///< "a01"
  std::string asset;
  double start_s = 0, end_s = 0;
  std::vector<float> samples;  ///< 16 kHz
};

struct TextItem {
  std::string id;     ///< "script", "copy", "page", "offer"
  std::string asset;  ///< what findings name; the id itself where there is no asset
  std::string text;
  bool third_party = false;
};

struct Material {
  std::vector<AssetFacts> facts;  ///< one for each asset, in the bundle's order
  std::vector<Picture> pictures;
  std::vector<Frame> frames;
  std::vector<Clip> clips;
  std::vector<TextItem> texts;
  std::string video;                  ///< asset id of the film that is shown; empty: none
  std::uint64_t film_frames = 0;      ///< in the whole film
  double speech_s = 0;                ///< length of the clips together
  double silence_left_out_s = 0;      ///< sound that is in no clip
  std::vector<std::string> not_seen;  ///< assets that no pass looks at
};

struct MaterialOptions {
  const media::Decoder* decoder = nullptr;
  bool for_model = false;    ///< pictures, frames and clips are wanted, not facts alone
  double hook_window_s = 3;  ///< of the first placement
  double clip_s = 12;
  std::uint32_t max_frames = 96;
  std::function<void(const std::string& asset)> on_asset;
  std::function<bool()> cancelled;
};

/// Opens the assets of a usable bundle. What is wrong with one of them is in its facts; only
/// kCancelled and failures of our own come back as errors.
Result<Material> open_material(const protocol::BundleReading& reading,
                               const std::filesystem::path& directory,
                               const MaterialOptions& options);

/// The texts of the bundle as the model gets them, without any file of a medium.
std::vector<TextItem> text_items(const protocol::Bundle& bundle);

/// Times of the frames to show: the hook window at 2 a second (budget 140), then 1 a second (70),
/// the last frame (140). More than `max_frames`: every n-th of the later ones.
std::vector<media::VideoRequest::At> frame_times(double duration_s, double hook_window_s,
                                                 std::uint32_t max_frames);

/// What there is to look at, by the names that checks.json asks for.
std::set<std::string> available_inputs(const protocol::Bundle& bundle, const Material& material);

/// "00:14.2"
std::string clock_time(double seconds);

}  // namespace preflight::review
