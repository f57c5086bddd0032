#pragma once

#include <string>

#include "engine/media/decoder.h"
#include "engine/media/decoder/input.h"
#include "vk/error.h"

namespace preflight::media {

/// Facts of an MP4, MOV, M4A, WebM or Matroska file, in one pass over its packets.
Result<MediaFacts> measure_film(const Input& input, const DecodeLimits& limits,
                                std::string container_name);

}  // namespace preflight::media
