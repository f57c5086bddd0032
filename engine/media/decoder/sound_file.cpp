#include "engine/media/decoder/sound_file.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <sndfile.h>

namespace preflight::media {
namespace {

constexpr std::size_t kBlockValues = 32768;
constexpr std::uint64_t kPacketSlack = 4096;
constexpr std::uint64_t kUnknownLength = std::uint64_t{1} << 48;  // longer than any file

/// libsndfile's view of the input.
struct Cursor {
  const Input* input = nullptr;
  sf_count_t at = 0;
};

Cursor& cursor_of(void* user) { return *static_cast<Cursor*>(user); }

sf_count_t on_length(void* user) {
  return static_cast<sf_count_t>(cursor_of(user).input->size_bytes());
}

sf_count_t on_seek(sf_count_t offset, int whence, void* user) {
  Cursor& cursor = cursor_of(user);
  const sf_count_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? cursor.at : on_length(user);
  cursor.at = std::clamp<sf_count_t>(base + offset, 0, on_length(user));
  return cursor.at;
}

sf_count_t on_read(void* to, sf_count_t n, void* user) {
  Cursor& cursor = cursor_of(user);
  if (n <= 0) return 0;
  const std::int64_t n_read =
      cursor.input->read(static_cast<std::uint64_t>(cursor.at),
                         {static_cast<std::uint8_t*>(to), static_cast<std::size_t>(n)});
  if (n_read > 0) cursor.at += n_read;
  return std::max<std::int64_t>(n_read, 0);
}

sf_count_t on_write(const void*, sf_count_t, void*) { return 0; }

sf_count_t on_tell(void* user) { return cursor_of(user).at; }

std::string container_name(int format) {
  switch (format & SF_FORMAT_TYPEMASK) {
    case SF_FORMAT_WAV:
    case SF_FORMAT_WAVEX:
    case SF_FORMAT_RF64:
      return "wav";
    case SF_FORMAT_FLAC:
      return "flac";
    case SF_FORMAT_OGG:
      return "ogg";
    case SF_FORMAT_MPEG:
      return "mp3";
    default:
      return "";
  }
}

std::string codec_name(int format) {
  if ((format & SF_FORMAT_TYPEMASK) == SF_FORMAT_FLAC) return "flac";
  switch (format & SF_FORMAT_SUBMASK) {
    case SF_FORMAT_PCM_U8:
      return "pcm_u8";
    case SF_FORMAT_PCM_16:
      return "pcm_s16";
    case SF_FORMAT_PCM_24:
      return "pcm_s24";
    case SF_FORMAT_PCM_32:
      return "pcm_s32";
    case SF_FORMAT_FLOAT:
      return "pcm_f32";
    case SF_FORMAT_DOUBLE:
      return "pcm_f64";
    case SF_FORMAT_ULAW:
      return "mu-law";
    case SF_FORMAT_ALAW:
      return "a-law";
    case SF_FORMAT_IMA_ADPCM:
    case SF_FORMAT_MS_ADPCM:
      return "adpcm";
    case SF_FORMAT_VORBIS:
      return "vorbis";
    case SF_FORMAT_OPUS:
      return "opus";
    case SF_FORMAT_MPEG_LAYER_I:
    case SF_FORMAT_MPEG_LAYER_II:
    case SF_FORMAT_MPEG_LAYER_III:
      return "mp3";
    default:
      return "other";
  }
}

bool decodes_to_float(int format) {
  const int codec = format & SF_FORMAT_SUBMASK;
  return codec == SF_FORMAT_VORBIS || codec == SF_FORMAT_OPUS ||
         (format & SF_FORMAT_TYPEMASK) == SF_FORMAT_MPEG;
}

/// Bytes of the WAV data chunk that its header states and the file does not have. A length of all
/// ones or zero is what programs write that cannot go back; it states nothing.
std::uint64_t missing_wav_bytes(const Input& input) {
  std::array<std::uint8_t, 8> head = {};
  for (std::uint64_t at = 12; input.read(at, head) == 8;) {
    const std::uint64_t length = head[4] | std::uint64_t{head[5]} << 8 |
                                 std::uint64_t{head[6]} << 16 | std::uint64_t{head[7]} << 24;
    if (std::memcmp(head.data(), "data", 4) == 0) {
      const std::uint64_t there = input.size_bytes() - at - 8;
      return length >= 0xfffff000U || length <= there ? 0 : length - there;
    }
    at += 8 + length + length % 2;
  }
  return 0;
}

}  // namespace

std::uint64_t n_missing_samples(const SoundFileInfo& info, std::uint64_t n_read) {
  // Lossy codecs state their length in packets, give or take the padding of the first and the last.
  const std::uint64_t slack = info.decodes_to_float ? kPacketSlack : 0;
  const bool short_of = info.n_samples < kUnknownLength && n_read + slack < info.n_samples;
  return info.n_missing + (short_of ? info.n_samples - n_read : 0);
}

Result<std::uint64_t> read_sound_file(
    const Input& input, const std::function<Result<void>(const SoundFileInfo&)>& begin,
    const std::function<Result<void>(std::span<const float>)>& block) {
  SF_VIRTUAL_IO io = {.get_filelen = on_length,
                      .seek = on_seek,
                      .read = on_read,
                      .write = on_write,
                      .tell = on_tell};
  Cursor cursor{.input = &input, .at = 0};
  SF_INFO info = {};
  const std::unique_ptr<SNDFILE, decltype(&sf_close)> file(
      sf_open_virtual(&io, SFM_READ, &info, &cursor), &sf_close);
  if (!file) {
    return fail(
        ErrorCode::kInvalidInput,
        fmt::format("is {} that cannot be read: {}", describe(input.kind()), sf_strerror(nullptr)));
  }
  SoundFileInfo about{.container = container_name(info.format),
                      .codec = codec_name(info.format),
                      .rate_hz = static_cast<std::uint32_t>(std::max(info.samplerate, 0)),
                      .channels = static_cast<std::uint32_t>(std::max(info.channels, 0)),
                      .n_samples = static_cast<std::uint64_t>(std::max<sf_count_t>(info.frames, 0)),
                      .n_missing = 0,
                      .decodes_to_float = decodes_to_float(info.format)};
  if (about.container.empty() || about.channels == 0) {
    return fail(ErrorCode::kUnsupported,
                "is a sound of a kind that is not read; WAV, FLAC, OGG, MP3 and M4A are");
  }
  if (about.container == "wav" && about.n_samples > 0) {
    const std::uint64_t bytes_per_sample =
        std::max<std::uint64_t>(1, input.size_bytes() / about.n_samples);
    about.n_missing = missing_wav_bytes(input) / bytes_per_sample;
  }
  PREFLIGHT_TRY_VOID(begin(about));

  std::vector<float> values(kBlockValues / about.channels * about.channels + about.channels);
  const auto n_wanted = static_cast<sf_count_t>(values.size() / about.channels);
  std::uint64_t n_samples = 0;
  for (;;) {
    const sf_count_t n = sf_readf_float(file.get(), values.data(), n_wanted);
    if (n <= 0) break;
    const std::span<const float> got(values.data(), static_cast<std::size_t>(n) * about.channels);
    PREFLIGHT_TRY_VOID(block(got));
    n_samples += static_cast<std::uint64_t>(n);
  }
  if (sf_error(file.get()) != SF_ERR_NO_ERROR && n_samples == 0) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("is {} that cannot be decoded: {}", describe(input.kind()),
                            sf_strerror(file.get())));
  }
  return n_samples;
}

}  // namespace preflight::media
