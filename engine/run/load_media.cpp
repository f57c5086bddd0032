#include "engine/run/load_media.h"

#include <optional>
#include <utility>

#include <fmt/format.h>

#include "engine/media/decoder.h"
#include "engine/media/preprocess.h"
#include "engine/media/sound.h"

namespace preflight::run {
namespace {

using text::PartKind;

Result<LoadedMedium> decode_film(const media::Decoder& decoder, const media::MediaFile& file,
                                 const MediaSource& source) {
  media::VideoRequest wanted;
  if (source.frames) {
    wanted.mode = media::VideoRequest::Mode::kSpread;
    wanted.n_frames = *source.frames;
  }
  wanted.budget = source.budget_tokens();
  wanted.sound = source.sound;
  PREFLIGHT_TRY(media::LoadedVideo film, media::load_video(decoder, file, wanted));
  if (source.sound && !film.sound) {
    return fail(ErrorCode::kInvalidInput, fmt::format("{} has no sound track", source.name));
  }
  LoadedMedium out;
  out.frames = std::move(film.frames);
  if (film.sound) out.clips = std::move(film.sound->split.clips);
  return out;
}

Result<LoadedMedium> decode(const media::Decoder& decoder, const MediaSource& source) {
  PREFLIGHT_TRY(const media::MediaFile file, media::MediaFile::open(source.path));
  LoadedMedium out;
  switch (source.kind) {
    case PartKind::kImage: {
      PREFLIGHT_TRY(media::ImagePatches image,
                    media::load_image(decoder, file, source.budget_tokens()));
      out.frames.push_back(media::VideoFrame{0, 0.0, std::move(image)});
      return out;
    }
    case PartKind::kAudio: {
      PREFLIGHT_TRY(media::LoadedSound sound,
                    media::load_sound(decoder, file, media::request_split()));
      out.clips = std::move(sound.split.clips);
      return out;
    }
    case PartKind::kVideo:
      return decode_film(decoder, file, source);
    case PartKind::kText:
      break;
  }
  return fail(ErrorCode::kInternal, "a text part was taken for a medium");
}

}  // namespace

Result<std::vector<LoadedMedium>> load_media(const Request& request,
                                             media::DecoderOptions decoder_options) {
  std::vector<LoadedMedium> media;
  std::optional<media::Decoder> decoder;  // needed only if something must be decoded
  for (const MediaSource& source : request.media) {
    if (source.is_preprocessed()) {
      PREFLIGHT_TRY(LoadedMedium medium, read_preprocessed(source));
      media.push_back(std::move(medium));
      continue;
    }
    if (!decoder) {
      PREFLIGHT_TRY(decoder, media::Decoder::create(decoder_options));
    }
    PREFLIGHT_TRY(LoadedMedium medium, decode(*decoder, source));
    media.push_back(std::move(medium));
  }
  return media;
}

std::vector<MediumCounts> count_tokens(const std::vector<LoadedMedium>& media) {
  std::vector<MediumCounts> counts;
  for (const LoadedMedium& medium : media) {
    MediumCounts& out = counts.emplace_back();
    for (const media::VideoFrame& frame : medium.frames) {
      out.frames.push_back({frame.time_s, frame.image.n_tokens()});
    }
    for (const media::AudioClip& clip : medium.clips) {
      out.clips.push_back({clip.start_s, static_cast<std::uint32_t>(clip.n_frames)});
    }
  }
  return counts;
}

}  // namespace preflight::run
