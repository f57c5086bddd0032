#include "daemon/review/report.h"

#include <cmath>
#include <string_view>

#include <fmt/format.h>

#include "daemon/protocol/sha256.h"
#include "daemon/review/json_parts.h"

namespace preflight::review {
namespace {

using Json = nlohmann::json;

/// Counts of what a person has to look at: measured rows that fail, findings of the model's rows
/// (those that repeat a measured row are not counted twice), rows by verdict.
Json summary_of(const Json& facts, const Json& rows) {
  std::uint64_t blocker = 0;
  std::uint64_t major = 0;
  std::uint64_t minor = 0;
  std::uint64_t needs_human = 0;
  std::uint64_t not_checked = 0;
  bool fails = false;
  bool open = false;
  const auto count = [&](const std::string& severity) {
    blocker += severity == "blocker" ? 1U : 0U;
    major += severity == "major" ? 1U : 0U;
    minor += severity == "minor" ? 1U : 0U;
  };
  for (const Json& fact : facts) {
    const std::string result = text_of(fact, "result");
    if (result == "fail") {
      fails = true;
      count(text_of(fact, "severity"));
    }
    open = open || result == "needs_human";
  }
  for (const Json& row : rows) {
    const std::string verdict = text_of(row, "verdict");
    fails = fails || verdict == "fail";
    needs_human += verdict == "needs_human" ? 1U : 0U;
    not_checked += verdict == "not_checked" ? 1U : 0U;
    for (const Json& finding : row["findings"]) {
      const Json& evidence = finding["evidence"];
      const bool repeats = !evidence.empty() && text_of(evidence.front(), "type") == "fact";
      if (text_of(finding, "verdict") == "fail" && !repeats) count(text_of(finding, "severity"));
    }
  }
  open = open || needs_human > 0 || not_checked > 0;
  return {{"verdict", fails  ? "fail"
                      : open ? "needs_human"
                             : "pass"},
          {"blocker", blocker},
          {"major", major},
          {"minor", minor},
          {"needs_human", needs_human},
          {"not_checked", not_checked}};
}

}  // namespace

void round_numbers(Json& value) {
  if (value.is_number_float()) {
    const double rounded = std::round(value.get<double>() * 1e4) / 1e4;
    value = std::isfinite(rounded) ? Json(rounded == 0 ? 0.0 : rounded) : Json();
  } else if (value.is_structured()) {
    for (Json& entry : value) round_numbers(entry);
  }
}

std::string report_digest(Json report) {
  report.erase("report_digest");
  if (auto run = report.find("run"); run != report.end() && run->is_object()) {
    run->erase("seconds");
    run->erase("started");
    run->erase("tokens");
  }
  return fmt::format("sha256:{}", protocol::sha256_hex(
                                      report.dump(-1, ' ', false, Json::error_handler_t::replace)));
}

Json make_report(const ReportParts& parts) {
  const protocol::Bundle& bundle = parts.reading->bundle;
  Json report;
  report["schema"] = "preflight.report/1";
  report["bundle"] = {{"id", bundle.id},
                      {"set", bundle.set.empty() ? Json() : Json(bundle.set)},
                      {"title", bundle.title.empty() ? Json() : Json(bundle.title)},
                      {"owner", bundle.owner.empty() ? Json() : Json(bundle.owner)},
                      {"assumed", bundle.assumed},
                      {"digest", fmt::format("sha256:{}", bundle.digest)}};
  Json placements = Json::array();
  for (const protocol::PlacementUse& use : bundle.placements) placements.push_back(use.id);
  report["bundle"]["placements"] = std::move(placements);
  Json warnings = Json::array();
  const auto add = [&](const protocol::Problem& problem) {
    warnings.push_back({{"code", problem.code},
                        {"pointer", problem.pointer},
                        {"message", problem.message},
                        {"hint", problem.hint}});
  };
  for (const protocol::Problem& problem : parts.reading->problems.errors) add(problem);
  for (const protocol::Problem& problem : parts.reading->problems.warnings) add(problem);
  report["bundle"]["problems"] = std::move(warnings);
  report["facts"] = parts.facts;
  report["rows"] = parts.rows;
  if (!parts.claims.empty()) report["claims"] = parts.claims;
  if (!parts.observations.is_null()) report["observations"] = parts.observations;
  report["summary"] = summary_of(parts.facts, parts.rows);
  Json sign_off = Json::array();
  for (const Json& row : parts.rows) {
    sign_off.push_back({{"row", row["id"]},
                        {"placement", row["placement"]},
                        {"by", nullptr},
                        {"at", nullptr},
                        {"decision", nullptr},
                        {"note", nullptr}});
  }
  report["sign_off"] = std::move(sign_off);
  report["run"] = parts.run;
  report["run"]["rules"] = fmt::format("{}/sha256:{}", parts.rules->version, parts.rules->digest);
  report["run"]["prompt_pack"] =
      fmt::format("{}/sha256:{}", parts.checks->version, parts.checks->digest);
  round_numbers(report);
  report["report_digest"] = report_digest(report);
  return report;
}

}  // namespace preflight::review
