#include "engine/run/preprocess.h"

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "engine/media/decoder.h"
#include "engine/media/preprocess.h"
#include "engine/media/sound.h"
#include "engine/model/model_file.h"
#include "engine/model/safetensors_write.h"
#include "engine/run/command.h"

namespace preflight::run {
namespace {

using media::ImagePatches;
using model::OutputTensor;

struct PreprocessOptions {
  std::filesystem::path file;
  std::filesystem::path out;
  std::filesystem::path model;
  std::filesystem::path mmproj;
  std::optional<std::uint32_t> budget;
  std::optional<std::uint64_t> n_frames;
};

/// Patches of one or more pictures, one after another.
struct Patches {
  std::vector<float> values;
  std::vector<std::int32_t> positions;

  void add(const ImagePatches& image) {
    values.insert(values.end(), image.patches.begin(), image.patches.end());
    for (std::uint32_t t = 0; t < image.n_tokens(); ++t) {
      positions.push_back(static_cast<std::int32_t>(t % image.columns));
      positions.push_back(static_cast<std::int32_t>(t / image.columns));
    }
  }
  std::uint64_t n() const { return positions.size() / 2; }
  OutputTensor patches_tensor() const {
    return {.name = "patches", .shape = {n(), media::kPatchValues}, .data = std::span(values)};
  }
  OutputTensor positions_tensor() const {
    return {.name = "positions", .shape = {n(), 2}, .data = std::span(positions)};
  }
};

/// With a model, its embedders must be able to take what is made here.
Result<void> check_model(const PreprocessOptions& options, bool sound) {
  if (options.model.empty()) return {};
  PREFLIGHT_TRY(const model::ModelFile file, model::ModelFile::open(options.model, options.mmproj));
  const model::ModelConfig& config = file.config();
  if (sound && !config.has_audio()) {
    return fail(ErrorCode::kUnsupported, fmt::format("{} takes no sound", options.model.string()));
  }
  if (!sound && config.vision_embed_dim == 0) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("{} takes no pictures", options.model.string()));
  }
  return {};
}

Result<void> refuse_option(bool given, const char* option, const std::string& name,
                           const char* kind) {
  if (!given) return {};
  return fail(ErrorCode::kInvalidInput,
              fmt::format("{} is a {}: {} has no meaning for it", name, kind, option));
}

Result<void> write_image(const PreprocessOptions& options, const media::Decoder& decoder,
                         const media::MediaFile& file) {
  PREFLIGHT_TRY_VOID(
      refuse_option(options.n_frames.has_value(), "--frames", file.name(), "picture"));
  PREFLIGHT_TRY_VOID(check_model(options, /*sound=*/false));
  PREFLIGHT_TRY(
      const ImagePatches image,
      media::load_image(decoder, file, options.budget.value_or(media::kDefaultImageBudget)));
  Patches patches;
  patches.add(image);
  const std::array tensors = {patches.patches_tensor(), patches.positions_tensor()};
  PREFLIGHT_TRY_VOID(model::write_safetensors(options.out, tensors));
  return write_stdout(fmt::format("{}: {}x{} pixels, {} patches ({} x {})\n", file.name(),
                                  image.source_width, image.source_height, image.n_tokens(),
                                  image.columns, image.rows));
}

