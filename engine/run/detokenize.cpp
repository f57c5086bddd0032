#include "engine/run/detokenize.h"

#include <cstdint>
#include <memory>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/run/command.h"
#include "engine/run/model_options.h"

namespace preflight::run {
namespace {

constexpr std::size_t kMostIdsBytes = std::size_t{64} << 20;

Result<std::vector<std::int32_t>> read_ids(const std::string& text, std::size_t vocab_size) {
  const auto list = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!list.is_array()) {
    return fail(ErrorCode::kInvalidInput, "standard input is not a JSON array of token ids");
  }
  std::vector<std::int32_t> ids;
  ids.reserve(list.size());
  for (const auto& item : list) {
    const bool fits = item.is_number_unsigned() && item.get<std::uint64_t>() < vocab_size;
    if (!fits) {
      return fail(ErrorCode::kInvalidInput,
                  fmt::format("item {} of the array is no token id: the vocabulary has the ids 0 "
                              "to {}",
                              ids.size(), vocab_size - 1));
    }
    ids.push_back(item.get<std::int32_t>());
  }
  return ids;
}

Result<void> detokenize(const ModelOptions& options) {
  PREFLIGHT_TRY(const text::Tokenizer tokenizer, load_tokenizer(options));
  PREFLIGHT_TRY(const std::string text, read_stdin(kMostIdsBytes));
  PREFLIGHT_TRY(const std::vector<std::int32_t> ids, read_ids(text, tokenizer.vocab_size()));
  return write_stdout(tokenizer.decode(ids, /*keep_special=*/true));
}

}  // namespace

void add_detokenize(CLI::App& app, Result<void>& outcome) {
  const auto options = std::make_shared<ModelOptions>();
  CLI::App* command =
      app.add_subcommand("detokenize", "A JSON array of ids on stdin, text on stdout");
  add_model_options(*command, *options);
  command->callback([options, &outcome] { outcome = detokenize(*options); });
}

}  // namespace preflight::run
