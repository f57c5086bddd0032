#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace preflight::bench {

/// What to measure of a model; an empty list leaves its part out.
struct ModelOptions {
  std::filesystem::path model;
  std::filesystem::path drafter;  ///< compared with none where there are prompts
  std::vector<std::string> prompts;
  std::string device;
  std::string tier;  ///< "base", "f16", "dot", "coopmat"; empty: the device's own
  std::vector<std::uint32_t> prefill_tokens;  ///< lengths of prompts
  std::vector<std::uint32_t> depth_tokens;    ///< in the cache before one row decodes
  std::vector<std::uint32_t> decode_rows;     ///< sequences decoded together from depth 0
  std::vector<std::uint32_t> verify_drafts;   ///< of one sequence, in one step
  std::uint32_t decode_tokens = 16;           ///< steps of each decode measurement
  std::uint32_t repeats = 3;
  bool limits = false;  ///< what the device and the file can do, and the figures' shares of it
  bool start = false;   ///< from the start of a process to its first token, cold and warm
  std::filesystem::path csv, json;

  /// Positions that all measurements need together.
  [[nodiscard]] std::uint32_t context_tokens() const;
  [[nodiscard]] engine::EngineOptions engine_options() const;
};

}  // namespace preflight::bench
