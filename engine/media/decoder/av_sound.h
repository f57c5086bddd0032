#pragma once

#include <vector>

extern "C" {
#include <libavutil/frame.h>
}

#include "vk/error.h"

namespace preflight::media {

/// What becomes of samples that a decoder hands out as floating point.
enum class FloatSamples {
  kRoundTo16Bits,  ///< as docs/multimodal.md wants compressed sound for the model
  kKeep,           ///< for measuring, and for files that store floating point themselves
};

/// The samples of a frame as f32 [n, channels]; integers keep their bits.
Result<void> interleave(const AVFrame& frame, FloatSamples floats, std::vector<float>& out);

}  // namespace preflight::media
