#include "daemon/review/checks.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "daemon/protocol/bundle.h"
#include "daemon/protocol/pattern.h"
#include "daemon/protocol/problem.h"
#include "daemon/protocol/sha256.h"

namespace preflight::review {
namespace {

using Json = nlohmann::json;
using protocol::join_pointer;

constexpr std::array<std::string_view, 6> kEvidenceKinds = {"text",  "speech", "screen_text",
                                                            "frame", "image",  "guardrail"};
constexpr std::array<std::string_view, 5> kCheckIds = {"hook", "platform", "policy", "variants",
                                                       "audio"};

class Loader {
 public:
  explicit Loader(std::string file) : file_(std::move(file)) {}

  Result<CheckSet> run(const Json& json, std::string_view text) {
    CheckSet set;
    PREFLIGHT_TRY(const std::string schema, string(json, "", "schema"));
    if (schema != "preflight.checks/1")
      return wrong("/schema", fmt::format("\"{}\"", schema), "\"preflight.checks/1\"");
    PREFLIGHT_TRY(set.version, string(json, "", "version"));
    PREFLIGHT_TRY(set.as_of, string(json, "", "as_of"));
    PREFLIGHT_TRY(const Json* evidence, object(json, "", "evidence"));
    PREFLIGHT_TRY(set.quote_similarity, number(*evidence, "/evidence", "quote_similarity", 0.5, 1));
    PREFLIGHT_TRY(const Json* confidence, object(json, "", "confidence"));
    PREFLIGHT_TRY(set.confidence_kind, string(*confidence, "/confidence", "kind"));
    PREFLIGHT_TRY(set.needs_human_below,
                  number(*confidence, "/confidence", "needs_human_below", 0, 1));
    PREFLIGHT_TRY(const Json* limits, object(json, "", "limits"));
    PREFLIGHT_TRY(set.limits, read_limits(*limits));
    PREFLIGHT_TRY(set.tones, strings(json, "", "tones"));
    PREFLIGHT_TRY(set.unclear, strings(json, "", "unclear"));
    PREFLIGHT_TRY(const Json* voices, object(json, "", "voices"));
    for (const auto& [platform, voice] : voices->items()) {
      PREFLIGHT_TRY(set.voices[platform], string(*voices, "/voices", platform));
    }
    PREFLIGHT_TRY(const Json* prompts, object(json, "", "prompts"));
    PREFLIGHT_TRY(const std::vector<std::string> system, strings(*prompts, "/prompts", "system"));
    set.system = fmt::format("{}", fmt::join(system, "\n"));
    PREFLIGHT_TRY(set.listen, string(*prompts, "/prompts", "listen"));
    PREFLIGHT_TRY(set.look, string(*prompts, "/prompts", "look"));
    PREFLIGHT_TRY(set.judge, string(*prompts, "/prompts", "judge"));
    const auto checks = json.find("checks");
    if (checks == json.end() || !checks->is_array())
      return wrong("/checks", "nothing", "a list of checks");
    for (std::size_t i = 0; i < checks->size(); ++i) {
      PREFLIGHT_TRY(Check check, read_check((*checks)[i], fmt::format("/checks/{}", i)));
      set.checks.push_back(std::move(check));
    }
    for (const std::string_view id : kCheckIds) {
      const auto n = std::count_if(set.checks.begin(), set.checks.end(),
                                   [&](const Check& check) { return check.id == id; });
      if (n != 1)
        return wrong("/checks", fmt::format("{} named \"{}\"", n, id), "each of the five once");
    }
    set.digest = protocol::sha256_hex(text);
    return set;
  }

 private:
  tl::unexpected<Error> wrong(std::string_view pointer, std::string_view found,
                              std::string_view expected) const {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("{}: {}: expected {}, found {}", file_, pointer, expected, found));
  }

  static std::string shown(const Json& value) {
    std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
    return text.size() > 60 ? text.substr(0, 57) + "..." : text;
  }

