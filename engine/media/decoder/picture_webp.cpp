#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <webp/decode.h>
#include <webp/demux.h>

#include "engine/media/decoder/exif.h"
#include "engine/media/decoder/picture.h"

namespace preflight::media {
namespace {

using Demuxer = std::unique_ptr<WebPDemuxer, decltype(&WebPDemuxDelete)>;
using AnimDecoder = std::unique_ptr<WebPAnimDecoder, decltype(&WebPAnimDecoderDelete)>;

tl::unexpected<Error> damaged(std::string_view why) {
  return fail(ErrorCode::kInvalidInput, fmt::format("is a damaged WebP picture: {}", why));
}

/// The first frame of an animation on its canvas.
Result<void> read_first_frame(const WebPData& data, RgbImage& picture) {
  WebPAnimDecoderOptions options;
  if (WebPAnimDecoderOptionsInit(&options) == 0) return damaged("no decoder for animations");
  options.color_mode = MODE_RGBA;
  options.use_threads = 0;
  const AnimDecoder decoder(WebPAnimDecoderNew(&data, &options), &WebPAnimDecoderDelete);
  std::uint8_t* rgba = nullptr;
  int end_ms = 0;
  if (!decoder || WebPAnimDecoderGetNext(decoder.get(), &rgba, &end_ms) == 0) {
    return damaged("its first frame cannot be decoded");
  }
  std::uint8_t* to = picture.pixels.data();
  for (std::size_t i = 0; i < std::size_t{picture.width} * picture.height; ++i, rgba += 4) {
    to = std::copy_n(rgba, 3, to);
  }
  return {};
}

std::uint32_t read_orientation(const WebPData& data) {
  const Demuxer demuxer(WebPDemux(&data), &WebPDemuxDelete);
  if (!demuxer) return 1;
  WebPChunkIterator chunk = {};
  std::uint32_t orientation = 1;
  if (WebPDemuxGetChunk(demuxer.get(), "EXIF", 1, &chunk) != 0) {
    orientation = exif_orientation({chunk.chunk.bytes, chunk.chunk.size});
  }
  WebPDemuxReleaseChunkIterator(&chunk);
  return orientation;
}

std::uint64_t count_frames(const WebPData& data) {
  const Demuxer demuxer(WebPDemux(&data), &WebPDemuxDelete);
  return demuxer ? std::max<std::uint64_t>(WebPDemuxGetI(demuxer.get(), WEBP_FF_FRAME_COUNT), 1)
                 : 1;
}

}  // namespace

Result<StoredPicture> read_webp(const Input& input, std::uint64_t max_pixels) {
  PREFLIGHT_TRY(const std::vector<std::uint8_t> file, input.read_all());
  WebPBitstreamFeatures features = {};
  if (WebPGetFeatures(file.data(), file.size(), &features) != VP8_STATUS_OK) {
    return damaged("its header cannot be read");
  }
  const auto width = static_cast<std::uint32_t>(std::max(features.width, 0));
  const auto height = static_cast<std::uint32_t>(std::max(features.height, 0));
  PREFLIGHT_TRY_VOID(check_picture_size(width, height, max_pixels));

  StoredPicture out;
  out.picture = {.width = width, .height = height, .pixels = {}};
  out.picture.pixels.resize(std::size_t{3} * width * height);
  out.had_alpha = features.has_alpha != 0;
  const WebPData data = {.bytes = file.data(), .size = file.size()};
  out.orientation = read_orientation(data);
  if (features.has_animation != 0) {
    out.n_frames = count_frames(data);
    PREFLIGHT_TRY_VOID(read_first_frame(data, out.picture));
  } else if (WebPDecodeRGBInto(file.data(), file.size(), out.picture.pixels.data(),
                               out.picture.pixels.size(), static_cast<int>(width) * 3) == nullptr) {
    return damaged("the file breaks off or its data is corrupt");
  }
  return out;
}

}  // namespace preflight::media
