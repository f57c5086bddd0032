// From answers to rows: evidence is checked against what was shown, the table of checks.json
// decides verdict and severity. Nothing the model writes reaches a verdict by another way.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "daemon/review/prompt.h"

namespace preflight::review {

/// How sure the model was at one choice of its answer.
struct ChoiceStat {
  double p = 0;        ///< of the literal taken, among those the schema allows
  double margin = 0;   ///< gap of the two best logits
  double outside = 0;  ///< mass of what the schema forbids
};

/// An answer as it came: JSON text and its choices by JSON pointer ("/H3/answer").
struct CheckAnswer {
  std::string text;
  std::map<std::string, ChoiceStat> choices;
};

struct JudgedRow {
  nlohmann::json row;     ///< as in the report's "rows"
  nlohmann::json claims;  ///< of the policy check: entries of the report's "claims"; else empty
};

/// One piece of evidence as the model gave it, checked. Empty: it does not hold.
/// `kinds`: what the question accepts.
std::optional<nlohmann::json> check_evidence(const PromptContext& context,
                                             const Observations& observations,
                                             const std::vector<std::string>& kinds,
                                             std::string_view at, std::string_view quote);

/// The row of a check that was asked. `fact_rows` are the measured rows.
JudgedRow judge_row(const PromptContext& context, const Observations& observations,
                    const nlohmann::json& fact_rows, const AskedCheck& asked,
                    const CheckAnswer& answer);

/// A row that says why nothing was asked. `placement` may be null.
nlohmann::json unchecked_row(const Check& check, const std::string* placement,
                             std::string_view reason);

/// Same finding, same print, in another cut of the same creative: times are not in it.
std::string fingerprint(std::string_view code, std::string_view quote, std::string_view role);

}  // namespace preflight::review
