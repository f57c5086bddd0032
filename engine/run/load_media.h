#pragma once

#include <vector>

#include "engine/media/decoder.h"
#include "engine/run/expand.h"
#include "engine/run/preprocessed.h"
#include "engine/run/request.h"
#include "vk/error.h"

namespace preflight::run {

/// All media of a request, in its order: decoded by `preflight-decode` (found beside the program),
/// or read from what `preprocess` wrote. A film whose `sound` is asked for but that has no track is
/// an error.
Result<std::vector<LoadedMedium>> load_media(const Request& request,
                                             media::DecoderOptions decoder_options = {});

/// What expand() needs to know of them.
std::vector<MediumCounts> count_tokens(const std::vector<LoadedMedium>& media);

}  // namespace preflight::run
