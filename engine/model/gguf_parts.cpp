#include "engine/model/gguf_parts.h"

#include <optional>
#include <utility>

#include <fmt/format.h>

namespace preflight::model {
namespace {

constexpr std::uint32_t kMostParts = 99999;

/// What a file says about itself as a part; a file without these keys is whole.
struct PartKeys {
  std::uint32_t number = 0;  ///< from 0
  std::uint32_t count = 1;
  std::optional<std::uint32_t> n_tensors;  ///< over all parts
};

Result<PartKeys> read_part_keys(const GgufFile& file) {
  PartKeys keys;
  PREFLIGHT_TRY(const std::optional<std::uint32_t> count, file.find_uint("split.count"));
  if (!count) return keys;
  PREFLIGHT_TRY(keys.number, file.uint("split.no"));
  PREFLIGHT_TRY(keys.n_tensors, file.find_uint("split.tensors.count"));
  // A count of 0 is written for files that were never split.
  keys.count = *count == 0 ? 1 : *count;
  if (keys.count > kMostParts)
    return file.wrong(ErrorCode::kInvalidInput, "split.count",
                      fmt::format("is {}, expected at most {}", keys.count, kMostParts));
  return keys;
}

}  // namespace

Result<std::vector<GgufFile>> open_gguf_parts(const std::filesystem::path& path) {
  PREFLIGHT_TRY(GgufFile first, GgufFile::open(path));
  PREFLIGHT_TRY(const PartKeys keys, read_part_keys(first));
  std::vector<GgufFile> parts;
  if (keys.count == 1) {
    parts.push_back(std::move(first));
    return parts;
  }
  const std::string file_name = path.filename().string();
  const auto ending = [&keys](std::uint32_t part) {
    return fmt::format("-{:05}-of-{:05}.gguf", part + 1, keys.count);
  };
  if (keys.number != 0)
    return first.wrong(ErrorCode::kInvalidInput, "split.no",
                       fmt::format("is {}: this is part {} of {}, expected the first part",
                                   keys.number, keys.number + 1, keys.count));
  if (!file_name.ends_with(ending(0)))
    return fail(ErrorCode::kInvalidInput,
                fmt::format("{}: is the first of {} parts, so its name must end in {}",
                            first.name(), keys.count, ending(0)));
  const std::string prefix = file_name.substr(0, file_name.size() - ending(0).size());

  std::uint64_t n_tensors = first.tensors().size();
  parts.push_back(std::move(first));
  for (std::uint32_t part = 1; part < keys.count; ++part) {
    PREFLIGHT_TRY(GgufFile file, GgufFile::open(path.parent_path() / (prefix + ending(part))));
    PREFLIGHT_TRY(const PartKeys found, read_part_keys(file));
    if (found.number != part || found.count != keys.count)
      return fail(ErrorCode::kInvalidInput,
                  fmt::format("{}: says it is part {} of {}, expected part {} of {}", file.name(),
                              found.number + 1, found.count, part + 1, keys.count));
    n_tensors += file.tensors().size();
    parts.push_back(std::move(file));
  }
  if (keys.n_tensors && *keys.n_tensors != n_tensors)
    return parts.front().wrong(ErrorCode::kInvalidInput, "split.tensors.count",
                               fmt::format("is {}, but the {} parts hold {} tensors",
                                           *keys.n_tensors, keys.count, n_tensors));
  return parts;
}

Result<text::TokenizerData> read_gguf_tokenizer(const GgufFile& file) {
  PREFLIGHT_TRY(const std::string_view model, file.text("tokenizer.ggml.model"));
  if (model != "gemma4")
    return file.wrong(ErrorCode::kUnsupported, "tokenizer.ggml.model",
                      fmt::format("is {}, expected \"gemma4\"", in_quotes(model)));
  PREFLIGHT_TRY(const std::vector<std::string_view> tokens, file.texts("tokenizer.ggml.tokens"));
  constexpr std::string_view kTypesKey = "tokenizer.ggml.token_type";
  PREFLIGHT_TRY(const std::optional<std::vector<std::int64_t>> types, file.find_ints(kTypesKey));
  if (!types) return file.wrong(ErrorCode::kInvalidInput, kTypesKey, "is missing");
  if (types->size() != tokens.size())
    return file.wrong(
        ErrorCode::kInvalidInput, kTypesKey,
        fmt::format("has {} entries, expected {}, one per token", types->size(), tokens.size()));
  text::TokenizerData data;
  data.tokens.assign(tokens.begin(), tokens.end());
  data.kinds.reserve(types->size());
  for (std::size_t id = 0; id < types->size(); ++id) {
    switch ((*types)[id]) {
      case 1:
        data.kinds.push_back(text::TokenKind::kNormal);
        break;
      case 2:
        data.kinds.push_back(text::TokenKind::kUnknown);
        break;
      case 3:
      case 4:
        data.kinds.push_back(text::TokenKind::kSpecial);
        break;
      case 5:
        data.kinds.push_back(text::TokenKind::kUnused);
        break;
      case 6:
        data.kinds.push_back(text::TokenKind::kByte);
        break;
      default:
        return file.wrong(ErrorCode::kInvalidInput, kTypesKey,
                          fmt::format("holds {} for token {}, expected 1 to 6", (*types)[id], id));
    }
  }
  constexpr std::string_view kMergesKey = "tokenizer.ggml.merges";
  PREFLIGHT_TRY(const std::vector<std::string_view> merges, file.texts(kMergesKey));
  data.merges.reserve(merges.size());
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    // The left part has at least one byte, which may itself be the separator's.
    const std::size_t space = merges[rank].find(' ', 1);
    if (space == std::string_view::npos || space + 1 == merges[rank].size())
      return file.wrong(ErrorCode::kInvalidInput, kMergesKey,
                        fmt::format("holds {} at rank {}, expected two parts and a space between",
                                    in_quotes(merges[rank]), rank));
    data.merges.emplace_back(merges[rank].substr(0, space), merges[rank].substr(space + 1));
  }
  return data;
}

}  // namespace preflight::model