  Result<std::string> string(const Json& json, std::string_view pointer,
                             std::string_view name) const {
    const auto found = json.find(name);
    if (found == json.end()) return wrong(join_pointer(pointer, name), "nothing", "a string");
    if (!found->is_string()) return wrong(join_pointer(pointer, name), shown(*found), "a string");
    return found->get<std::string>();
  }
  Result<std::string> optional_string(const Json& json, std::string_view pointer,
                                      std::string_view name) const {
    if (json.find(name) == json.end()) return std::string();
    return string(json, pointer, name);
  }
  Result<double> number(const Json& json, std::string_view pointer, std::string_view name,
                        double least, double most) const {
    const auto found = json.find(name);
    const bool good = found != json.end() && found->is_number() && found->get<double>() >= least &&
                      found->get<double>() <= most;
    if (good) return found->get<double>();
    return wrong(join_pointer(pointer, name), found == json.end() ? "nothing" : shown(*found),
                 fmt::format("a number from {} to {}", least, most));
  }
  Result<std::uint32_t> count(const Json& json, std::string_view pointer, std::string_view name,
                              std::uint32_t most) const {
    PREFLIGHT_TRY(const double value, number(json, pointer, name, 1, most));
    return static_cast<std::uint32_t>(value);
  }
  Result<bool> flag(const Json& json, std::string_view pointer, std::string_view name,
                    bool otherwise) const {
    const auto found = json.find(name);
    if (found == json.end()) return otherwise;
    if (!found->is_boolean())
      return wrong(join_pointer(pointer, name), shown(*found), "true or false");
    return found->get<bool>();
  }
  Result<const Json*> object(const Json& json, std::string_view pointer,
                             std::string_view name) const {
    const auto found = json.find(name);
    if (found == json.end()) return wrong(join_pointer(pointer, name), "nothing", "an object");
    if (!found->is_object()) return wrong(join_pointer(pointer, name), shown(*found), "an object");
    return &*found;
  }
  /// Empty where absent.
  Result<std::vector<std::string>> strings(const Json& json, std::string_view pointer,
                                           std::string_view name) const {
    std::vector<std::string> out;
    const auto found = json.find(name);
    if (found == json.end()) return out;
    if (!found->is_array())
      return wrong(join_pointer(pointer, name), shown(*found), "a list of strings");
    for (const Json& entry : *found) {
      if (!entry.is_string())
        return wrong(join_pointer(pointer, name), shown(entry), "a list of strings");
      out.push_back(entry.get<std::string>());
    }
    return out;
  }

