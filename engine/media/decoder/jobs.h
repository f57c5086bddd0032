#pragma once

#include "engine/media/decoder.h"
#include "engine/media/decoder/input.h"
#include "vk/error.h"

/// What the child can be asked to do. Errors are clauses that follow the file's name.
namespace preflight::media {

/// A sound file, or the sound track of a film.
Result<DecodedSound> decode_sound(const Input& input, const DecodeLimits& limits);

/// The sound track of an MP4, MOV, M4A, WebM or Matroska file.
Result<DecodedSound> decode_sound_track(const Input& input, const DecodeLimits& limits);

Result<DecodedVideo> decode_video(const Input& input, const DecodeLimits& limits,
                                  const VideoRequest& request);

/// Looks at the beginning; a film's container is opened to see what tracks it has.
Result<MediaKind> find_kind(const Input& input);

Result<MediaFacts> measure_facts(const Input& input, const DecodeLimits& limits);

}  // namespace preflight::media
