#include "engine/run/model_options.h"

#include <utility>

#include "engine/model/model_file.h"

namespace preflight::run {

void add_model_options(CLI::App& command, ModelOptions& options) {
  command.add_option("--model", options.model, "GGUF file or Hugging Face directory")
      ->required()
      ->type_name("PATH");
  command.add_option("--mmproj", options.mmproj, "image and sound part of a GGUF model")
      ->type_name("PATH");
}

Result<text::Tokenizer> load_tokenizer(const ModelOptions& options) {
  PREFLIGHT_TRY(const model::ModelFile file, model::ModelFile::open(options.model, options.mmproj));
  PREFLIGHT_TRY(text::TokenizerData data, file.tokenizer_data());
  return text::Tokenizer::create(std::move(data));
}

}  // namespace preflight::run
