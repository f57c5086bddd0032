#include "bench/review/workload.h"

#include <algorithm>
#include <fstream>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace preflight::bench {
namespace {

using Json = nlohmann::ordered_json;

std::optional<Ids> ids_of(const Json& object, const char* name) {
  if (!object.is_object() || !object.contains(name) || !object[name].is_array())
    return std::nullopt;
  Ids ids;
  for (const Json& id : object[name]) {
    if (!id.is_number_unsigned()) return std::nullopt;
    ids.push_back(id);
  }
  return ids;
}

std::optional<Workload> workload_of(const Json& json) {
  const auto prefix = ids_of(json, "prefix");
  const auto look = ids_of(json, "look");
  if (!prefix || prefix->empty() || !look || !json.contains("schema") ||
      !json.contains("variants") || !json.contains("checks"))
    return std::nullopt;
  Workload workload{.prefix = *prefix,
                    .variants = {},
                    .look = *look,
                    .checks = {},
                    .schema = json["schema"].dump()};
  for (const Json& variant : json["variants"]) {
    const auto frames = ids_of(variant, "frames");
    const auto brief = ids_of(variant, "brief");
    if (!frames || frames->empty() || !brief) return std::nullopt;
    workload.variants.push_back({*frames, *brief});
  }
  for (const Json& check : json["checks"]) {
    const auto ids = ids_of({{"ids", check}}, "ids");
    if (!ids || ids->empty()) return std::nullopt;
    workload.checks.push_back(*ids);
  }
  if (workload.variants.empty() || workload.checks.empty()) return std::nullopt;
  return workload;
}

}  // namespace

std::uint32_t Workload::longest_variant_tokens() const {
  std::size_t most = 0;
  for (const Variant& variant : variants)
    most = std::max(most, variant.frames.size() + variant.brief.size());
  return static_cast<std::uint32_t>(most);
}

std::uint32_t Workload::longest_question_tokens() const {
  std::size_t most = look.size();
  for (const Ids& check : checks) most = std::max(most, check.size());
  return static_cast<std::uint32_t>(most);
}

Result<Workload> read_workload(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  auto workload = workload_of(Json::parse(file, nullptr, /*allow_exceptions=*/false));
  if (!workload)
    return fail(ErrorCode::kInvalidInput,
                fmt::format("{}: expected prefix, variants (each frames and brief), look, checks "
                            "(lists of token ids; only brief and look may be empty) and schema",
                            path.string()));
  return std::move(*workload);
}

}  // namespace preflight::bench
