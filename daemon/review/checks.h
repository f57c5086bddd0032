// share/rules/checks.json: the questions of the five checks and what their answers lead to. The
// model answers; this table decides (docs/rules.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/review/rules.h"
#include "vk/error.h"

namespace preflight::review {

/// From good to bad; kNotApplicable says nothing about the creative.
enum class Verdict { kNotApplicable, kPass, kNotChecked, kNeedsHuman, kFail };

std::string_view to_string(Verdict verdict);

/// What one answer leads to.
struct Outcome {
  Verdict verdict = Verdict::kNeedsHuman;
  Severity severity = Severity::kInfo;
  std::string finding, fix;  ///< sentences for the report; may be empty
};

inline constexpr std::string_view kCannotTell = "cannot_tell";

struct Question {
  std::string id, text;
  std::string axis;                   ///< of a tagging question: its key in the answer
  std::vector<std::string> evidence;  ///< kinds: text, speech, screen_text, frame, image, guardrail
  std::map<std::string, Outcome> answers;  ///< cannot_tell is added by code
  std::vector<std::string> needs;          ///< each "a|b": one of them must be there
  std::vector<std::string> facts;          ///< measured facts that decide where they are measured
  std::vector<std::string> areas;          ///< policy areas that a finding names
  std::vector<std::string> sound;          ///< only at placements that play so; empty: all
  bool by_listening = false;               ///< answered by the listen pass: unclear words
  std::optional<Outcome> hit;              ///< then: what unclear words lead to
  std::optional<Outcome> hit_on_offer;     ///< and those where offer or a disclosure is said
  std::optional<Outcome> human;            ///< always a person's: what the row says

  /// The key in the model's answer.
  const std::string& key() const { return axis.empty() ? id : axis; }
  bool asks_model() const { return !answers.empty() || !axis.empty(); }
};

/// Measured rows that count in a check besides those that decide a question. The first that names a
/// row counts.
struct FactRule {
  std::vector<std::string> facts;  ///< by name, "video.*" for all of a kind
  std::vector<std::string> roles;  ///< of the asset, or "copy"; empty: all
  Severity from = Severity::kBlocker;
  std::optional<Verdict> verdict;  ///< empty: the row's own
  std::optional<Severity> severity;
  std::vector<std::string> areas;  ///< policy areas that a finding names
};

/// Wording that fails a claim of certain types, where its quote stands in a text.
struct WordingRule {
  std::vector<std::string> types;
  std::string pattern;  ///< as in a bundle's claims.deny
  Outcome outcome;
};

/// The policy check's list of claims.
struct ClaimList {
  std::string question, text;
  std::size_t max_items = 0;
  std::map<std::string, Outcome> types;
  std::map<std::string, std::vector<std::string>> areas;
  std::vector<WordingRule> wordings;
  Outcome denied_when_heard;  ///< of a spoken claim that the bundle forbids
};

/// The variants check's list of unused angles.
struct IdeaList {
  std::string question, text;
  std::size_t max_items = 0;
  std::vector<std::string> needs;
};

struct Check {
  std::string id, name, human_owns, topic, clear_wording;
  bool per_placement = false;
  bool auto_pass = true;       ///< false: a clean row is still needs_human
  bool single_bundle = false;  ///< the whole answer needs a set; the row says so
  std::vector<std::string> needs;
  std::vector<FactRule> facts;
  std::vector<Question> questions;
  std::optional<ClaimList> claims;
  std::optional<IdeaList> ideas;
};

struct CheckLimits {
  std::uint32_t seen_tokens = 0, quote_tokens = 0, heard_tokens = 0, screen_text_tokens = 0;
  std::uint32_t heard_characters_per_s = 0, screen_texts = 0, evidence_items = 0;
  std::uint32_t prefill_tokens = 0, narrow_steps = 0, frames = 0;
  double clip_s = 0;
};

struct CheckSet {
  std::string version, as_of, digest, confidence_kind;
  double quote_similarity = 1;
  double needs_human_below = 1;
  CheckLimits limits;
  std::vector<std::string> tones, unclear;
  std::map<std::string, std::string> voices;  ///< platform -> how people talk there
  std::string system, listen, look, judge;    ///< prompts
  std::vector<Check> checks;

  const Check* find(std::string_view id) const;
};

/// Errors as load_rules: file, place, what was found, what was expected.
Result<CheckSet> load_checks(const std::filesystem::path& file);

/// "a|b" is met by either; all of `needs` must be met. The first that is not; empty: none.
std::string missing_need(const std::vector<std::string>& needs, const std::set<std::string>& have);

/// Is `fact` named by `pattern`, which may end in ".*"?
bool fact_matches(std::string_view pattern, std::string_view fact);

}  // namespace preflight::review
