// The measured rows: what a file or a text is, against what the placement asks. No model.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "daemon/protocol/bundle.h"
#include "daemon/review/rules.h"
#include "engine/media/facts.h"

namespace preflight::review {

/// What is known of one asset's file.
struct AssetFacts {
  const protocol::Asset* asset = nullptr;
  std::optional<media::MediaFacts> media;
  std::string problem;  ///< why it cannot be read; one sentence; empty: it can
};

/// One measured value. Absent (no entry) means that it does not apply to the asset.
struct Measured {
  nlohmann::json value;     ///< null: could not be measured
  std::string why_not;      ///< then: one clause
  nlohmann::json evidence;  ///< list, may be empty: spans in seconds, lines, quotes
  std::string detail;       ///< added to the row's sentence; may be empty
};

using MeasuredMap = std::map<std::string, Measured, std::less<>>;

/// The facts of one file by their names in the rules (docs/rules.md). `role` is the asset's.
MeasuredMap measure_asset(const AssetFacts& facts, const RuleSet& rules);

/// copy.* of the bundle.
MeasuredMap measure_copy(const protocol::Bundle& bundle);

/// The rows of one asset (or of the copy, `asset` null) against the common rules and those of every
/// placement it is meant for. `role` is a role's name or "copy".
nlohmann::json rule_rows(const protocol::Bundle& bundle, const RuleSet& rules,
                         const protocol::Asset* asset, std::string_view role,
                         const MeasuredMap& measured);

/// "9:16" where the size is that ratio within the tolerance; else the ratio in lowest terms.
std::string aspect_name(std::uint32_t width, std::uint32_t height, double tolerance);

/// pass, fail, needs_human, info, shown (no verified value to judge by) or not_measured.
std::string judge(const Rule& rule, const Measured& measured,
                  const std::optional<double>& max_duration_s);

}  // namespace preflight::review
