// init and lint: what can be done with a bundle without the daemon.
#include <chrono>
#include <cstdlib>
#include <ctime>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "client/commands.h"
#include "client/terminal_text.h"
#include "daemon/protocol/bundle.h"

namespace preflight::client {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kTemplate = R"({
  "schema": "preflight.bundle/1",
  "id": "my-ad-v01",
  "title": "What this creative is called",
  "locale": "en-GB",
  "markets": ["GB"],
  "product_class": "general",
  "placements": ["tiktok.infeed"],
  "offer": {
    "promise": "One sentence: what the viewer gets",
    "price": "24.00",
    "currency": "GBP",
    "terms": "while stocks last",
    "cta": "Get yours"
  },
  "claims": {
    "allow": [{"id": "CL1", "text": "wording that is cleared", "proof": "name of the proof"}],
    "deny": [{"id": "DN1", "kind": "literal", "pattern": "never say this", "why": "the reason"}]
  },
  "guardrails": {
    "tone": ["warm", "plain"],
    "brand_by_s": 3,
    "must": [{"id": "G1", "text": "what has to be seen"}],
    "must_not": [{"id": "G2", "text": "what must not be seen"}],
    "pronounce": [{"id": "PR1", "term": "Brand", "say": "BRAND"}],
    "required_disclosures": [{"id": "RD1", "text": "While stocks last", "min_s": 2.0}]
  },
  "copy": {"primary_text": "The text beside the film", "headline": "The headline"},
  "assets": [
    {"id": "brief", "role": "brief", "path": "brief.md"},
    {"id": "script", "role": "script", "path": "script.txt"},
    {"id": "hook", "role": "hook", "text": "The first line."},
    {"id": "pack", "role": "product_image", "path": "product.png"},
    {"id": "cut", "role": "video", "path": "cut.mp4"},
    {"id": "vo", "role": "voiceover", "path": "voiceover.wav"},
    {"id": "page", "role": "landing_page", "path": "landing.png", "trust": "third_party"}
  ]
}
)";

json problem_list(const std::vector<protocol::Problem>& problems) {
  json list = json::array();
  for (const protocol::Problem& problem : problems) {
    json entry{{"code", problem.code}, {"pointer", problem.pointer}, {"message", problem.message}};
    if (!problem.hint.empty()) entry["hint"] = problem.hint;
    list.push_back(std::move(entry));
  }
  return list;
}

Outcome<json> object_in(const fs::path& file) {
  auto text = protocol::read_small_file(file, protocol::BundleLimits().json_bytes);
  if (!text.has_value()) {
    return stop(Exit::kUsage, fmt::format("{}: {}", file.string(), text.error()));
  }
  const bool too_deep = protocol::nests_too_deep(*text);
  json object = too_deep ? json() : json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) {
    return stop(Exit::kUsage, fmt::format("{} is not a JSON object", file.string()));
  }
  return object;
}

}  // namespace

Outcome<protocol::BundleOptions> lint_options(const fs::path& rules) {
  protocol::BundleOptions options;
  const std::time_t now = std::time(nullptr);
  options.today = fmt::format("{:%Y-%m-%d}", fmt::localtime(now));

  fs::path file = rules;
  const char* variable = std::getenv("PREFLIGHT_RULES");
  if (file.empty() && variable != nullptr) file = variable;
  if (file.empty()) {
    std::error_code error;
    const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
    for (const fs::path& candidate : {fs::path("/usr/share/preflight/rules/placements.json"),
                                      program / "../share/preflight/rules/placements.json"}) {
      if (file.empty() && fs::exists(candidate, error)) file = candidate;
    }
  }
  if (file.empty()) return options;  // the daemon, which has the rules, looks at the names again
  auto names = protocol::read_placement_names(file);
  if (!names.has_value()) return stop(Exit::kUsage, names.error());
  options.known_placements = std::move(names).value();
  return options;
}

std::string problem_lines(const protocol::Problems& problems) {
  std::string lines;
  const auto add = [&](const std::vector<protocol::Problem>& list, std::string_view kind) {
    for (const protocol::Problem& problem : list) {
      lines +=
          fmt::format("{}{} {}: {}{}", lines.empty() ? "" : "\n", kind, problem.code,
                      one_line(problem.pointer.empty() ? problem.message
                                                       : problem.pointer + ": " + problem.message),
                      problem.hint.empty() ? "" : fmt::format(" ({})", one_line(problem.hint)));
    }
  };
  add(problems.errors, "error");
  add(problems.warnings, "warning");
  return lines;
}

Outcome<Exit> run_init(const fs::path& directory) {
  const Upload bundle{.bundle_json = kTemplate};
  auto saved = save_bundle(bundle, directory);
  if (!saved.has_value()) return tl::unexpected(std::move(saved).error());
  fmt::print(
      "{}/bundle.json written: put the files beside it that it names, change what it says, then\n"
      "  qa-client lint {}\n",
      directory.string(), directory.string());
  return Exit::kPass;
}

Outcome<Exit> run_lint(const fs::path& directory, const fs::path& rules, bool as_json) {
  auto options = lint_options(rules);
  if (!options.has_value()) return tl::unexpected(std::move(options).error());
  const protocol::BundleReading reading = protocol::read_bundle(directory, *options);
  const protocol::Problems& problems = reading.problems;
  if (as_json) {
    const json answer{{"errors", problem_list(problems.errors)},
                      {"warnings", problem_list(problems.warnings)}};
    fmt::print("{}\n", answer.dump(2, ' ', false, json::error_handler_t::replace));
  } else {
    const std::string lines = problem_lines(problems);
    fmt::print("{}{}{} errors, {} warnings\n", lines, lines.empty() ? "" : "\n",
               problems.errors.size(), problems.warnings.size());
    if (options->known_placements.empty()) {
      fmt::print("placement names were not checked: no rules file here (--rules FILE)\n");
    }
  }
  return problems.errors.empty() ? Exit::kPass : Exit::kUsage;
}

Outcome<Exit> run_merged(const fs::path& directory) {
  auto bundle = object_in(directory / "bundle.json");
  if (!bundle.has_value()) return tl::unexpected(std::move(bundle).error());
  std::error_code error;
  const fs::path set_file = fs::absolute(directory, error).lexically_normal() / ".." / "set.json";
  json merged = json::object();
  if (fs::exists(set_file, error)) {
    auto set = object_in(set_file);
    if (!set.has_value()) return tl::unexpected(std::move(set).error());
    merged = std::move(set).value();
    merged.erase("id");
  }
  // A bundle's own field replaces the set's; objects are merged one level deep.
  for (const auto& [name, value] : bundle->items()) {
    json& field = merged[name];
    if (field.is_object() && value.is_object()) {
      field.update(value);
    } else {
      field = value;
    }
  }
  fmt::print("{}\n", merged.dump(2, ' ', false, json::error_handler_t::replace));
  return Exit::kPass;
}

}  // namespace preflight::client
