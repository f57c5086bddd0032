#include "daemon/review/rules.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "daemon/protocol/bundle.h"
#include "daemon/protocol/problem.h"
#include "daemon/protocol/sha256.h"

namespace preflight::review {
namespace {

using Json = nlohmann::json;
using protocol::join_pointer;

constexpr std::uint64_t kMaxRuleBytes = std::uint64_t{8} << 20;
constexpr std::array<std::string_view, 9> kOps = {"eq",      "in",  "not_contains", "le",    "ge",
                                                  "between", "min", "near",         "in_max"};

/// Reads one rules file; the first fault ends it.
class Loader {
 public:
  explicit Loader(std::string file) : file_(std::move(file)) {}

  Result<RuleSet> run(const Json& json, std::string_view text) {
    RuleSet rules;
    PREFLIGHT_TRY(const std::string schema, string(json, "", "schema"));
    if (schema != "preflight.rules/1")
      return wrong("/schema", fmt::format("\"{}\"", schema), "\"preflight.rules/1\"");
    PREFLIGHT_TRY(rules.version, string(json, "", "version"));
    PREFLIGHT_TRY(rules.as_of, string(json, "", "as_of"));
    PREFLIGHT_TRY(const double days, number(json, "", "stale_after_days", 1, 36500));
    rules.stale_after_days = static_cast<int>(days);
    const auto defaults = json.find("defaults");
    if (defaults != json.end()) {
      PREFLIGHT_TRY(const double percent,
                    number(*defaults, "/defaults", "aspect_tolerance_pct", 0, 50));
      rules.aspect_tolerance = percent / 100;
      PREFLIGHT_TRY(rules.megabyte, number(*defaults, "/defaults", "MB", 1, 1e9));
    }
    PREFLIGHT_TRY_VOID(read_sources(json));
    PREFLIGHT_TRY(rules.common, rule_list(json, "", "common"));
    PREFLIGHT_TRY_VOID(read_placements(json, rules));
    PREFLIGHT_TRY_VOID(read_policies(json, rules));
    rules.digest = protocol::sha256_hex(text);
    return rules;
  }

 private:
  tl::unexpected<Error> wrong(std::string_view pointer, std::string found,
                              std::string_view expected) const {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("{}: {}: expected {}, found {}", file_,
                            pointer.empty() ? "the whole" : pointer, expected, found));
  }

  static std::string shown(const Json& value) {
    std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (text.size() > 60) text = text.substr(0, 57) + "...";
    return text;
  }

  Result<std::string> string(const Json& object, std::string_view pointer,
                             std::string_view name) const {
    const std::string at = join_pointer(pointer, name);
    const auto found = object.is_object() ? object.find(name) : object.end();
    if (!object.is_object() || found == object.end()) return wrong(at, "nothing", "a string");
    if (!found->is_string()) return wrong(at, shown(*found), "a string");
    return found->get<std::string>();
  }

  /// "" where absent or null.
  Result<std::string> optional_string(const Json& object, std::string_view pointer,
                                      std::string_view name) const {
    const auto found = object.find(name);
    if (found == object.end() || found->is_null()) return std::string();
    return string(object, pointer, name);
  }

  Result<double> number(const Json& object, std::string_view pointer, std::string_view name,
                        double least, double most) const {
    const std::string at = join_pointer(pointer, name);
    const auto found = object.is_object() ? object.find(name) : object.end();
    if (!object.is_object() || found == object.end()) return wrong(at, "nothing", "a number");
    if (!found->is_number() || !(found->get<double>() >= least) || !(found->get<double>() <= most))
      return wrong(at, shown(*found), fmt::format("a number from {} to {}", least, most));
    return found->get<double>();
  }

  Result<void> read_sources(const Json& json) {
    const auto sources = json.find("sources");
    if (sources == json.end() || !sources->is_object())
      return wrong("/sources", sources == json.end() ? "nothing" : shown(*sources), "an object");
    for (const auto& [name, source] : sources->items()) {
      PREFLIGHT_TRY_VOID(string(source, join_pointer("/sources", name), "name"));
      sources_.insert(name);
    }
    return {};
  }

  /// Does the value have the form that the op compares with?
  static bool fits(std::string_view op, const Json& value) {
    const auto numbers = [&](std::size_t n) {
      return value.is_array() && value.size() == n &&
             std::all_of(value.begin(), value.end(), [](const Json& v) { return v.is_number(); });
    };
    if (value.is_null()) return true;
    if (op == "le" || op == "ge") return value.is_number();
    if (op == "between" || op == "min" || op == "near") return numbers(2);
    if (op == "in" || op == "not_contains") {
      return value.is_array() && !value.empty() &&
             std::all_of(value.begin(), value.end(), [](const Json& v) { return v.is_string(); });
    }
    if (op == "in_max") {
      return value.is_array() && !value.empty() &&
             std::all_of(value.begin(), value.end(), [](const Json& v) { return v.is_number(); });
    }
    return !value.is_array();
  }

