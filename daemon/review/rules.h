// share/rules/placements.json: what each placement asks of a creative, each number with its source
// and date (docs/rules.md).
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "vk/error.h"

namespace preflight::review {

enum class Severity { kInfo, kMinor, kMajor, kBlocker };

std::string_view to_string(Severity severity);
std::optional<Severity> parse_severity(std::string_view word);

/// One rule: `fact` of an asset in `roles` is compared with `value` by `op`.
struct Rule {
  std::string id, fact, op, outcome, unit, source, as_of, status, note;
  std::vector<std::string> roles;  ///< "*": every file
  nlohmann::json value;            ///< null: measured and shown, never judged
  nlohmann::json when;             ///< null or {"aspect": ...} / {"locale_prefix": ...}
  Severity severity = Severity::kInfo;
};

struct Placement {
  std::string id, label, platform, sound;  ///< sound: "on", "off_by_default", "mixed"
  double hook_window_s = 3;
  std::vector<Rule> rules;  ///< its own and what it inherits, without the common ones
};

struct PolicyArea {
  std::string id, platform, area, summary, outcome, source, as_of, status;
};

struct RuleSet {
  std::string version, as_of, digest;  ///< digest: sha256 of the file
  int stale_after_days = 0;
  double aspect_tolerance = 0.01;  ///< share of the ratio
  double megabyte = 1e6;           ///< bytes
  std::vector<Rule> common;
  std::map<std::string, Placement> placements;
  std::vector<PolicyArea> policies;

  std::vector<std::string> placement_names() const;
  /// The common rules that hold at a placement: those whose fact and op it does not set itself.
  std::vector<const Rule*> common_for(const Placement& placement) const;
};

/// Errors: kInvalidInput, one sentence with the file, the place by JSON pointer, what was found and
/// what was expected; kIo where it cannot be read.
Result<RuleSet> load_rules(const std::filesystem::path& file);

/// The day `days` after an ISO date; empty where it is none.
std::string date_after(std::string_view date, int days);

}  // namespace preflight::review
