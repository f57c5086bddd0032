#include <fmt/format.h>

#include "engine/media/decoder/av.h"
#include "engine/media/decoder/jobs.h"

namespace preflight::media {

Result<MediaKind> find_kind(const Input& input) {
  switch (input.kind()) {
    case FileKind::kPng:
    case FileKind::kJpeg:
    case FileKind::kWebp:
      return MediaKind::kPicture;
    case FileKind::kWav:
    case FileKind::kFlac:
    case FileKind::kOgg:
    case FileKind::kMp3:
      return MediaKind::kSound;
    case FileKind::kEmpty:
      return fail(ErrorCode::kInvalidInput, "is empty");
    case FileKind::kIsoMedia:
    case FileKind::kMatroska:
      break;
    default:
      return fail(ErrorCode::kInvalidInput,
                  fmt::format("is not a picture, sound or film that is read: it is {}",
                              describe(input.kind())));
  }
  PREFLIGHT_TRY(const std::unique_ptr<Container> container, Container::open(input, "film"));
  if (container->first(AVMEDIA_TYPE_VIDEO) != nullptr) return MediaKind::kFilm;
  if (container->first(AVMEDIA_TYPE_AUDIO) != nullptr) return MediaKind::kSound;
  return fail(ErrorCode::kInvalidInput, "has neither a picture track nor a sound track");
}

}  // namespace preflight::media
