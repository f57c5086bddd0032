#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/media/decoder.h"
#include "engine/media/media.h"
#include "engine/media/sound.h"
#include "vk/error.h"

/// From a media file to what the embedders take, through the decoder's child process.
namespace preflight::media {

/// Errors: those of Decoder::image, a budget outside the five.
Result<ImagePatches> load_image(const Decoder& decoder, const MediaFile& file,
                                std::uint32_t budget);

struct LoadedSound {
  SoundClips split;
  DecodedSound source;  ///< its samples moved into the clips' copy: empty
  double duration_s = 0;
};
/// Errors: those of Decoder::sound, a file without a single sample.
Result<LoadedSound> load_sound(const Decoder& decoder, const MediaFile& file,
                               const SplitOptions& split);

struct LoadedVideo {
  std::vector<VideoFrame> frames;
  std::uint64_t n_frames = 0;         ///< in the whole film
  std::uint64_t frames_left_out = 0;  ///< of those, not looked at
  std::uint64_t broken_frames = 0;
  double duration_s = 0;
  bool has_sound_track = false;
  std::optional<LoadedSound> sound;  ///< when asked for: the track, in clips of at most 30 s
};
Result<LoadedVideo> load_video(const Decoder& decoder, const MediaFile& file,
                               const VideoRequest& request,
                               const SplitOptions& split = request_split());

}  // namespace preflight::media
