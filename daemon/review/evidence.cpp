#include <algorithm>

#include <fmt/format.h>

#include "daemon/protocol/sha256.h"
#include "daemon/review/text_match.h"
#include "daemon/review/verdict.h"

namespace preflight::review {
namespace {

using Json = nlohmann::json;

template <class T>
const T* by_id(const std::vector<T>& list, std::string_view id) {
  const auto found =
      std::find_if(list.begin(), list.end(), [&](const T& entry) { return entry.id == id; });
  return found == list.end() ? nullptr : &*found;
}

std::string how_sure(const QuoteMatch& match) {
  return match.similarity >= 0.9995 ? std::string("exact")
                                    : fmt::format("similar {:.2f}", match.similarity);
}

}  // namespace

std::optional<Json> check_evidence(const PromptContext& context, const Observations& observations,
                                   const std::vector<std::string>& kinds, std::string_view at,
                                   std::string_view quote) {
  const Material& material = *context.material;
  const auto accepts = [&](std::string_view kind) {
    return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
  };
  const auto holds = [&](const QuoteMatch& match) {
    return match.similarity >= context.checks->quote_similarity && match.numbers_agree;
  };
  if (const TextItem* item = by_id(material.texts, at); item != nullptr) {
    const bool rail = item->id.starts_with("guardrails");
    if (!accepts("text") && !(rail && accepts("guardrail"))) return std::nullopt;
    const QuoteMatch match = find_quote(quote, item->text);
    if (!holds(match)) return std::nullopt;
    return Json{{"type", rail ? "guardrail" : "text"},
                {"asset", item->asset},
                {"line", match.line},
                {"quote", quote},
                {"check", how_sure(match)}};
  }
  if (const Clip* clip = by_id(material.clips, at); clip != nullptr) {
    if (!accepts("speech")) return std::nullopt;
    const auto heard = std::find_if(observations.heard.begin(), observations.heard.end(),
                                    [&](const Heard& entry) { return entry.clip == clip->id; });
    if (heard == observations.heard.end()) return std::nullopt;
    const QuoteMatch match = find_quote(quote, heard->text);
    if (!holds(match)) return std::nullopt;
    return Json{{"type", "speech"},        {"asset", clip->asset}, {"clip", clip->id},
                {"t0", clip->start_s},     {"t1", clip->end_s},    {"quote", quote},
                {"check", how_sure(match)}};
  }
  if (const Frame* frame = by_id(material.frames, at); frame != nullptr) {
    Json out = {{"asset", frame->asset}, {"frame", frame->id}, {"t", frame->time_s}};
    for (const Seen& seen : observations.screen) {
      if (!accepts("screen_text") || seen.frame != frame->id) continue;
      const QuoteMatch match = find_quote(quote, seen.text);
      if (!holds(match)) continue;
      out["type"] = "screen_text";
      out["quote"] = quote;
      out["check"] = how_sure(match);
      return out;
    }
    // What is described in words cannot be compared with words; that the frame was shown can.
    if (!accepts("frame") || normalised(quote).empty()) return std::nullopt;
    out["type"] = "frame";
    out["description"] = quote;
    out["check"] = "the frame was shown";
    return out;
  }
  if (const Picture* picture = by_id(material.pictures, at); picture != nullptr) {
    if (!accepts("image") || normalised(quote).empty()) return std::nullopt;
    return Json{{"type", "image"},
                {"asset", picture->asset},
                {"description", quote},
                {"check", "the picture was shown"}};
  }
  return std::nullopt;
}

std::string fingerprint(std::string_view code, std::string_view quote, std::string_view role) {
  std::string lower(code);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  const std::string hash =
      protocol::sha256_hex(fmt::format("{}\n{}\n{}", lower, normalised(quote), role));
  return fmt::format("{}:{}", lower, hash.substr(0, 16));
}

}  // namespace preflight::review
