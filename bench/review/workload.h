#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "vk/error.h"

namespace preflight::bench {

/// Variants of one brief: every check of every variant is an answer to prefix, variant and check
/// one after another.
struct Workload {
  std::vector<std::int32_t> prefix;
  std::vector<std::vector<std::int32_t>> variants, checks;
  std::string schema;  ///< JSON schema of an answer

  /// Tokens of the longest prompt.
  [[nodiscard]] std::uint32_t longest_tokens() const;
};

/// {"prefix": [ids], "variants": [[ids], ...], "checks": [[ids], ...], "schema": {...}}
[[nodiscard]] Result<Workload> read_workload(const std::filesystem::path& path);

}  // namespace preflight::bench
