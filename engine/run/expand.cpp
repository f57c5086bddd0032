#include "engine/run/expand.h"

#include <utility>

#include <fmt/format.h>

#include "engine/media/film.h"

namespace preflight::run {
namespace {

using text::PartKind;
using text::Segment;

class Expander {
 public:
  Expander(const text::Tokenizer& tokenizer, const model::SpecialTokens& special)
      : tokenizer_(tokenizer), special_(special) {}

  Result<void> add(const text::PromptPart& part, const MediumCounts* counts) {
    switch (part.kind) {
      case PartKind::kText:
        segments_.push_back(part.segment);
        return {};
      case PartKind::kImage:
        return soft(kImage, part.media_ix, 0, counts->frames.at(0).n_tokens);
      case PartKind::kAudio:
        for (std::size_t i = 0; i < counts->clips.size(); ++i) {
          PREFLIGHT_TRY_VOID(soft(kAudio, part.media_ix, i, counts->clips[i].n_tokens));
        }
        return {};
      case PartKind::kVideo:
        break;
    }
    return film(part.media_ix, *counts);
  }

  Expanded finish() {
    flush();
    return std::move(out_);
  }

 private:
  enum Medium { kImage, kFrame, kAudio };

  Result<void> film(std::size_t media_ix, const MediumCounts& counts) {
    std::size_t frame = 0;
    for (std::size_t clip = 0; clip == 0 || clip < counts.clips.size(); ++clip) {
      const bool is_last = clip + 1 >= counts.clips.size();
      for (bool first = true; frame < counts.frames.size(); ++frame, first = false) {
        const MediumCounts::Frame& shown = counts.frames[frame];
        if (!is_last && shown.time_s >= counts.clips[clip + 1].start_s) break;
        segments_.push_back(Segment{
            fmt::format("{}{} ", first ? "" : " ", media::frame_stamp(shown.time_s)), false});
        PREFLIGHT_TRY_VOID(soft(kFrame, media_ix, frame, shown.n_tokens));
      }
      if (clip < counts.clips.size()) {
        PREFLIGHT_TRY_VOID(soft(kAudio, media_ix, clip, counts.clips[clip].n_tokens));
      }
    }
    return {};
  }

  /// A special token ends a stretch of text anyway, so the text before it may be encoded alone.
  void flush() {
    const std::vector<std::int32_t> ids = tokenizer_.encode(segments_);
    out_.ids.insert(out_.ids.end(), ids.begin(), ids.end());
    segments_.clear();
  }

  Result<void> soft(Medium medium, std::size_t media_ix, std::size_t item_ix,
                    std::uint32_t n_tokens) {
    const bool sound = medium == kAudio;
    const std::int32_t open = sound ? special_.boa : special_.boi;
    const std::int32_t close = sound ? special_.eoa : special_.eoi;
    const std::int32_t placeholder =
        sound ? special_.audio : (medium == kFrame ? special_.video : special_.image);
    if (open < 0 || close < 0 || placeholder < 0) {
      return fail(
          ErrorCode::kUnsupported,
          fmt::format("the request holds {}, but the model's vocabulary has no tokens for it",
                      sound ? "sound" : (medium == kFrame ? "a video" : "a picture")));
    }
    flush();
    out_.ids.push_back(open);
    out_.soft.push_back(SoftSpan{out_.ids.size(), n_tokens, !sound, media_ix, item_ix});
    out_.ids.insert(out_.ids.end(), n_tokens, placeholder);
    out_.ids.push_back(close);
    return {};
  }

  const text::Tokenizer& tokenizer_;
  const model::SpecialTokens& special_;
  std::vector<Segment> segments_;
  Expanded out_;
};

Result<void> check_ids(std::span<const std::int32_t> ids, std::size_t vocab_size) {
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 || static_cast<std::size_t>(ids[i]) >= vocab_size) {
      return fail(ErrorCode::kInvalidInput,
                  fmt::format("ids[{}] is {}, the model's vocabulary has the ids 0 to {}", i,
                              ids[i], vocab_size - 1));
    }
  }
  return {};
}

Result<void> check_size(const Request& request) {
  std::size_t total_bytes = 0;
  for (const text::PromptPart& part : request.parts) total_bytes += part.segment.text.size();
  if (total_bytes <= text::kMaxTextBytes) return {};
  return fail(ErrorCode::kLimit, fmt::format("the request's text has {} bytes, at most {} are read",
                                             total_bytes, text::kMaxTextBytes));
}

}  // namespace

Result<Expanded> expand(const Request& request, std::span<const MediumCounts> counts,
                        const text::Tokenizer& tokenizer, const model::SpecialTokens& special) {
  PREFLIGHT_ASSERT(counts.size() == request.media.size());
  PREFLIGHT_TRY_VOID(check_size(request));
  Expanded out;
  if (request.ids) {
    PREFLIGHT_TRY_VOID(check_ids(*request.ids, tokenizer.vocab_size()));
    out.ids = *request.ids;
  } else {
    Expander expander(tokenizer, special);
    for (const text::PromptPart& part : request.parts) {
      const bool is_text = part.kind == PartKind::kText;
      PREFLIGHT_TRY_VOID(expander.add(part, is_text ? nullptr : &counts[part.media_ix]));
    }
    out = expander.finish();
    const bool spelled = !out.ids.empty() && out.ids.front() == special.bos;
    if (request.add_bos && !spelled && special.bos >= 0) {
      out.ids.insert(out.ids.begin(), special.bos);
      for (SoftSpan& span : out.soft) ++span.begin_ix;
    }
  }
  if (out.ids.empty()) return fail(ErrorCode::kInvalidInput, "the request holds no token");
  return out;
}

}  // namespace preflight::run