  Result<CheckLimits> read_limits(const Json& json) const {
    constexpr std::string_view kAt = "/limits";
    CheckLimits limits;
    PREFLIGHT_TRY(limits.seen_tokens, count(json, kAt, "seen_tokens", 200));
    PREFLIGHT_TRY(limits.quote_tokens, count(json, kAt, "quote_tokens", 200));
    PREFLIGHT_TRY(limits.heard_tokens, count(json, kAt, "heard_tokens", 400));
    PREFLIGHT_TRY(limits.heard_characters_per_s, count(json, kAt, "heard_characters_per_s", 100));
    PREFLIGHT_TRY(limits.screen_text_tokens, count(json, kAt, "screen_text_tokens", 200));
    PREFLIGHT_TRY(limits.screen_texts, count(json, kAt, "screen_texts", 64));
    PREFLIGHT_TRY(limits.evidence_items, count(json, kAt, "evidence_items", 3));
    PREFLIGHT_TRY(limits.prefill_tokens, count(json, kAt, "prefill_tokens", 1'000'000));
    PREFLIGHT_TRY(limits.narrow_steps, count(json, kAt, "narrow_steps", 100'000));
    PREFLIGHT_TRY(limits.frames, count(json, kAt, "frames", 96));
    PREFLIGHT_TRY(limits.clip_s, number(json, kAt, "clip_s", 2, 30));
    return limits;
  }

  /// Null where absent; else a list of objects.
  Result<const Json*> objects(const Json& json, const std::string& pointer,
                              std::string_view name) const {
    const auto found = json.find(name);
    if (found == json.end()) return nullptr;
    const bool good = found->is_array() && std::all_of(found->begin(), found->end(),
                                                       [](const Json& v) { return v.is_object(); });
    if (!good) return wrong(join_pointer(pointer, name), shown(*found), "a list of objects");
    return &*found;
  }

  Result<Verdict> verdict(const Json& json, const std::string& pointer) const {
    PREFLIGHT_TRY(const std::string word, string(json, pointer, "verdict"));
    for (const Verdict known :
         {Verdict::kPass, Verdict::kFail, Verdict::kNeedsHuman, Verdict::kNotApplicable})
      if (to_string(known) == word) return known;
    return wrong(pointer + "/verdict", fmt::format("\"{}\"", word),
                 "pass, fail, needs_human or not_applicable");
  }

  Result<Severity> severity(const Json& json, const std::string& pointer,
                            std::string_view name) const {
    PREFLIGHT_TRY(const std::string word, string(json, pointer, name));
    const auto parsed = parse_severity(word);
    if (!parsed)
      return wrong(join_pointer(pointer, name), fmt::format("\"{}\"", word), "a severity");
    return *parsed;
  }

  Result<Outcome> outcome(const Json& json, const std::string& pointer) const {
    if (!json.is_object()) return wrong(pointer, shown(json), "an object");
    Outcome out;
    PREFLIGHT_TRY(out.verdict, verdict(json, pointer));
    if (out.verdict == Verdict::kFail || out.verdict == Verdict::kNeedsHuman) {
      PREFLIGHT_TRY(out.severity, severity(json, pointer, "severity"));
    }
    PREFLIGHT_TRY(out.finding, optional_string(json, pointer, "finding"));
    PREFLIGHT_TRY(out.fix, optional_string(json, pointer, "fix"));
    return out;
  }

  Result<std::map<std::string, Outcome>> outcomes(const Json& json, const std::string& pointer,
                                                  std::string_view name) const {
    std::map<std::string, Outcome> out;
    if (json.find(name) == json.end()) return out;
    PREFLIGHT_TRY(const Json* answers, object(json, pointer, name));
    for (const auto& [word, entry] : answers->items()) {
      PREFLIGHT_TRY(out[word], outcome(entry, join_pointer(join_pointer(pointer, name), word)));
    }
    return out;
  }

  Result<Question> question(const Json& json, const std::string& pointer) const {
    if (!json.is_object()) return wrong(pointer, shown(json), "an object");
    Question out;
    PREFLIGHT_TRY(out.id, string(json, pointer, "id"));
    PREFLIGHT_TRY(out.text, string(json, pointer, "text"));
    PREFLIGHT_TRY(out.axis, optional_string(json, pointer, "axis"));
    PREFLIGHT_TRY(out.evidence, strings(json, pointer, "evidence"));
    PREFLIGHT_TRY(out.answers, outcomes(json, pointer, "answers"));
    PREFLIGHT_TRY(out.needs, strings(json, pointer, "needs"));
    PREFLIGHT_TRY(out.facts, strings(json, pointer, "facts"));
    PREFLIGHT_TRY(out.areas, strings(json, pointer, "areas"));
    PREFLIGHT_TRY(out.sound, strings(json, pointer, "sound"));
    for (const std::string& kind : out.evidence) {
      if (std::find(kEvidenceKinds.begin(), kEvidenceKinds.end(), kind) == kEvidenceKinds.end())
        return wrong(pointer + "/evidence", fmt::format("\"{}\"", kind), "kinds of evidence");
    }
    if (out.answers.contains(std::string(kCannotTell)))
      return wrong(pointer + "/answers", "\"cannot_tell\"", "other answers: that one is built in");
    PREFLIGHT_TRY(const std::string listen, optional_string(json, pointer, "listen"));
    if (!listen.empty()) {
      if (listen != "unclear") return wrong(pointer + "/listen", listen, "\"unclear\"");
      out.by_listening = true;
      PREFLIGHT_TRY(const Json* hit, object(json, pointer, "hit"));
      PREFLIGHT_TRY(out.hit, outcome(*hit, pointer + "/hit"));
      PREFLIGHT_TRY(const Json* on_offer, object(json, pointer, "hit_on_offer"));
      PREFLIGHT_TRY(out.hit_on_offer, outcome(*on_offer, pointer + "/hit_on_offer"));
    }
    if (json.find("human") != json.end()) {
      PREFLIGHT_TRY(const Json* human, object(json, pointer, "human"));
      PREFLIGHT_TRY(out.human, outcome(*human, pointer + "/human"));
    }
    if (out.asks_model() && out.evidence.empty())
      return wrong(pointer + "/evidence", "nothing", "the kinds of evidence that count");
    if (!out.asks_model() && out.facts.empty() && !out.by_listening && !out.human)
      return wrong(pointer, "none", "answers, facts, \"listen\" or \"human\"");
    return out;
  }

  Result<std::vector<FactRule>> fact_rules(const Json& json, const std::string& pointer) const {
    std::vector<FactRule> out;
    PREFLIGHT_TRY(const Json* list, objects(json, pointer, "facts"));
    for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
      const Json& entry = (*list)[i];
      const std::string at = fmt::format("{}/facts/{}", pointer, i);
      FactRule rule;
      PREFLIGHT_TRY(rule.facts, strings(entry, at, "facts"));
      PREFLIGHT_TRY(rule.roles, strings(entry, at, "roles"));
      PREFLIGHT_TRY(rule.areas, strings(entry, at, "areas"));
      PREFLIGHT_TRY(rule.from, severity(entry, at, "from"));
      if (entry.contains("verdict")) {
        PREFLIGHT_TRY(rule.verdict, verdict(entry, at));
      }
      if (entry.contains("severity")) {
        PREFLIGHT_TRY(rule.severity, severity(entry, at, "severity"));
      }
      out.push_back(std::move(rule));
    }
    return out;
  }

  Result<std::vector<WordingRule>> wording_rules(const Json& json,
                                                 const std::string& pointer) const {
    std::vector<WordingRule> out;
    PREFLIGHT_TRY(const Json* list, objects(json, pointer, "wordings"));
    for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
      const std::string at = fmt::format("{}/wordings/{}", pointer, i);
      WordingRule rule;
      PREFLIGHT_TRY(rule.types, strings((*list)[i], at, "types"));
      PREFLIGHT_TRY(rule.pattern, string((*list)[i], at, "pattern"));
      if (const auto good = protocol::Pattern::compile(rule.pattern, /*is_regex=*/true); !good)
        return wrong(at + "/pattern", fmt::format("\"{}\"", rule.pattern), good.error());
      PREFLIGHT_TRY(rule.outcome, outcome((*list)[i], at));
      out.push_back(std::move(rule));
    }
    return out;
  }

