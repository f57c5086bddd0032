// The commands of qa-client. Each returns its exit status, or a failure whose message is printed.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "client/api.h"
#include "client/outcome.h"
#include "client/report.h"
#include "client/upload.h"
#include "daemon/protocol/bundle.h"

namespace preflight::client {

enum class Form { kTable, kJson, kCsv };

struct Terminal {
  bool out_colours = false;  ///< standard output may carry colour
  bool err_terminal = false;
  bool err_colours = false;
};

/// Colour only on a terminal, and not where NO_COLOR is set (no-color.org) or TERM is "dumb".
Terminal look_at_terminal();

struct ReviewCommand {
  std::filesystem::path target;  ///< bundle directory, its bundle.json, or one file; may be empty
  BundleFlags flags;             ///< used unless the target is a bundle
  bool has_flags = false;
  bool facts_only = false;
  Form form = Form::kTable;
  std::filesystem::path out;  ///< written as well: JSON, or CSV if that is the form
  Severity fail_on = Severity::kMajor;
  bool exit_zero = false;
  std::filesystem::path save_bundle;
  std::filesystem::path rules;
  std::optional<double> timeout_s;
};

Outcome<Exit> run_review(const ReviewCommand& command, Api::Options api_options);
Outcome<Exit> run_init(const std::filesystem::path& directory);
Outcome<Exit> run_lint(const std::filesystem::path& directory, const std::filesystem::path& rules,
                       bool as_json);
/// Prints the bundle as it is with the fields of its set, DIRECTORY/../set.json.
Outcome<Exit> run_merged(const std::filesystem::path& directory);
Outcome<Exit> run_list(Api& api, bool as_json);
Outcome<Exit> run_show(Api& api, const std::string& id, Form form);
Outcome<Exit> run_cancel(Api& api, const std::string& id, bool delete_finished);
Outcome<Exit> run_health(Api& api, bool as_json);

/// "bundle.json" problems, one per line: place, code, sentence, hint.
std::string problem_lines(const protocol::Problems& problems);

/// The options by which a bundle is checked here: today's date, and the placement names of `rules`,
/// else of $PREFLIGHT_RULES, an installed or a source tree's rules. Errors: a file that was named
/// and cannot be used.
Outcome<protocol::BundleOptions> lint_options(const std::filesystem::path& rules);

/// The report in a form. `colours` counts for tables.
std::string rendered(const nlohmann::json& report, Form form, bool colours);

}  // namespace preflight::client
