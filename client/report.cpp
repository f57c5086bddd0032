#include "client/report.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "client/report_fields.h"
#include "client/terminal_text.h"

namespace preflight::client {
namespace {

using nlohmann::json;

// 0 is worst. A word that this build does not know needs a human, too.
int verdict_rank(std::string_view verdict) {
  constexpr std::array<std::string_view, 4> kWorstFirst{"fail", "needs_human", "not_checked",
                                                        "pass"};
  const auto* found = std::find(kWorstFirst.begin(), kWorstFirst.end(), verdict);
  return found == kWorstFirst.end() ? 1 : static_cast<int>(found - kWorstFirst.begin());
}

Colour colour_of(std::string_view verdict) {
  constexpr std::array<Colour, 4> kColours{Colour::kRed, Colour::kYellow, Colour::kCyan,
                                           Colour::kGreen};
  return kColours[static_cast<std::size_t>(verdict_rank(verdict))];
}

std::vector<const json*> worst_first(const json& rows, const char* verdict_field) {
  std::vector<const json*> sorted;
  for (const json& row : rows) sorted.push_back(&row);
  std::stable_sort(sorted.begin(), sorted.end(), [&](const json* a, const json* b) {
    const auto key = [&](const json& row) {
      return std::pair(verdict_rank(text_at(row, verdict_field)),
                       parse_severity(text_at(row, "severity")));
    };
    return key(*a) < key(*b);
  });
  return sorted;
}

std::string joined(const std::string& a, const std::string& b) {
  return a.empty() || b.empty() ? a + b : a + ' ' + b;
}

// When the first piece of evidence that has a time was seen or heard: "00:01.2".
std::string time_of(const json& finding) {
  for (const json& evidence : list_at(finding, "evidence")) {
    const std::optional<double> t0 = number_at(evidence, "t0");
    const std::string time = clock_time(t0.has_value() ? t0 : number_at(evidence, "t"));
    if (!time.empty()) return time;
  }
  return {};
}

// The finding that makes the row as bad as it is, with its time, or the row's reason.
std::string finding_of(const json& row) {
  const json& findings = list_at(row, "findings");
  if (findings.empty()) return text_at(row, "reason");
  const json& worst = *worst_first(findings, "verdict").front();
  std::string text = text_at(worst, "text");
  if (text.empty()) text = text_at(row, "reason");
  if (findings.size() > 1) text += fmt::format(" (+{} more)", findings.size() - 1);
  return joined(time_of(worst), text);
}

std::string summary_line(const json& report) {
  std::array<std::size_t, 4> n{};
  for (const json& row : list_at(report, "rows")) {
    ++n[static_cast<std::size_t>(verdict_rank(text_at(row, "verdict")))];
  }
  return fmt::format("checks of {}: {} failed, {} a human, {} not checked, {} passed",
                     text_at(report.value("bundle", json::object()), "id"), n[0],
                     n[1] == 1 ? "1 needs" : fmt::format("{} need", n[1]), n[2], n[3]);
}

std::string measured_table(const json& facts, bool colours) {
  std::size_t passed = 0;
  std::size_t unjudged = 0;
  std::vector<const json*> shown;
  for (const json* fact : worst_first(facts, "result")) {
    const std::string result = text_at(*fact, "result");
    if (result == "pass") {
      ++passed;
    } else if (result == "fail" || result == "needs_human") {
      shown.push_back(fact);
    } else {
      ++unjudged;
    }
  }
  std::string text;
  if (!shown.empty()) {
    TextTable table({{"Measured", 14}, {"Verdict", 11}, {"Sev", 7}, {"Finding", 45}}, colours);
    for (const json* fact : shown) {
      const std::string result = text_at(*fact, "result");
      const std::string where = joined(text_at(*fact, "asset"), text_at(*fact, "placement"));
      table.add({{where.empty() ? "bundle" : where},
                 {result, colour_of(result)},
                 {text_at(*fact, "severity")},
                 {joined(time_of(*fact), text_at(*fact, "text"))}});
    }
    text = table.text();
  }
  return text + fmt::format("measured rows: {} to look at, {} passed, {} without a verdict\n",
                            shown.size(), passed, unjudged);
}

// What each pass of the model cost, in the order they ran.
std::string work_lines(const json& report) {
  const json run = report.value("run", json::object());
  if (!run.is_object()) return {};
  const json tokens = run.value("tokens", json::object());
  const json passes = tokens.is_object() ? tokens.value("by_pass", json::object()) : json();
  const json seconds = run.value("seconds", json::object());
  std::string lines;
  double written = 0;
  for (const char* pass : {"listen", "look", "judge"}) {
    if (!passes.is_object() || !passes.contains(pass)) continue;
    const auto count = [&](const char* name) { return number_at(passes[pass], name).value_or(0); };
    lines +=
        fmt::format("{:<7}{:>7} tokens read {:>6} written {:>8.1f} s\n", pass, count("prefill"),
                    count("generated") + count("forced"), number_at(seconds, pass).value_or(0));
    written += count("generated") + count("forced");
  }
  const auto count = [&](const char* name) { return number_at(tokens, name).value_or(0); };
  if (count("forced") > 0)
    lines +=
        fmt::format("fixed text of the answer forms: {} of {} tokens written, {} steps saved\n",
                    count("forced"), written, count("saved_steps"));
  if (count("draft_saved_steps") > 0)
    lines += fmt::format("drafts that the model agreed with: {} steps saved\n",
                         count("draft_saved_steps"));
  return lines;
}

}  // namespace

Severity parse_severity(std::string_view word) {
  constexpr std::array<std::string_view, 4> kWords{"blocker", "major", "minor", "info"};
  const auto* found = std::find(kWords.begin(), kWords.end(), word);
  return static_cast<Severity>(found - kWords.begin());
}

protocol::Decoded<void> check_report(const json& report) {
  const auto bad = [](std::string message) {
    return tl::unexpected(protocol::DecodeError{std::move(message)});
  };
  if (text_at(report, "schema") != "preflight.report/1") {
    return bad("/schema: expected \"preflight.report/1\"");
  }
  for (const char* name : {"rows", "facts"}) {
    if (!report.contains(name) || !report[name].is_array()) {
      return bad(fmt::format("/{}: expected a list", name));
    }
    for (const json& row : report[name]) {
      if (!row.is_object()) return bad(fmt::format("/{}: expected a list of objects", name));
    }
  }
  return {};
}

std::string table_of(const json& report, bool colours) {
  TextTable table({{"Check", 10},
                   {"Verdict", 11},
                   {"Sev", 7},
                   {"Conf", 4},
                   {"Finding (worst, with time)", 26},
                   {"Human still owns", 17}},
                  colours);
  bool first = true;
  for (const json* row : worst_first(report["rows"], "verdict")) {
    if (!std::exchange(first, false)) table.add({{""}});
    const std::string verdict = text_at(*row, "verdict");
    const auto confidence = number_at(row->value("confidence", json()), "value");
    table.add({{joined(text_at(*row, "check"), text_at(*row, "placement"))},
               {verdict, colour_of(verdict)},
               {text_at(*row, "severity")},
               {confidence.has_value() ? fmt::format("{:.2f}", *confidence) : "-"},
               {finding_of(*row)},
               {text_at(*row, "human_owns")}});
  }
  return table.text() + '\n' + measured_table(report["facts"], colours) + '\n' +
         work_lines(report) + one_line(summary_line(report)) + '\n';
}

std::string measured_line(const json& fact) {
  const std::string where = joined(text_at(fact, "asset"), text_at(fact, "placement"));
  return one_line(fmt::format("{}: {}{}{}", text_at(fact, "result"), where,
                              where.empty() ? "" : ": ",
                              joined(time_of(fact), text_at(fact, "text"))));
}

bool model_took_part(const json& report) {
  return !text_at(report.value("run", json::object()), "model").empty();
}

Exit exit_of(const json& report, Severity fail_on) {
  const json run = report.value("run", json::object());
  const bool facts_only = run.is_object() && run.value("facts_only", json()) == json(true);
  bool undecided = false;
  const auto failed = [&](const json& rows, const char* field) {
    return std::any_of(rows.begin(), rows.end(), [&](const json& row) {
      const std::string verdict = text_at(row, field);
      return verdict == "fail" && parse_severity(text_at(row, "severity")) <= fail_on;
    });
  };
  for (const json& row : report["rows"]) {
    const std::string verdict = text_at(row, "verdict");
    // Rows that nobody asked for are not open questions.
    undecided = undecided || (!facts_only && verdict != "pass" && verdict != "fail");
  }
  for (const json& fact : report["facts"]) {
    undecided = undecided || text_at(fact, "result") == "needs_human";
  }
  if (failed(report["rows"], "verdict") || failed(report["facts"], "result")) return Exit::kFail;
  return undecided ? Exit::kUndecided : Exit::kPass;
}

}  // namespace preflight::client