  Result<Check> read_check(const Json& json, const std::string& pointer) const {
    if (!json.is_object()) return wrong(pointer, shown(json), "an object");
    Check out;
    PREFLIGHT_TRY(out.id, string(json, pointer, "id"));
    PREFLIGHT_TRY(out.name, string(json, pointer, "check"));
    PREFLIGHT_TRY(out.human_owns, string(json, pointer, "human_owns"));
    PREFLIGHT_TRY(out.topic, string(json, pointer, "topic"));
    PREFLIGHT_TRY(out.clear_wording, optional_string(json, pointer, "clear_wording"));
    PREFLIGHT_TRY(out.per_placement, flag(json, pointer, "per_placement", false));
    PREFLIGHT_TRY(out.auto_pass, flag(json, pointer, "auto_pass", true));
    PREFLIGHT_TRY(out.single_bundle, flag(json, pointer, "single_bundle", false));
    PREFLIGHT_TRY(out.needs, strings(json, pointer, "needs"));
    PREFLIGHT_TRY(out.facts, fact_rules(json, pointer));
    const auto questions = json.find("questions");
    if (questions == json.end() || !questions->is_array() || questions->empty())
      return wrong(pointer + "/questions", "none", "a list of questions");
    for (std::size_t i = 0; i < questions->size(); ++i) {
      PREFLIGHT_TRY(Question read,
                    question((*questions)[i], fmt::format("{}/questions/{}", pointer, i)));
      out.questions.push_back(std::move(read));
    }
    PREFLIGHT_TRY_VOID(read_lists(json, pointer, out));
    return out;
  }

