// The model's part of a review: listen, look, judge, in that order (docs/report.md, passes). What a
// pass wrote is kept in the work folder, so a replay goes on behind it.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "daemon/review/model_session.h"
#include "daemon/review/prompt.h"
#include "daemon/review/verdict.h"

namespace preflight::review {

struct PassEvents {
  std::function<void(const std::string& pass, std::uint64_t done, std::uint64_t total)> prefill;
  std::function<void(const nlohmann::json& row)> row;
  std::function<bool()> cancelled;
};

struct PassesResult {
  nlohmann::json rows = nlohmann::json::array();
  nlohmann::json claims = nlohmann::json::array();
  Observations observations;
  std::map<std::string, PassWork> work;  ///< "listen", "look", "judge"
  std::uint64_t frames_dropped = 0;      ///< to fit the context
};

struct PassInputs {
  const protocol::Bundle* bundle = nullptr;
  Material* material = nullptr;  ///< frames are thinned out where the context is short
  const CheckSet* checks = nullptr;
  const RuleSet* rules = nullptr;
  const nlohmann::json* fact_rows = nullptr;
  std::filesystem::path work_dir;
  std::string key;  ///< of all that a pass's text depends on besides its prompt
};

/// Rows come in the order of checks.json. Errors: kCancelled, kDeviceLost; anything else that keeps
/// the model from answering makes rows not_checked with the reason.
Result<PassesResult> run_passes(ModelSession& session, const PassInputs& inputs,
                                const PassEvents& events);

}  // namespace preflight::review
