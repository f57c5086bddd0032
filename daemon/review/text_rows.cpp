#include "daemon/review/text_rows.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include "daemon/protocol/pattern.h"
#include "daemon/review/text_match.h"

namespace preflight::review {
namespace {

using Json = nlohmann::json;
using protocol::Role;

constexpr std::size_t kContextWords = 3;

constexpr std::array<std::string_view, 15> kDiscountWords = {
    "off",    "discount", "save", "saving", "savings", "less",      "reduced", "reduction",
    "rabatt", "sparen",   "sale", "remise", "dto",     "descuento", "cheaper"};
constexpr std::array<std::string_view, 12> kOtherPriceWords = {
    "delivery",  "shipping", "postage", "versand", "deposit", "pfand",
    "livraison", "envío",    "over",    "above",   "orders",  "voucher"};
constexpr std::array<std::string_view, 22> kEmptyWords = {
    "the", "and", "for", "with", "your",  "our",  "you",   "only", "just", "all",    "now",
    "get", "are", "was", "from", "until", "till", "after", "than", "more", "within", "per"};

template <std::size_t N>
bool one_of(const std::array<std::string_view, N>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> out;
  const std::string folded = normalised(text);
  for (std::size_t begin = 0; begin < folded.size();) {
    const std::size_t end = std::min(folded.find(' ', begin), folded.size());
    out.push_back(folded.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

/// The words around a value on its own line.
std::vector<std::string> context_of(std::string_view text, const Value& value) {
  const std::size_t begin = value.begin;
  const std::size_t after = std::min(text.size(), begin + value.quote.size());
  const std::size_t newline = text.rfind('\n', begin);
  const std::size_t line_begin = newline == std::string_view::npos || begin == 0 ? 0 : newline + 1;
  const std::size_t line_end = std::min(text.find('\n', after), text.size());
  std::vector<std::string> before =
      words_of(text.substr(line_begin, begin > line_begin ? begin - line_begin : 0));
  std::vector<std::string> behind = words_of(text.substr(after, line_end - after));
  std::vector<std::string> out;
  const std::size_t skip = before.size() > kContextWords ? before.size() - kContextWords : 0;
  out.assign(before.begin() + static_cast<std::ptrdiff_t>(skip), before.end());
  if (behind.size() > kContextWords) behind.resize(kContextWords);
  out.insert(out.end(), behind.begin(), behind.end());
  return out;
}

template <std::size_t N>
bool near_word(const SaidValue& said, const std::array<std::string_view, N>& words) {
  return std::any_of(said.context.begin(), said.context.end(),
                     [&](const std::string& word) { return one_of(words, word); });
}

bool share_a_word(const SaidValue& a, const SaidValue& b) {
  return std::any_of(a.context.begin(), a.context.end(), [&](const std::string& word) {
    return word.size() >= 3 && !one_of(kEmptyWords, word) &&
           std::find(b.context.begin(), b.context.end(), word) != b.context.end();
  });
}

/// Is `said` the kind of statement that `wanted` makes?
bool same_matter(const SaidValue& said, const SaidValue& wanted) {
  if (!comparable(said.value, wanted.value)) return false;
  switch (said.value.kind) {
    case ValueKind::kMoney:
      return !near_word(said, kOtherPriceWords);
    case ValueKind::kPercent:
      return near_word(said, kDiscountWords) || said.value.quote.starts_with('-');
    case ValueKind::kDate:
      return said.value.year == 0 || wanted.value.year == 0 ||
             std::abs(said.value.year - wanted.value.year) <= 1;
    case ValueKind::kDuration:
      return share_a_word(said, wanted);
  }
  return false;
}

/// "Save £6" where the offer is £24 instead of £30.
bool is_difference(const SaidValue& said, const std::vector<SaidValue>& wanted) {
  if (said.value.kind != ValueKind::kMoney) return false;
  for (const SaidValue& a : wanted)
    for (const SaidValue& b : wanted)
      if (a.value.kind == ValueKind::kMoney && b.value.kind == ValueKind::kMoney &&
          a.value.amount - b.value.amount == said.value.amount)
        return true;
  return false;
}

Json text_evidence(const SaidValue& said) {
  return {{"type", "text"},
          {"asset", said.source},
          {"line", said.value.line},
          {"quote", said.value.quote}};
}

Measured clash_measured(const std::vector<Clash>& clashes) {
  Measured out;
  out.value = clashes.empty();
  out.evidence = Json::array();
  for (const Clash& clash : clashes) {
    out.detail +=
        fmt::format("{}{} says {}, {} says {}", out.detail.empty() ? "" : "; ", clash.said.source,
                    clash.said.value.quote, clash.wanted.source, clash.wanted.value.quote);
    out.evidence.push_back(text_evidence(clash.said));
    out.evidence.push_back(text_evidence(clash.wanted));
  }
  return out;
}

Measured unknown(std::string why) { return {Json(), std::move(why), Json::array(), {}}; }

void add_rows(Json& rows, const Json& more) {
  for (const Json& row : more) rows.push_back(row);
}

void add_value(std::vector<SaidValue>& out, const protocol::Bundle& bundle, std::string_view name,
               std::string_view text) {
  for (SaidValue& value : said_values({std::string(name), text, nullptr}, bundle))
    out.push_back(std::move(value));
}

Json landing_rows(const protocol::Bundle& bundle, const RuleSet& rules,
                  const std::vector<SaidValue>& offer) {
  Json rows = Json::array();
  const auto pages = landing_texts(bundle);
  for (const protocol::Asset* asset : bundle.all(Role::kLandingPage)) {
    MeasuredMap map;
    const auto page = std::find_if(pages.begin(), pages.end(),
                                   [&](const TextSource& p) { return p.asset == asset; });
    if (page == pages.end()) {
      // With the words given as well, the picture needs no row of its own.
      if (!pages.empty()) continue;
      map["offer.numbers_match_landing"] = unknown(
          "the landing page is a picture; give its words as a text file to have them compared");
    } else {
      const std::vector<SaidValue> wanted = said_values(*page, bundle);
      std::vector<Clash> clashes;
      std::size_t compared = 0;
      // What the page says beside the offer (the price before, say) is no clash; what the offer and
      // the creative say and the page contradicts is.
      clashes = find_clashes(offer, wanted, compared);
      for (const TextSource& text : creative_texts(bundle)) {
        for (Clash& clash : find_clashes(said_values(text, bundle), wanted, compared))
          clashes.push_back(std::move(clash));
      }
      map["offer.numbers_match_landing"] =
          compared == 0 ? unknown("no number on it to compare") : clash_measured(clashes);
    }
    add_rows(rows, rule_rows(bundle, rules, asset, "landing_page", map));
  }
  return rows;
}

Measured denied_measured(const std::vector<DeniedHit>& hits) {
  Measured out;
  out.value = hits.size();
  out.evidence = Json::array();
  for (const DeniedHit& hit : hits) {
    out.detail += fmt::format("{}{} says \"{}\", which {} forbids", out.detail.empty() ? "" : "; ",
                              hit.source, hit.quote, hit.entry);
    if (!hit.why.empty()) out.detail += fmt::format(" ({})", hit.why);
    out.evidence.push_back(
        {{"type", "text"}, {"asset", hit.source}, {"line", hit.line}, {"quote", hit.quote}});
  }
  return out;
}

}  // namespace

std::vector<TextSource> creative_texts(const protocol::Bundle& bundle) {
  std::vector<TextSource> out;
  for (const protocol::Asset& asset : bundle.assets) {
    const bool creative =
        asset.role == Role::kScript || asset.role == Role::kHook || asset.role == Role::kCaptions;
    if (creative && asset.text) out.push_back({asset.id, *asset.text, &asset});
  }
  for (const auto& [field, text] : bundle.copy) {
    if (!field.ends_with("_url")) out.push_back({fmt::format("copy.{}", field), text, nullptr});
  }
  return out;
}

std::vector<TextSource> landing_texts(const protocol::Bundle& bundle) {
  std::vector<TextSource> out;
  for (const protocol::Asset* asset : bundle.all(Role::kLandingPage))
    if (asset->text) out.push_back({asset->id, *asset->text, asset});
  return out;
}

std::vector<SaidValue> said_values(const TextSource& source, const protocol::Bundle& bundle) {
  std::vector<SaidValue> out;
  const std::string currency = bundle.offer ? bundle.offer->currency : std::string();
  for (Value& value : read_values(source.text, bundle.locale, currency)) {
    std::vector<std::string> context = context_of(source.text, value);
    out.push_back({std::move(value), source.name, std::move(context)});
  }
  return out;
}

std::vector<SaidValue> offer_values(const protocol::Bundle& bundle) {
  std::vector<SaidValue> out;
  if (!bundle.offer) return out;
  const protocol::Offer& offer = *bundle.offer;
  if (!offer.price.empty()) {
    // The field is written with a point whatever the locale is.
    const std::string text = (offer.currency.empty() ? "USD" : offer.currency) + " " + offer.price;
    for (Value value : read_values(text, "en", offer.currency)) {
      if (offer.currency.empty()) value.currency.clear();
      value.quote = offer.currency.empty() ? offer.price : text;
      out.push_back({std::move(value), "offer.price", {}});
    }
  }
  if (offer.discount_pct) {
    for (Value value : read_values(fmt::format("{}%", *offer.discount_pct), "en", ""))
      out.push_back({std::move(value), "offer.discount_pct", {"off"}});
  }
  for (Value value : read_values(offer.ends, "en", ""))
    out.push_back({std::move(value), "offer.ends", {}});
  add_value(out, bundle, "offer.promise", offer.promise);
  add_value(out, bundle, "offer.terms", offer.terms);
  for (const protocol::AllowedClaim& claim : bundle.allow)
    add_value(out, bundle, claim.id, claim.text);
  return out;
}

std::vector<Clash> find_clashes(const std::vector<SaidValue>& said,
                                const std::vector<SaidValue>& wanted, std::size_t& compared) {
  std::vector<Clash> out;
  for (const SaidValue& value : said) {
    const SaidValue* first = nullptr;
    bool agrees = false;
    for (const SaidValue& other : wanted) {
      agrees = agrees || agree(value.value, other.value);
      if (first == nullptr && same_matter(value, other)) first = &other;
    }
    if (first == nullptr) continue;
    ++compared;
    if (!agrees && !is_difference(value, wanted)) out.push_back({value, *first});
  }
  return out;
}

std::vector<DeniedHit> denied_hits(const protocol::Bundle& bundle, const TextSource& source) {
  std::vector<DeniedHit> out;
  for (const protocol::DeniedClaim& claim : bundle.deny) {
    const auto pattern = protocol::Pattern::compile(claim.pattern, claim.is_regex);
    if (!pattern) continue;  // the bundle was checked: every pattern of it compiles
    const auto match = pattern->find(source.text);
    if (!match) continue;
    DeniedHit hit{claim.id, claim.why, source.name,
                  std::string(source.text.substr(match->begin, match->end - match->begin)), 0};
    hit.line = 1 + static_cast<std::size_t>(std::count(
                       source.text.begin(),
                       source.text.begin() + static_cast<std::ptrdiff_t>(match->begin), '\n'));
    out.push_back(std::move(hit));
  }
  return out;
}

Json text_rows(const protocol::Bundle& bundle, const RuleSet& rules) {
  Json rows = Json::array();
  const std::vector<SaidValue> offer = offer_values(bundle);
  std::vector<TextSource> texts = creative_texts(bundle);
  for (const TextSource& text : texts) {
    const std::string role =
        text.asset == nullptr ? std::string("copy") : std::string(to_string(text.asset->role));
    MeasuredMap map;
    if (bundle.offer) {
      std::size_t compared = 0;
      const auto clashes = find_clashes(said_values(text, bundle), offer, compared);
      if (compared > 0) map["offer.numbers_match_text"] = clash_measured(clashes);
    }
    if (!bundle.deny.empty()) map["claims.denied"] = denied_measured(denied_hits(bundle, text));
    Json more = rule_rows(bundle, rules, text.asset, role, map);
    if (text.asset == nullptr) {
      for (Json& row : more) row["asset"] = text.name;
    }
    add_rows(rows, more);
  }
  for (const TextSource& page : landing_texts(bundle)) {
    if (bundle.deny.empty()) continue;
    MeasuredMap map;
    map["claims.denied"] = denied_measured(denied_hits(bundle, page));
    add_rows(rows, rule_rows(bundle, rules, page.asset, "landing_page", map));
  }
  if (bundle.offer) add_rows(rows, landing_rows(bundle, rules, offer));
  for (const protocol::Disclosure& disclosure : bundle.guardrails.required_disclosures) {
    Measured found;
    found.value = std::any_of(texts.begin(), texts.end(), [&](const TextSource& text) {
      return find_quote(disclosure.text, text.text).similarity >= 0.85;
    });
    found.evidence = Json::array(
        {Json{{"type", "guardrail"}, {"id", disclosure.id}, {"quote", disclosure.text}}});
    if (!found.value.get<bool>())
      found.detail = fmt::format("\"{}\" ({}) stands in no text", disclosure.text, disclosure.id);
    MeasuredMap map;
    map["disclosure.in_texts"] = std::move(found);
    add_rows(rows, rule_rows(bundle, rules, nullptr, "bundle", map));
  }
  return rows;
}

}  // namespace preflight::review
