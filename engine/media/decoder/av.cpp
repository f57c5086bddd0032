#include "engine/media/decoder/av.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>

extern "C" {
#include <libavutil/mem.h>
#include <libavutil/opt.h>
}

#include <fmt/format.h>

#include "engine/media/decoder/av_message.h"

namespace preflight::media {
namespace {

constexpr const char* kFormats = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm";
constexpr const char* kCodecs =
    "h264,hevc,vp8,vp9,av1,libdav1d,mpeg4,prores,mjpeg,"
    "aac,mp3,mp3float,opus,vorbis,flac,alac,ac3,eac3,"
    "pcm_u8,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be";
constexpr int kIoBufferBytes = 64 * 1024;
constexpr int kMaxStreams = 64;

/// No file refers to another one here.
int refuse_open(AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) {
  return AVERROR(EPERM);
}

tl::unexpected<Error> not_wanted(const Input& input, std::string_view wanted) {
  switch (input.kind()) {
    case FileKind::kEmpty:
      return fail(ErrorCode::kInvalidInput, "is empty");
    case FileKind::kIsoMedia:
    case FileKind::kMatroska:
      return fail(
          ErrorCode::kInvalidInput,
          fmt::format("is {} that cannot be opened: its index is missing or damaged (was it copied "
                      "whole?)",
                      describe(input.kind())));
    case FileKind::kAvi:
    case FileKind::kMpegStream:
    case FileKind::kFlv:
      return fail(ErrorCode::kUnsupported,
                  fmt::format("is {}; MP4, MOV and WebM are read", describe(input.kind())));
    case FileKind::kAiff:
    case FileKind::kAac:
    case FileKind::kAmr:
    case FileKind::kMidi:
    case FileKind::kWma:
      if (wanted != "sound") break;
      return fail(
          ErrorCode::kUnsupported,
          fmt::format("is {}; WAV, FLAC, OGG, MP3 and M4A are read", describe(input.kind())));
    default:
      break;
  }
  return fail(ErrorCode::kInvalidInput,
              fmt::format("is not a {}: it is {}", wanted, describe(input.kind())));
}

}  // namespace

int Container::on_read(void* self, std::uint8_t* to, int n) {
  auto& container = *static_cast<Container*>(self);
  if (n <= 0) return AVERROR(EINVAL);
  const std::int64_t n_read =
      container.input_->read(container.at_, {to, static_cast<std::size_t>(n)});
  if (n_read < 0) return AVERROR(EIO);
  if (n_read == 0) return AVERROR_EOF;
  container.at_ += static_cast<std::uint64_t>(n_read);
  return static_cast<int>(n_read);
}

std::int64_t Container::on_seek(void* self, std::int64_t offset, int whence) {
  auto& container = *static_cast<Container*>(self);
  const auto size = static_cast<std::int64_t>(container.input_->size_bytes());
  switch (whence & ~AVSEEK_FORCE) {
    case AVSEEK_SIZE:
      return size;
    case SEEK_SET:
      break;
    case SEEK_CUR:
      offset += static_cast<std::int64_t>(container.at_);
      break;
    case SEEK_END:
      offset += size;
      break;
    default:
      return AVERROR(EINVAL);
  }
  if (offset < 0) return AVERROR(EINVAL);
  container.at_ = static_cast<std::uint64_t>(offset);
  return offset;
}

Result<std::unique_ptr<Container>> Container::open(const Input& input, std::string_view wanted) {
  if (input.kind() != FileKind::kIsoMedia && input.kind() != FileKind::kMatroska) {
    return not_wanted(input, wanted);
  }
  std::unique_ptr<Container> self(new Container);
  self->input_ = &input;
  auto* buffer = static_cast<unsigned char*>(av_malloc(kIoBufferBytes));
  self->io_ = buffer == nullptr ? nullptr
                                : avio_alloc_context(buffer, kIoBufferBytes, 0, self.get(), on_read,
                                                     nullptr, on_seek);
  self->format_ = avformat_alloc_context();
  if (self->io_ == nullptr || self->format_ == nullptr) {
    return fail(ErrorCode::kOutOfMemory, "could not be opened: no memory for the reader");
  }
  AVFormatContext& format = *self->format_;
  format.pb = self->io_;
  format.io_open = refuse_open;
  format.max_streams = kMaxStreams;
  format.format_whitelist = av_strdup(kFormats);
  format.codec_whitelist = av_strdup(kCodecs);
  format.protocol_whitelist = av_strdup("");
  // On failure the context is freed, the reader is not.
  if (avformat_open_input(&self->format_, nullptr, nullptr, nullptr) < 0) {
    return not_wanted(input, wanted);
  }
  if (avformat_find_stream_info(self->format_, nullptr) < 0 || self->format_->nb_streams == 0) {
    return not_wanted(input, wanted);
  }
  return self;
}

Container::~Container() {
  avformat_close_input(&format_);
  if (io_ != nullptr) {
    av_freep(&io_->buffer);
    avio_context_free(&io_);
  }
}

AVStream* Container::first(AVMediaType type) {
  for (unsigned i = 0; i < format_->nb_streams; ++i) {
    AVStream* stream = format_->streams[i];
    const bool cover = (stream->disposition & AV_DISPOSITION_ATTACHED_PIC) != 0;
    if (stream->codecpar->codec_type == type && !cover) return stream;
  }
  return nullptr;
}

void Container::keep_only(std::initializer_list<const AVStream*> streams) {
  for (unsigned i = 0; i < format_->nb_streams; ++i) {
    AVStream* stream = format_->streams[i];
    const bool kept = std::find(streams.begin(), streams.end(), stream) != streams.end();
    stream->discard = kept ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
  }
}

double Container::duration_s() const {
  if (format_->duration == AV_NOPTS_VALUE || format_->duration < 0) return -1.0;
  return static_cast<double>(format_->duration) / AV_TIME_BASE;
}

Result<CodecPtr> open_codec(const AVStream& stream, const DecodeLimits& limits) {
  const AVCodecParameters& parameters = *stream.codecpar;
  const char* name = avcodec_get_name(parameters.codec_id);
  const bool pictures = parameters.codec_type == AVMEDIA_TYPE_VIDEO;
  const auto width = static_cast<std::uint64_t>(std::max(parameters.width, 0));
  const auto height = static_cast<std::uint64_t>(std::max(parameters.height, 0));
  if (pictures && height > 0 && width > limits.video_pixels / height) {
    return fail(ErrorCode::kLimit,
                fmt::format("has frames of {}x{} pixels; at most {:.1f} million pixels are read",
                            width, height, static_cast<double>(limits.video_pixels) / 1e6));
  }
  const AVCodec* decoder = avcodec_find_decoder(parameters.codec_id);
  CodecPtr codec(decoder != nullptr ? avcodec_alloc_context3(decoder) : nullptr);
  if (!codec || avcodec_parameters_to_context(codec.get(), &parameters) < 0) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("has a {} track coded as \"{}\", which is not read",
                            pictures ? "picture" : "sound", name));
  }
  codec->thread_count = 1;
  codec->pkt_timebase = stream.time_base;
  codec->codec_whitelist = av_strdup(kCodecs);
  codec->max_pixels = static_cast<std::int64_t>(limits.video_pixels);
  const int opened = avcodec_open2(codec.get(), decoder, nullptr);
  if (opened < 0) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("has a {} track coded as \"{}\", which is not read ({})",
                            pictures ? "picture" : "sound", name, av_message(opened)));
  }
  return codec;
}

bool StreamDecoder::send(const AVPacket* packet) {
  const int sent = avcodec_send_packet(codec_.get(), packet);
  if (sent < 0 && sent != AVERROR_EOF) ++n_broken_;
  return sent >= 0;
}

bool StreamDecoder::receive(AVFrame& frame) {
  for (;;) {
    const int received = avcodec_receive_frame(codec_.get(), &frame);
    if (received == AVERROR(EAGAIN) || received == AVERROR_EOF) return false;
    if (received >= 0) {
      if (frame.decode_error_flags != 0 || (frame.flags & AV_FRAME_FLAG_CORRUPT) != 0) ++n_broken_;
      return true;
    }
    // A frame that could not be decoded; the decoder goes on with the next one until it is empty.
    ++n_broken_;
    if (received != AVERROR_INVALIDDATA) return false;
  }
}

bool read_packet(Container& container, AVPacket& packet, bool& broke_off) {
  av_packet_unref(&packet);
  const int got = av_read_frame(&container.format(), &packet);
  if (got >= 0) return true;
  if (got != AVERROR_EOF) broke_off = true;
  return false;
}

}  // namespace preflight::media