  Result<Rule> rule(const Json& json, const std::string& pointer) {
    if (!json.is_object()) return wrong(pointer, shown(json), "an object");
    Rule out;
    PREFLIGHT_TRY(out.id, string(json, pointer, "id"));
    PREFLIGHT_TRY(out.fact, string(json, pointer, "fact"));
    PREFLIGHT_TRY(out.op, string(json, pointer, "op"));
    PREFLIGHT_TRY(const std::string role, string(json, pointer, "role"));
    PREFLIGHT_TRY(const std::string severity, string(json, pointer, "severity"));
    PREFLIGHT_TRY(out.outcome, string(json, pointer, "outcome"));
    PREFLIGHT_TRY(out.unit, optional_string(json, pointer, "unit"));
    PREFLIGHT_TRY(out.source, optional_string(json, pointer, "source"));
    PREFLIGHT_TRY(out.as_of, string(json, pointer, "as_of"));
    PREFLIGHT_TRY(out.status, string(json, pointer, "status"));
    PREFLIGHT_TRY(out.note, optional_string(json, pointer, "note"));
    for (std::size_t begin = 0; begin <= role.size();) {
      const std::size_t end = std::min(role.find('|', begin), role.size());
      out.roles.push_back(role.substr(begin, end - begin));
      begin = end + 1;
    }
    if (std::find(kOps.begin(), kOps.end(), out.op) == kOps.end()) {
      return wrong(pointer + "/op", fmt::format("\"{}\"", out.op),
                   fmt::format("one of {}", fmt::join(kOps, ", ")));
    }
    const auto value = json.find("value");
    if (value == json.end()) return wrong(pointer + "/value", "nothing", "a value or null");
    if (!fits(out.op, *value))
      return wrong(pointer + "/value", shown(*value),
                   fmt::format("what \"{}\" compares with", out.op));
    out.value = *value;
    const auto when = json.find("when");
    if (when != json.end() && !when->is_null()) {
      if (!when->is_object()) return wrong(pointer + "/when", shown(*when), "an object");
      for (const auto& [name, condition] : when->items()) {
        if ((name != "aspect" && name != "locale_prefix") || !condition.is_string()) {
          return wrong(pointer + "/when/" + name, shown(condition),
                       "\"aspect\" or \"locale_prefix\" with a string");
        }
      }
      out.when = *when;
    }
    if (severity != "off") {
      const auto parsed = parse_severity(severity);
      if (!parsed) {
        return wrong(pointer + "/severity", fmt::format("\"{}\"", severity),
                     "blocker, major, minor, info or off");
      }
      out.severity = *parsed;
    }
    if (out.outcome != "fail" && out.outcome != "needs_human" && out.outcome != "info") {
      return wrong(pointer + "/outcome", fmt::format("\"{}\"", out.outcome),
                   "fail, needs_human or info");
    }
    if (!out.source.empty() && !sources_.contains(out.source))
      return wrong(pointer + "/source", fmt::format("\"{}\"", out.source), "a name in /sources");
    if (out.source.empty() && !out.value.is_null())
      return wrong(pointer + "/source", "nothing", "a source, as the rule has a value");
    if (severity == "off") out.id.clear();
    return out;
  }

  Result<std::vector<Rule>> rule_list(const Json& object, std::string_view pointer,
                                      std::string_view name) {
    const std::string at = join_pointer(pointer, name);
    const auto list = object.find(name);
    if (list == object.end() || !list->is_array())
      return wrong(at, list == object.end() ? "nothing" : shown(*list), "a list of rules");
    std::vector<Rule> out;
    std::set<std::string> ids;
    for (std::size_t i = 0; i < list->size(); ++i) {
      PREFLIGHT_TRY(Rule read, rule((*list)[i], fmt::format("{}/{}", at, i)));
      if (read.id.empty()) continue;  // severity "off"
      if (!ids.insert(read.id).second)
        return wrong(fmt::format("{}/{}/id", at, i), fmt::format("\"{}\" again", read.id),
                     "an id of its own");
      out.push_back(std::move(read));
    }
    return out;
  }

