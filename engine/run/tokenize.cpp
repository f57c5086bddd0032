#include "engine/run/tokenize.h"

#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/run/command.h"
#include "engine/run/model_options.h"

namespace preflight::run {
namespace {

constexpr std::size_t kMostTextBytes = std::size_t{256} << 20;
static_assert(kMostTextBytes <= text::kMaxTextBytes);

struct TokenizeOptions {
  ModelOptions model;
  bool inert = false;
};

Result<void> tokenize(const TokenizeOptions& options) {
  PREFLIGHT_TRY(const text::Tokenizer tokenizer, load_tokenizer(options.model));
  PREFLIGHT_TRY(const std::string text, read_stdin(kMostTextBytes));
  return write_stdout(
      fmt::format("[{}]\n", fmt::join(tokenizer.encode(text, !options.inert), ",")));
}

}  // namespace

void add_tokenize(CLI::App& app, Result<void>& outcome) {
  const auto options = std::make_shared<TokenizeOptions>();
  CLI::App* command =
      app.add_subcommand("tokenize", "Text on stdin, a JSON array of ids on stdout");
  add_model_options(*command, options->model);
  command->add_flag("--inert", options->inert, "Treat special tokens in the text as plain text");
  command->callback([options, &outcome] { outcome = tokenize(*options); });
}

}  // namespace preflight::run
