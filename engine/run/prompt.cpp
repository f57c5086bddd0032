#include "engine/run/prompt.h"

#include <cstddef>
#include <utility>

#include "engine/model/model_file.h"

namespace preflight::run {

Result<CountedRequest> read_counted_request(const std::filesystem::path& path,
                                            const ModelOptions& model,
                                            media::DecoderOptions decoder_options) {
  PREFLIGHT_TRY(Request request, read_request(path));
  PREFLIGHT_TRY(const model::ModelFile file, model::ModelFile::open(model.model, model.mmproj));
  PREFLIGHT_TRY(text::TokenizerData data, file.tokenizer_data());
  PREFLIGHT_TRY(const text::Tokenizer tokenizer, text::Tokenizer::create(std::move(data)));
  PREFLIGHT_TRY(std::vector<LoadedMedium> media, load_media(request, std::move(decoder_options)));
  PREFLIGHT_TRY(Expanded expanded,
                expand(request, count_tokens(media), tokenizer, file.special_tokens()));
  return CountedRequest{std::move(request), std::move(media), std::move(expanded)};
}

Result<Prompt> embed(const CountedRequest& counted, engine::Engine& engine) {
  Prompt prompt;
  for (const std::int32_t id : counted.expanded.ids) prompt.inputs.push_back({.token = id});

  const std::size_t dim = engine.config().model_dim;
  for (const SoftSpan& span : counted.expanded.soft) {
    const LoadedMedium& medium = counted.media[span.media_ix];
    auto embedded = span.vision ? engine.embed_image(medium.frames[span.item_ix].image)
                                : engine.embed_audio(medium.clips[span.item_ix].samples);
    PREFLIGHT_TRY(engine::SoftTokens soft, std::move(embedded));
    PREFLIGHT_ASSERT(soft.n_tokens == span.n_tokens);
    for (std::uint32_t i = 0; i < span.n_tokens; i++) {
      engine::Input& input = prompt.inputs[span.begin_ix + i];
      input.soft_row = soft.rows.data() + i * dim;  // the vector's memory stays where it is
      input.vision = span.vision;
    }
    prompt.soft.push_back(std::move(soft));
  }
  return prompt;
}

}  // namespace preflight::run
