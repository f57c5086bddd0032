// A report (preflight.report/1, docs/report.md) as people and spreadsheets read it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "client/outcome.h"
#include "daemon/protocol/decode_error.h"

namespace preflight::client {

enum class Severity { kBlocker, kMajor, kMinor, kInfo, kNone };

/// "blocker", "major", "minor", "info"; anything else is no severity.
Severity parse_severity(std::string_view word);

/// Errors: not of the schema preflight.report/1, or without its rows.
protocol::Decoded<void> check_report(const nlohmann::json& report);

// All below take a report that check_report has passed.

/// The checks, worst first, in 80 columns; then the measured rows that did not pass, and what was
/// left unjudged. Ends with a line feed.
std::string table_of(const nlohmann::json& report, bool colours);

/// One line per finding and one per row without, RFC 4180, cells that a spreadsheet would take for
/// a formula quoted by an apostrophe.
std::string csv_of(const nlohmann::json& report);

/// One measured row on a line, for the progress: "fail: cut: 00:03.1 video.freeze_longest is ...".
std::string measured_line(const nlohmann::json& fact);

/// False when only measured rows could be made, as no model was ready.
bool model_took_part(const nlohmann::json& report);

/// kFail, kUndecided or kPass; a fail below `fail_on` counts as passed.
Exit exit_of(const nlohmann::json& report, Severity fail_on);

}  // namespace preflight::client
