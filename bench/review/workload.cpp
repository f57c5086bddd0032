#include "bench/review/workload.h"

#include <algorithm>
#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace preflight::bench {
namespace {

using Json = nlohmann::ordered_json;

bool is_ids(const Json& json) {
  return json.is_array() && !json.empty() &&
         std::ranges::all_of(json, [](const Json& id) { return id.is_number_unsigned(); });
}

bool is_lists(const Json& json) {
  return json.is_array() && !json.empty() && std::ranges::all_of(json, is_ids);
}

std::size_t longest(const std::vector<std::vector<std::int32_t>>& lists) {
  std::size_t most = 0;
  for (const auto& list : lists) most = std::max(most, list.size());
  return most;
}

}  // namespace

std::uint32_t Workload::longest_tokens() const {
  return static_cast<std::uint32_t>(prefix.size() + longest(variants) + longest(checks));
}

Result<Workload> read_workload(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const Json json = Json::parse(file, nullptr, /*allow_exceptions=*/false);
  const bool fits = json.is_object() && json.contains("prefix") && is_ids(json["prefix"]) &&
                    json.contains("variants") && is_lists(json["variants"]) &&
                    json.contains("checks") && is_lists(json["checks"]) && json.contains("schema");
  if (!fits)
    return fail(
        ErrorCode::kInvalidInput,
        fmt::format("{}: expected prefix, variants, checks (lists of token ids, none empty) "
                    "and schema",
                    path.string()));
  return Workload{.prefix = json["prefix"],
                  .variants = json["variants"],
                  .checks = json["checks"],
                  .schema = json["schema"].dump()};
}

}  // namespace preflight::bench
