#pragma once

#include <cstdint>
#include <vector>

/// What the image, sound and film parts of a request look like when they reach the embedders
/// (docs/multimodal.md). Nothing here knows files or codecs.
namespace preflight::media {

inline constexpr std::uint32_t kPatchSide = 48;                             ///< pixels
inline constexpr std::uint32_t kPatchValues = kPatchSide * kPatchSide * 3;  ///< 6912
inline constexpr std::uint32_t kSampleRate = 16000;                         ///< Hz
inline constexpr std::uint32_t kAudioFrame = 640;                           ///< samples, 40 ms

/// 8-bit RGB, rows top to bottom, packed: pixels u8 [height, width, 3].
struct RgbImage {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::vector<std::uint8_t> pixels;
};

/// One picture as soft-token inputs: patches in raster order, position of patch t = (t % columns,
/// t / columns).
struct ImagePatches {
  std::uint32_t columns = 0;
  std::uint32_t rows = 0;
  std::vector<float>
      patches;  ///< f32 [columns * rows, 6912], value = byte / 255, (row*48+col)*3+ch
  std::uint32_t source_width = 0;  ///< pixels of the decoded picture, before the resize
  std::uint32_t source_height = 0;

  std::uint32_t n_tokens() const { return columns * rows; }
};

/// One picked frame of a film.
struct VideoFrame {
  std::uint64_t index = 0;  ///< among the film's decoded frames, in the order they are shown
  double time_s = 0;        ///< presentation time, the film's first frame = 0
  ImagePatches image;
};

/// A stretch of sound, 16 kHz, one channel.
struct AudioClip {
  std::vector<float> samples;
  double start_s = 0;          ///< where it begins in its source
  std::uint64_t n_frames = 0;  ///< ceil(samples / 640) = soft tokens
};

}  // namespace preflight::media
