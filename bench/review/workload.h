#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "vk/error.h"

namespace preflight::bench {

/// Token ids; what they say does not matter to the cost.
using Ids = std::vector<std::int32_t>;

/// Variants of one brief (docs/report.md, passes): of each, the look answers prefix, frames, look;
/// and every check answers prefix, frames, brief, check.
struct Workload {
  struct Variant {
    Ids frames, brief;  ///< brief may be empty
  };
  Ids prefix;
  std::vector<Variant> variants;
  Ids look;  ///< empty: nobody looks
  std::vector<Ids> checks;
  std::string schema;  ///< JSON schema of every answer

  [[nodiscard]] std::uint32_t longest_variant_tokens() const;
  [[nodiscard]] std::uint32_t longest_question_tokens() const;
};

/// {"prefix": [ids], "variants": [{"frames": [ids], "brief": [ids]}, ...], "look": [ids],
///  "checks": [[ids], ...], "schema": {...}}
[[nodiscard]] Result<Workload> read_workload(const std::filesystem::path& path);

}  // namespace preflight::bench