Result<void> write_video(const PreprocessOptions& options, const media::Decoder& decoder,
                         const media::MediaFile& file) {
  PREFLIGHT_TRY_VOID(check_model(options, /*sound=*/false));
  media::VideoRequest request;
  request.budget = options.budget.value_or(media::kDefaultVideoBudget);
  if (options.n_frames) {
    request.mode = media::VideoRequest::Mode::kSpread;
    request.n_frames = *options.n_frames;
  }
  PREFLIGHT_TRY(const media::LoadedVideo video, media::load_video(decoder, file, request));
  Patches patches;
  std::vector<std::int32_t> frame_rows;
  std::vector<float> times;
  for (const media::VideoFrame& frame : video.frames) {
    patches.add(frame.image);
    frame_rows.push_back(static_cast<std::int32_t>(frame.image.n_tokens()));
    times.push_back(static_cast<float>(frame.time_s));
  }
  const std::array tensors = {
      patches.patches_tensor(), patches.positions_tensor(),
      OutputTensor{
          .name = "frame_rows", .shape = {frame_rows.size()}, .data = std::span(frame_rows)},
      OutputTensor{.name = "times", .shape = {times.size()}, .data = std::span(times)}};
  PREFLIGHT_TRY_VOID(model::write_safetensors(options.out, tensors));
  return write_stdout(
      fmt::format("{}: {:.3f} s, {} frames, {} looked at, {} left out, {} broken; {} patches\n",
                  file.name(), video.duration_s, video.n_frames, video.frames.size(),
                  video.frames_left_out, video.broken_frames, patches.n()));
}

Result<void> write_sound(const PreprocessOptions& options, const media::Decoder& decoder,
                         const media::MediaFile& file) {
  PREFLIGHT_TRY_VOID(refuse_option(options.n_frames.has_value(), "--frames", file.name(), "sound"));
  PREFLIGHT_TRY_VOID(refuse_option(options.budget.has_value(), "--budget", file.name(), "sound"));
  PREFLIGHT_TRY_VOID(check_model(options, /*sound=*/true));
  PREFLIGHT_TRY(const media::DecodedSound sound, decoder.sound(file));
  auto made = media::audio_frames(sound.samples);
  if (!made.has_value()) {
    return fail(made.error().code, fmt::format("{}: {}", file.name(), made.error().message));
  }
  const std::vector<float>& frames = *made;
  const std::uint64_t n = frames.size() / media::kAudioFrame;
  const std::array tensors = {
      OutputTensor{.name = "frames", .shape = {n, media::kAudioFrame}, .data = std::span(frames)}};
  PREFLIGHT_TRY_VOID(model::write_safetensors(options.out, tensors));
  return write_stdout(fmt::format(
      "{}: {} samples at {} Hz in {} channels, {} frames of 40 ms; {} samples cut after the stated "
      "end, {} missing\n",
      file.name(), sound.source_samples, sound.source_rate_hz, sound.source_channels, n,
      sound.cut_samples, sound.missing_samples));
}

Result<void> preprocess(const PreprocessOptions& options) {
  PREFLIGHT_TRY(const media::Decoder decoder, media::Decoder::create());
  PREFLIGHT_TRY(const media::MediaFile file, media::MediaFile::open(options.file));
  PREFLIGHT_TRY(const media::MediaKind kind, decoder.kind(file));
  switch (kind) {
    case media::MediaKind::kPicture:
      return write_image(options, decoder, file);
    case media::MediaKind::kSound:
      return write_sound(options, decoder, file);
    case media::MediaKind::kFilm:
      return write_video(options, decoder, file);
  }
  return fail(ErrorCode::kInternal, "a medium of no kind");
}

}  // namespace

void add_preprocess(CLI::App& app, Result<void>& outcome) {
  const auto options = std::make_shared<PreprocessOptions>();
  CLI::App* command = app.add_subcommand(
      "preprocess", "What the embedders would be given for a picture, a film or a sound");
  command->add_option("file", options->file, "The medium")->required();
  command->add_option("--out", options->out, "safetensors file to write")->required();
  command->add_option("--model", options->model, "Check that this model takes such media");
  command->add_option("--mmproj", options->mmproj, "Its GGUF of embedders");
  command->add_option("--budget", options->budget,
                      "Soft tokens of a picture or frame: 70, 140, 280, 560 or 1120");
  command->add_option("--frames", options->n_frames, "Frames of a film, spread evenly");
  command->callback([options, &outcome] { outcome = preprocess(*options); });
}

}  // namespace preflight::run
