// preflight.report/1 (docs/report.md, share/schema/report.schema.json).
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "daemon/protocol/bundle.h"
#include "daemon/review/checks.h"
#include "daemon/review/rules.h"

namespace preflight::review {

struct ReportParts {
  const protocol::BundleReading* reading = nullptr;
  const RuleSet* rules = nullptr;
  const CheckSet* checks = nullptr;
  nlohmann::json facts = nlohmann::json::array();
  nlohmann::json rows = nlohmann::json::array();
  nlohmann::json claims = nlohmann::json::array();
  nlohmann::json observations;  ///< null: no model looked
  nlohmann::json run = nlohmann::json::object();
};

/// The report in its canonical form: keys sorted, numbers with at most four decimals, a digest over
/// everything but `run.seconds`, `run.started` and itself.
nlohmann::json make_report(const ReportParts& parts);

/// Fractions rounded to four decimals, whole through.
void round_numbers(nlohmann::json& value);

/// Of a report as it stands; for `report_digest` and for checking it.
std::string report_digest(nlohmann::json report);

}  // namespace preflight::review
