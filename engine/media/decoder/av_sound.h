#pragma once

#include <vector>

extern "C" {
#include <libavutil/frame.h>
}

#include "vk/error.h"

namespace preflight::media {

/// The samples of a frame as f32 [n, channels]. What decoders hand out as floating point is rounded
/// to 16 bits (docs/multimodal.md, sound); integers keep their bits.
Result<void> interleave(const AVFrame& frame, std::vector<float>& out);

}  // namespace preflight::media
