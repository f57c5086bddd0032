#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/model/model_config.h"
#include "engine/run/request.h"
#include "engine/text/tokenizer.h"
#include "vk/error.h"

namespace preflight::run {

/// How many soft tokens a medium becomes: all that its place in the prompt depends on.
struct MediumCounts {
  struct Frame {
    double time_s = 0;  ///< of a film's frame; a picture is one frame without a time
    std::uint32_t n_tokens = 0;
  };
  struct Clip {
    double start_s = 0;
    std::uint32_t n_tokens = 0;
  };
  std::vector<Frame> frames;
  std::vector<Clip> clips;  ///< of sound, or of a film whose track follows it
};

/// A run of placeholder ids that soft tokens take the place of.
struct SoftSpan {
  std::size_t begin_ix = 0;  ///< first of them in Expanded::ids
  std::uint32_t n_tokens = 0;
  bool vision = false;       ///< a picture or a frame (one block), else sound
  std::size_t media_ix = 0;  ///< in Request::media
  std::size_t item_ix = 0;   ///< which frame or which clip of that medium
};

struct Expanded {
  std::vector<std::int32_t> ids;
  std::vector<SoftSpan> soft;  ///< in the order of the ids
};

/// Token ids of a request (docs/multimodal.md, prompt layout): a picture is boi, n placeholders,
/// eoi; a clip boa, n, eoa; a film its frames, each after its time, joined by spaces, and then its
/// clips of sound. A film with several clips goes clip by clip: the frames up to the clip's end,
/// then the clip. `counts` has one entry per medium of the request. kUnsupported: a medium the
/// vocabulary has no tokens for; kInvalidInput: an id outside the vocabulary, a request without a
/// token.
Result<Expanded> expand(const Request& request, std::span<const MediumCounts> counts,
                        const text::Tokenizer& tokenizer, const model::SpecialTokens& special);

}  // namespace preflight::run
