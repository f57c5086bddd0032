#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "engine/media/decoder/input.h"
#include "vk/error.h"

namespace preflight::media {

/// What a WAV, FLAC, OGG or MP3 file says about itself.
struct SoundFileInfo {
  std::string container;  ///< "wav", "flac", "ogg", "mp3"
  std::string codec;      ///< "pcm_s16", "flac", "vorbis", "opus", "mp3", ...
  std::uint32_t rate_hz = 0;
  std::uint32_t channels = 0;
  std::uint64_t n_samples = 0;    ///< per channel, as stated
  std::uint64_t n_missing = 0;    ///< WAV: stated by the header, but the file ends before
  bool decodes_to_float = false;  ///< compressed: samples are not rounded to 16 bits yet
};

/// Samples that the file states, but that it does not hold; `n_read` is what came out of it.
std::uint64_t n_missing_samples(const SoundFileInfo& info, std::uint64_t n_read);

/// Calls `begin` once and then `block` with f32 [n, channels] until the end of the file. Returns
/// the number of samples per channel that were read. Errors: clauses that follow the file's name;
/// those of the callbacks.
Result<std::uint64_t> read_sound_file(
    const Input& input, const std::function<Result<void>(const SoundFileInfo&)>& begin,
    const std::function<Result<void>(std::span<const float>)>& block);

}  // namespace preflight::media
