#pragma once

#include <memory>

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
}

#include "engine/media/decoder.h"
#include "engine/media/decoder/av_frame.h"
#include "engine/media/decoder/input.h"
#include "vk/error.h"

/// The little of libavformat and libavcodec that decoding a file from a descriptor takes. One
/// thread, no protocols, no other files, only the formats and codecs named in av.cpp.
namespace preflight::media {

struct FreePacket {
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
};
struct FreeCodec {
  void operator()(AVCodecContext* codec) const { avcodec_free_context(&codec); }
};
using PacketPtr = std::unique_ptr<AVPacket, FreePacket>;
using CodecPtr = std::unique_ptr<AVCodecContext, FreeCodec>;

/// An opened MP4, MOV, M4A, WebM or Matroska file. The Input outlives it.
class Container {
 public:
  /// `wanted` says what the caller hoped for ("film", "sound") in "is not a ...: it is text".
  static Result<std::unique_ptr<Container>> open(const Input& input, std::string_view wanted);
  Container(const Container&) = delete;
  Container& operator=(const Container&) = delete;
  ~Container();

  AVFormatContext& format() { return *format_; }
  /// The first stream of a kind that holds moving pictures or sound; null without. A cover picture
  /// is not one.
  AVStream* first(AVMediaType type);
  /// Packets of streams other than these are not read from now on.
  void keep_only(std::initializer_list<const AVStream*> streams);
  /// Duration in seconds as the container states it; negative when it does not.
  double duration_s() const;

 private:
  Container() = default;
  static int on_read(void* self, std::uint8_t* to, int n);
  static std::int64_t on_seek(void* self, std::int64_t offset, int whence);

  const Input* input_ = nullptr;
  std::uint64_t at_ = 0;
  AVFormatContext* format_ = nullptr;
  AVIOContext* io_ = nullptr;
};

/// Opens the decoder of a stream. Errors: kUnsupported naming the codec, kLimit for frames of too
/// many pixels.
Result<CodecPtr> open_codec(const AVStream& stream, const DecodeLimits& limits);

/// Feeds one stream's packets to its decoder and hands out frames in the order they are shown.
class StreamDecoder {
 public:
  explicit StreamDecoder(CodecPtr codec) : codec_(std::move(codec)) {}

  /// Gives one packet (null: the end) and calls `take` for every frame that comes out.
  template <class Take>
  Result<void> feed(const AVPacket* packet, AVFrame& frame, Take&& take) {
    if (!send(packet)) return {};
    while (receive(frame)) PREFLIGHT_TRY_VOID(take(frame));
    return {};
  }

  AVCodecContext& codec() { return *codec_; }
  /// Packets and frames that could not be decoded, or not fully.
  std::uint64_t n_broken() const { return n_broken_; }

 private:
  bool send(const AVPacket* packet);
  bool receive(AVFrame& frame);

  CodecPtr codec_;
  std::uint64_t n_broken_ = 0;
};

/// Reads the packets of a container to its end. Returns false at the end; `broke_off` says that it
/// came too early.
bool read_packet(Container& container, AVPacket& packet, bool& broke_off);

}  // namespace preflight::media
