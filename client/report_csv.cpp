#include <initializer_list>

#include <fmt/format.h>

#include "client/report.h"
#include "client/report_fields.h"
#include "client/terminal_text.h"

namespace preflight::client {
namespace {

using nlohmann::json;

std::string csv_cell(std::string text) {
  text = one_line(text);
  // Spreadsheets run what begins like a formula, also inside quotes.
  if (!text.empty() && std::string_view("=+-@").find(text.front()) != std::string_view::npos) {
    text.insert(text.begin(), '\'');
  }
  if (text.find_first_of(",\"") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + '"';
}

std::string csv_line(std::initializer_list<std::string> cells) {
  std::string line;
  for (const std::string& cell : cells) line += csv_cell(cell) + ',';
  line.back() = '\r';
  return line + '\n';
}

std::string number_text(const std::optional<double>& value) {
  return value.has_value() ? fmt::format("{:g}", *value) : "";
}

}  // namespace

std::string csv_of(const json& report) {
  const std::string bundle = text_at(report.value("bundle", json::object()), "id");
  std::string csv =
      csv_line({"bundle", "row", "placement", "verdict", "severity", "confidence", "code", "t0",
                "t1", "asset", "quote", "text", "fix", "human_owns", "fingerprint"});
  for (const json& row : report["rows"]) {
    const auto line = [&](const std::string& severity, const json& finding, const json& evidence,
                          const std::string& text) {
      const auto t = number_at(evidence, "t");
      const auto t0 = number_at(evidence, "t0");
      csv +=
          csv_line({bundle, text_at(row, "id"), text_at(row, "placement"), text_at(row, "verdict"),
                    severity, number_text(number_at(row.value("confidence", json()), "value")),
                    text_at(finding, "code"), number_text(t0.has_value() ? t0 : t),
                    number_text(number_at(evidence, "t1")), text_at(evidence, "asset"),
                    text_at(evidence, "quote"), text, text_at(finding, "fix"),
                    text_at(row, "human_owns"), text_at(finding, "fingerprint")});
    };
    const json& findings = list_at(row, "findings");
    if (findings.empty()) {
      line(text_at(row, "severity"), json::object(), json::object(), text_at(row, "reason"));
    }
    for (const json& finding : findings) {
      const json& evidence = list_at(finding, "evidence");
      line(text_at(finding, "severity"), finding,
           evidence.empty() ? json::object() : evidence.front(), text_at(finding, "text"));
    }
  }
  for (const json& fact : report["facts"]) {
    const json& evidence = list_at(fact, "evidence");
    const json span = evidence.empty() ? json::object() : evidence.front();
    csv += csv_line({bundle, "measured", text_at(fact, "placement"), text_at(fact, "result"),
                     text_at(fact, "severity"), "", text_at(fact, "id"),
                     number_text(number_at(span, "t0")), number_text(number_at(span, "t1")),
                     text_at(fact, "asset"), text_at(span, "quote"), text_at(fact, "text"), "", "",
                     ""});
  }
  return csv;
}

}  // namespace preflight::client