  Result<void> read_placements(const Json& json, RuleSet& rules) {
    const auto placements = json.find("placements");
    if (placements == json.end() || !placements->is_object() || placements->empty())
      return wrong("/placements", "none", "an object of placements");
    std::map<std::string, std::string> parents;
    for (const auto& [id, entry] : placements->items()) {
      const std::string pointer = join_pointer("/placements", id);
      if (!entry.is_object()) return wrong(pointer, shown(entry), "an object");
      Placement placement;
      placement.id = id;
      PREFLIGHT_TRY(placement.label, string(entry, pointer, "label"));
      PREFLIGHT_TRY(placement.platform, string(entry, pointer, "platform"));
      PREFLIGHT_TRY(placement.sound, string(entry, pointer, "sound"));
      PREFLIGHT_TRY(placement.hook_window_s, number(entry, pointer, "hook_window_s", 0.1, 60));
      PREFLIGHT_TRY(placement.rules, rule_list(entry, pointer, "rules"));
      PREFLIGHT_TRY(parents[id], optional_string(entry, pointer, "inherits"));
      rules.placements.emplace(id, std::move(placement));
    }
    for (auto& [id, placement] : rules.placements) {
      std::set<std::string> walked = {id};
      for (std::string parent = parents[id]; !parent.empty(); parent = parents[parent]) {
        const std::string pointer = join_pointer("/placements", id) + "/inherits";
        const auto found = placements->find(parent);
        if (found == placements->end())
          return wrong(pointer, fmt::format("\"{}\"", parent), "the name of a placement");
        if (!walked.insert(parent).second) return wrong(pointer, "a circle", "an end");
        PREFLIGHT_TRY(std::vector<Rule> inherited,
                      rule_list(*found, join_pointer("/placements", parent), "rules"));
        const std::vector<Rule> own = placement.rules;
        for (Rule& rule : inherited) {
          const bool replaced = std::any_of(own.begin(), own.end(), [&](const Rule& mine) {
            return mine.fact == rule.fact && mine.op == rule.op;
          });
          if (!replaced) placement.rules.push_back(std::move(rule));
        }
      }
    }
    return {};
  }

  Result<void> read_policies(const Json& json, RuleSet& rules) {
    const auto areas = json.find("policy_areas");
    if (areas == json.end() || !areas->is_array())
      return wrong("/policy_areas", "nothing", "a list of policy areas");
    for (std::size_t i = 0; i < areas->size(); ++i) {
      const std::string pointer = fmt::format("/policy_areas/{}", i);
      const Json& entry = (*areas)[i];
      if (!entry.is_object()) return wrong(pointer, shown(entry), "an object");
      PolicyArea area;
      PREFLIGHT_TRY(area.id, string(entry, pointer, "id"));
      PREFLIGHT_TRY(area.platform, string(entry, pointer, "platform"));
      PREFLIGHT_TRY(area.area, string(entry, pointer, "area"));
      PREFLIGHT_TRY(area.summary, string(entry, pointer, "summary"));
      PREFLIGHT_TRY(area.outcome, string(entry, pointer, "default_outcome"));
      PREFLIGHT_TRY(area.source, optional_string(entry, pointer, "source"));
      PREFLIGHT_TRY(area.as_of, string(entry, pointer, "as_of"));
      PREFLIGHT_TRY(area.status, string(entry, pointer, "status"));
      rules.policies.push_back(std::move(area));
    }
    return {};
  }

  std::string file_;
  std::set<std::string> sources_;
};

}  // namespace

std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::kBlocker:
      return "blocker";
    case Severity::kMajor:
      return "major";
    case Severity::kMinor:
      return "minor";
    case Severity::kInfo:
      return "info";
  }
  return "info";
}

std::optional<Severity> parse_severity(std::string_view word) {
  for (const Severity severity :
       {Severity::kBlocker, Severity::kMajor, Severity::kMinor, Severity::kInfo})
    if (to_string(severity) == word) return severity;
  return std::nullopt;
}

std::vector<std::string> RuleSet::placement_names() const {
  std::vector<std::string> names;
  for (const auto& [name, placement] : placements) names.push_back(name);
  return names;
}

std::vector<const Rule*> RuleSet::common_for(const Placement& placement) const {
  std::vector<const Rule*> out;
  for (const Rule& rule : common) {
    const bool replaced =
        std::any_of(placement.rules.begin(), placement.rules.end(),
                    [&](const Rule& own) { return own.fact == rule.fact && own.op == rule.op; });
    if (!replaced) out.push_back(&rule);
  }
  return out;
}

std::string date_after(std::string_view date, int days) {
  if (!protocol::is_date(date)) return {};
  const auto part = [&](std::size_t from, std::size_t n) {
    int value = 0;
    for (std::size_t i = from; i < from + n; ++i) value = value * 10 + (date[i] - '0');
    return value;
  };
  const std::chrono::year_month_day day{std::chrono::year(part(0, 4)),
                                        std::chrono::month(static_cast<unsigned>(part(5, 2))),
                                        std::chrono::day(static_cast<unsigned>(part(8, 2)))};
  const std::chrono::year_month_day later{std::chrono::sys_days(day) + std::chrono::days(days)};
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(later.year()),
                     static_cast<unsigned>(later.month()), static_cast<unsigned>(later.day()));
}

Result<RuleSet> load_rules(const std::filesystem::path& file) {
  auto text = protocol::read_small_file(file, kMaxRuleBytes);
  if (!text) return fail(ErrorCode::kIo, file.string() + ": " + text.error());
  const Json json = Json::parse(*text, nullptr, false);
  if (!json.is_object())
    return fail(ErrorCode::kInvalidInput, file.string() + ": expected a JSON object, found none");
  return Loader(file.string()).run(json, *text);
}

}  // namespace preflight::review
