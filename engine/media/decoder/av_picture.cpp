#include "engine/media/decoder/av_picture.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

extern "C" {
#include <libavcodec/version.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
}

#include <fmt/format.h>

#include "engine/media/yuv.h"

namespace preflight::media {
namespace {

struct FreeScaler {
  void operator()(SwsContext* scaler) const { sws_freeContext(scaler); }
};

YuvMatrix matrix_of(AVColorSpace space) {
  switch (space) {
    case AVCOL_SPC_BT709:
      return YuvMatrix::kBt709;
    case AVCOL_SPC_FCC:
      return YuvMatrix::kFcc;
    case AVCOL_SPC_SMPTE240M:
      return YuvMatrix::kSmpte240;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
      return YuvMatrix::kBt2020;
    default:
      return YuvMatrix::kBt601;
  }
}

const AVPixFmtDescriptor* descriptor_of(const AVFrame& frame) {
  return av_pix_fmt_desc_get(static_cast<AVPixelFormat>(frame.format));
}

/// Y, U and V (and perhaps alpha) in planes of their own.
bool is_planar_yuv(const AVPixFmtDescriptor& d) {
  constexpr std::uint64_t kOthers = AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_BE |
                                    AV_PIX_FMT_FLAG_FLOAT | AV_PIX_FMT_FLAG_BITSTREAM |
                                    AV_PIX_FMT_FLAG_HWACCEL;
  return d.nb_components >= 3 && (d.flags & AV_PIX_FMT_FLAG_PLANAR) != 0 &&
         (d.flags & kOthers) == 0 && d.comp[0].plane == 0 && d.comp[1].plane == 1 &&
         d.comp[2].plane == 2;
}

bool is_full_range(const AVFrame& frame, const AVPixFmtDescriptor& d) {
  return frame.color_range == AVCOL_RANGE_JPEG || std::strncmp(d.name, "yuvj", 4) == 0;
}

Result<void> scale_to(const AVFrame& frame, AVPixelFormat format, std::uint8_t* to, int stride) {
  const std::unique_ptr<SwsContext, FreeScaler> scaler(sws_getContext(
      frame.width, frame.height, static_cast<AVPixelFormat>(frame.format), frame.width,
      frame.height, format, SWS_BICUBIC | SWS_ACCURATE_RND, nullptr, nullptr, nullptr));
  if (!scaler) {
    const char* name = av_get_pix_fmt_name(static_cast<AVPixelFormat>(frame.format));
    return fail(ErrorCode::kUnsupported,
                fmt::format("has pixels of the format \"{}\"", name != nullptr ? name : "unknown"));
  }
  const int full = frame.color_range == AVCOL_RANGE_JPEG ? 1 : 0;
  // Formats without a matrix of their own (RGB, grey) refuse the setting and do not need it.
  (void)sws_setColorspaceDetails(scaler.get(), sws_getCoefficients(frame.colorspace), full,
                                 sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16, 1 << 16);
  std::uint8_t* planes[4] = {to, nullptr, nullptr, nullptr};
  const int strides[4] = {stride, 0, 0, 0};
  if (sws_scale(scaler.get(), frame.data, frame.linesize, 0, frame.height, planes, strides) !=
      frame.height) {
    return fail(ErrorCode::kInternal, "has a frame whose colours could not be converted");
  }
  return {};
}

}  // namespace

Result<RgbImage> frame_to_rgb(const AVFrame& frame) {
  const AVPixFmtDescriptor* d = descriptor_of(frame);
  if (d == nullptr || frame.width <= 0 || frame.height <= 0) {
    return fail(ErrorCode::kInvalidInput, "has a frame without pixels");
  }
  const auto width = static_cast<std::uint32_t>(frame.width);
  const auto height = static_cast<std::uint32_t>(frame.height);
  if (is_planar_yuv(*d) && d->comp[0].depth == 8) {
    return yuv_to_rgb({.width = width,
                       .height = height,
                       .planes = {frame.data[0], frame.data[1], frame.data[2]},
                       .strides_bytes = {frame.linesize[0], frame.linesize[1], frame.linesize[2]},
                       .chroma_shift_x = d->log2_chroma_w,
                       .chroma_shift_y = d->log2_chroma_h,
                       .matrix = matrix_of(frame.colorspace),
                       .full_range = is_full_range(frame, *d)});
  }
  // libswscale writes whole vectors: rows get room at their end.
  const std::size_t stride = (std::size_t{3} * width + 63) / 64 * 64;
  std::vector<std::uint8_t> padded(stride * height + 64);
  PREFLIGHT_TRY_VOID(scale_to(frame, AV_PIX_FMT_RGB24, padded.data(), static_cast<int>(stride)));
  RgbImage out{.width = width, .height = height, .pixels = {}};
  out.pixels.resize(std::size_t{3} * width * height);
  for (std::size_t y = 0; y < height; ++y) {
    std::memcpy(out.pixels.data() + y * 3 * width, padded.data() + y * stride,
                std::size_t{3} * width);
  }
  return out;
}

std::uint32_t orientation_of(const AVStream& stream) {
  std::size_t size = 0;
  const std::uint8_t* data = nullptr;
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 30, 100)
  const AVPacketSideData* side =
      av_packet_side_data_get(stream.codecpar->coded_side_data, stream.codecpar->nb_coded_side_data,
                              AV_PKT_DATA_DISPLAYMATRIX);
  if (side != nullptr) {
    data = side->data;
    size = side->size;
  }
#else
  data = av_stream_get_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
#endif
  if (data == nullptr || size < 9 * sizeof(std::int32_t)) return 1;
  std::int32_t m[9] = {};
  std::memcpy(m, data, sizeof m);
  // (x, y) is shown at (a x + c y, b x + d y), y pointing down.
  const std::int64_t a = m[0];
  const std::int64_t b = m[1];
  const std::int64_t c = m[3];
  const std::int64_t d = m[4];
  if (b == 0 && c == 0 && a != 0 && d != 0) {
    if (a > 0) return d > 0 ? 1 : 4;
    return d > 0 ? 2 : 3;
  }
  if (a == 0 && d == 0 && b != 0 && c != 0) {
    if (b > 0) return c > 0 ? 5 : 6;
    return c > 0 ? 8 : 7;
  }
  return 1;
}

}  // namespace preflight::media
