// The measured rows of words: numbers of offer and texts compared as values, forbidden wording,
// required disclosures. No model.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "daemon/protocol/bundle.h"
#include "daemon/review/fact_rows.h"
#include "daemon/review/rules.h"
#include "daemon/review/values.h"

namespace preflight::review {

/// One text of the bundle and the name that findings call it by.
struct TextSource {
  std::string name;  ///< the asset's id, or "copy.headline", "offer.promise"
  std::string_view text;
  const protocol::Asset* asset = nullptr;  ///< null: not an asset
};

/// What the creative says: script, hook, captions, copy fields.
std::vector<TextSource> creative_texts(const protocol::Bundle& bundle);
/// Landing pages given as texts.
std::vector<TextSource> landing_texts(const protocol::Bundle& bundle);

/// One value and where it was said.
struct SaidValue {
  Value value;
  std::string source;
  std::vector<std::string> context;  ///< words near it, for telling durations apart
};

struct Clash {
  SaidValue said, wanted;
};

/// The values of a text, with what stands around them.
std::vector<SaidValue> said_values(const TextSource& source, const protocol::Bundle& bundle);
/// Values of the offer (promise, price, discount, end, terms) and of the cleared claims.
std::vector<SaidValue> offer_values(const protocol::Bundle& bundle);

/// Values that are about the same thing as one of `wanted` and agree with none of them. Prices of
/// delivery, percentages that are no discount and durations of other things are left alone.
/// `compared` counts the values that had something to be compared with.
std::vector<Clash> find_clashes(const std::vector<SaidValue>& said,
                                const std::vector<SaidValue>& wanted, std::size_t& compared);

struct DeniedHit {
  std::string entry, why, source, quote;
  std::size_t line = 0;
};

std::vector<DeniedHit> denied_hits(const protocol::Bundle& bundle, const TextSource& source);

/// All rows of words.
nlohmann::json text_rows(const protocol::Bundle& bundle, const RuleSet& rules);

}  // namespace preflight::review