  Result<void> read_lists(const Json& json, const std::string& pointer, Check& out) const {
    if (json.find("claims") != json.end()) {
      PREFLIGHT_TRY(const Json* claims, object(json, pointer, "claims"));
      const std::string at = pointer + "/claims";
      ClaimList list;
      PREFLIGHT_TRY(list.question, string(*claims, at, "question"));
      PREFLIGHT_TRY(list.text, string(*claims, at, "text"));
      PREFLIGHT_TRY(list.max_items, count(*claims, at, "max_items", 16));
      PREFLIGHT_TRY(list.types, outcomes(*claims, at, "types"));
      if (list.types.empty()) return wrong(at + "/types", "none", "types of claims");
      PREFLIGHT_TRY(const Json* areas, object(*claims, at, "areas"));
      for (const auto& [type, names] : areas->items()) {
        PREFLIGHT_TRY(list.areas[type], strings(*areas, at + "/areas", type));
      }
      PREFLIGHT_TRY(list.wordings, wording_rules(*claims, at));
      PREFLIGHT_TRY(const Json* denied, object(*claims, at, "denied_when_heard"));
      PREFLIGHT_TRY(list.denied_when_heard, outcome(*denied, at + "/denied_when_heard"));
      out.claims = std::move(list);
    }
    if (json.find("ideas") != json.end()) {
      PREFLIGHT_TRY(const Json* ideas, object(json, pointer, "ideas"));
      const std::string at = pointer + "/ideas";
      IdeaList list;
      PREFLIGHT_TRY(list.question, string(*ideas, at, "question"));
      PREFLIGHT_TRY(list.text, string(*ideas, at, "text"));
      PREFLIGHT_TRY(list.max_items, count(*ideas, at, "max_items", 16));
      PREFLIGHT_TRY(list.needs, strings(*ideas, at, "needs"));
      out.ideas = std::move(list);
    }
    return {};
  }

  std::string file_;
};

}  // namespace

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::kNotApplicable:
      return "not_applicable";
    case Verdict::kPass:
      return "pass";
    case Verdict::kNotChecked:
      return "not_checked";
    case Verdict::kNeedsHuman:
      return "needs_human";
    case Verdict::kFail:
      return "fail";
  }
  return "needs_human";
}

const Check* CheckSet::find(std::string_view id) const {
  const auto found =
      std::find_if(checks.begin(), checks.end(), [&](const Check& c) { return c.id == id; });
  return found == checks.end() ? nullptr : &*found;
}

std::string missing_need(const std::vector<std::string>& needs, const std::set<std::string>& have) {
  for (const std::string& need : needs) {
    bool met = false;
    for (std::size_t begin = 0; begin <= need.size();) {
      const std::size_t end = std::min(need.find('|', begin), need.size());
      met = met || have.contains(need.substr(begin, end - begin));
      begin = end + 1;
    }
    if (!met) return need;
  }
  return {};
}

bool fact_matches(std::string_view pattern, std::string_view fact) {
  if (pattern.ends_with(".*")) return fact.starts_with(pattern.substr(0, pattern.size() - 1));
  return pattern == fact;
}

Result<CheckSet> load_checks(const std::filesystem::path& file) {
  auto text = protocol::read_small_file(file, std::uint64_t{4} << 20);
  if (!text) return fail(ErrorCode::kIo, file.string() + ": " + text.error());
  const Json json = Json::parse(*text, nullptr, false);
  if (!json.is_object())
    return fail(ErrorCode::kInvalidInput, file.string() + ": expected a JSON object, found none");
  return Loader(file.string()).run(json, *text);
}

}  // namespace preflight::review
