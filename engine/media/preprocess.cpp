#include "engine/media/preprocess.h"

#include <utility>

#include <fmt/format.h>

namespace preflight::media {
namespace {

/// A wrong budget is said before a child is started.
Result<void> check_budget(std::uint32_t budget) {
  const auto size = target_size({.width = kPatchSide, .height = kPatchSide}, budget);
  if (!size.has_value()) return tl::unexpected(size.error());
  return {};
}

Result<LoadedSound> split_decoded(const MediaFile& file, DecodedSound sound,
                                  const SplitOptions& split) {
  if (sound.samples.empty()) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("{} holds no sound: not a single sample", file.name()));
  }
  LoadedSound out;
  out.duration_s = static_cast<double>(sound.samples.size()) / kSampleRate;
  out.split = split_sound(sound.samples, split, sound.start_s);
  out.source = std::move(sound);
  out.source.samples.clear();
  out.source.samples.shrink_to_fit();
  return out;
}

}  // namespace

Result<ImagePatches> load_image(const Decoder& decoder, const MediaFile& file,
                                std::uint32_t budget) {
  PREFLIGHT_TRY_VOID(check_budget(budget));
  PREFLIGHT_TRY(const DecodedImage image, decoder.image(file));
  return image_patches(image.picture, budget);
}

Result<LoadedSound> load_sound(const Decoder& decoder, const MediaFile& file,
                               const SplitOptions& split) {
  PREFLIGHT_TRY(DecodedSound sound, decoder.sound(file));
  return split_decoded(file, std::move(sound), split);
}

Result<LoadedVideo> load_video(const Decoder& decoder, const MediaFile& file,
                               const VideoRequest& request, const SplitOptions& split) {
  if (request.mode != VideoRequest::Mode::kTimes) {
    PREFLIGHT_TRY_VOID(check_budget(request.budget));
  }
  for (const VideoRequest::At& at : request.at) PREFLIGHT_TRY_VOID(check_budget(at.budget));
  PREFLIGHT_TRY(DecodedVideo video, decoder.video(file, request));
  LoadedVideo out;
  out.n_frames = video.n_frames;
  out.frames_left_out = video.n_frames - video.frames.size();
  out.broken_frames = video.broken_frames;
  out.duration_s = video.duration_s;
  out.has_sound_track = video.has_sound_track;
  for (PickedFrame& picked : video.frames) {
    if (picked.picture.width % kPatchSide != 0 || picked.picture.height % kPatchSide != 0) {
      return fail(ErrorCode::kInternal,
                  fmt::format("{}: a frame of {}x{} pixels was not brought to its budget's size",
                              file.name(), picked.picture.width, picked.picture.height));
    }
    VideoFrame frame{
        .index = picked.index, .time_s = picked.time_s, .image = cut_patches(picked.picture)};
    frame.image.source_width = picked.source_width;
    frame.image.source_height = picked.source_height;
    picked.picture.pixels.clear();
    picked.picture.pixels.shrink_to_fit();
    out.frames.push_back(std::move(frame));
  }
  if (video.sound) {
    PREFLIGHT_TRY(out.sound, split_decoded(file, std::move(*video.sound), split));
  }
  return out;
}

}  // namespace preflight::media
