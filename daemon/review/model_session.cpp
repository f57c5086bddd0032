#include "daemon/review/model_session.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <utility>

#include <fmt/format.h>

#include "daemon/protocol/bundle.h"
#include "daemon/protocol/sha256.h"
#include "engine/media/image.h"
#include "engine/media/sound.h"

namespace preflight::review {
namespace {

using engine::Input;
using engine::SequenceId;

bool is_words(const PromptPart& part) { return part.picture == nullptr && part.samples == nullptr; }

/// The words from `begin` up to the next picture or sound.
std::vector<text::Segment> words_from(const Prompt& prompt, std::size_t& at) {
  std::vector<text::Segment> segments;
  for (; at < prompt.size() && is_words(prompt[at]); ++at)
    segments.push_back({prompt[at].text, prompt[at].trusted});
  return segments;
}

Result<media::ImagePatches> patches_of(const PromptPart& part) {
  if (part.budget != 0) return media::image_patches(*part.picture, part.budget);
  const media::RgbImage& picture = *part.picture;
  if (picture.width == 0 || picture.height == 0 || picture.width % media::kPatchSide != 0 ||
      picture.height % media::kPatchSide != 0) {
    return fail(ErrorCode::kInternal, fmt::format("a frame of {}x{} is not cut into whole patches",
                                                  picture.width, picture.height));
  }
  return media::cut_patches(picture);
}

/// Of all that the soft tokens are made of: nobody can make another medium pass for this one.
kv::MediumKey medium_key(const PromptPart& part) {
  protocol::Sha256 hash;
  if (part.picture != nullptr) {
    const media::RgbImage& picture = *part.picture;
    hash.update(fmt::format("picture {} {} {} ", picture.width, picture.height, part.budget));
    hash.update(std::as_bytes(std::span(picture.pixels)));
  } else {
    hash.update("sound ");
    hash.update(std::as_bytes(std::span(*part.samples)));
  }
  const std::string hex = hash.finish();
  const auto word = [&](std::size_t at) {
    std::uint64_t value = 0;
    std::from_chars(hex.data() + at, hex.data() + at + 16, value, 16);
    return value;
  };
  return {.high = word(0), .low = word(16)};
}

std::uint64_t picture_tokens(const PromptPart& part) {
  media::Size size{part.picture->width, part.picture->height};
  if (part.budget != 0) {
    const auto target = media::target_size(size, part.budget);
    if (!target) return 0;  // an empty picture: encode says so
    size = *target;
  }
  return std::uint64_t{size.width / media::kPatchSide} * (size.height / media::kPatchSide);
}

std::uint64_t soft_tokens(const PromptPart& part) {
  return part.picture != nullptr ? picture_tokens(part)
                                 : media::n_audio_frames(part.samples->size());
}

}  // namespace

bool ModelSession::sees() const {
  return engine_->config().vision_embed_dim > 0 && engine_->special_tokens().image >= 0;
}

bool ModelSession::hears() const {
  return engine_->config().audio_frame > 0 && engine_->special_tokens().audio >= 0;
}

std::uint64_t ModelSession::count_tokens(const Prompt& prompt) const {
  std::uint64_t tokens = 0;
  for (std::size_t at = 0; at < prompt.size();) {
    const std::vector<text::Segment> segments = words_from(prompt, at);
    if (!segments.empty()) tokens += engine_->tokenizer().encode(segments).size();
    if (at == prompt.size()) break;
    tokens += 2 + soft_tokens(prompt[at++]);
  }
  return tokens;
}

double ModelSession::characters_per_token(std::string_view words) const {
  const std::size_t tokens = engine_->tokenizer().encode(words, false).size();
  if (tokens == 0) return 1;
  return static_cast<double>(protocol::code_points(words)) / static_cast<double>(tokens);
}

Result<SequenceId> ModelSession::open() { return engine_->open(); }

Result<SequenceId> ModelSession::fork(SequenceId sequence) {
  PREFLIGHT_TRY(const SequenceId fork, engine_->fork(sequence));
  cached_tokens_ += engine_->length(fork);
  return fork;
}

ModelSession::Encoded ModelSession::start(bool first) const {
  const model::SpecialTokens& special = engine_->special_tokens();
  Encoded out;
  if (first && special.bos >= 0) out.inputs.push_back({.token = special.bos});
  return out;
}

void ModelSession::encode(const Prompt& prompt, Encoded& to) const {
  const model::SpecialTokens& special = engine_->special_tokens();
  for (std::size_t at = 0; at < prompt.size();) {
    const std::vector<text::Segment> segments = words_from(prompt, at);
    if (!segments.empty()) {
      for (const std::int32_t id : engine_->tokenizer().encode(segments))
        to.inputs.push_back({.token = id});
    }
    if (at == prompt.size()) break;
    const PromptPart& part = prompt[at++];
    const bool picture = part.picture != nullptr;
    to.inputs.push_back({.token = picture ? special.boi : special.boa});
    to.media.push_back(
        {.part = &part, .first = to.inputs.size(), .n = soft_tokens(part), .soft = {}});
    const kv::MediumKey key = medium_key(part);
    for (std::uint32_t i = 0; i < to.media.back().n; ++i) {
      to.inputs.push_back({.token = picture ? special.image : special.audio,
                           .vision = picture,
                           .medium = key,
                           .medium_index = i});
    }
    to.inputs.push_back({.token = picture ? special.eoi : special.eoa});
  }
}

Result<void> ModelSession::embed(Encoded& encoded, std::size_t n_cached) {
  const std::size_t dim = engine_->config().model_dim;
  for (Medium& medium : encoded.media) {
    if (medium.first + medium.n <= n_cached) continue;
    if (medium.part->picture != nullptr) {
      PREFLIGHT_TRY(const media::ImagePatches patches, patches_of(*medium.part));
      PREFLIGHT_TRY(medium.soft, engine_->embed_image(patches));
    } else {
      PREFLIGHT_TRY(medium.soft, engine_->embed_audio(*medium.part->samples));
    }
    if (medium.soft.n_tokens != medium.n)
      return fail(ErrorCode::kInternal, fmt::format("a medium has {} soft tokens, expected {}",
                                                    medium.soft.n_tokens, medium.n));
    for (std::size_t i = 0; i < medium.n; ++i)
      encoded.inputs[medium.first + i].soft_row = medium.soft.rows.data() + i * dim;
  }
  return {};
}

Result<SequenceId> ModelSession::begin(std::span<const Prompt> stages, const Progress& progress,
                                       const Cancelled& cancelled) {
  Encoded encoded = start(/*first=*/true);
  std::vector<std::size_t> ends;
  for (const Prompt& stage : stages) {
    encode(stage, encoded);
    ends.push_back(encoded.inputs.size());
  }
  PREFLIGHT_TRY(const engine::CachedSequence opened, engine_->open_cached(encoded.inputs));
  std::size_t done = opened.n_cached;
  const auto read = [&]() -> Result<void> {
    PREFLIGHT_TRY_VOID(embed(encoded, done));
    const std::size_t total = encoded.inputs.size() - opened.n_cached;
    for (const std::size_t end : ends) {
      if (end <= done) continue;
      const auto count = [&](std::uint64_t tokens, std::uint64_t) {
        if (progress) progress(done - opened.n_cached + tokens, total);
      };
      PREFLIGHT_TRY_VOID(engine_->prefill(
          opened.sequence, std::span(encoded.inputs).subspan(done, end - done), count, cancelled));
      engine_->bookmark(opened.sequence);
      done = end;
    }
    return {};
  };
  if (Result<void> ran = read(); !ran) {
    engine_->close(opened.sequence);
    return tl::unexpected(ran.error());
  }
  return opened.sequence;
}

Result<void> ModelSession::prefill(SequenceId sequence, const Prompt& prompt, bool first,
                                   const Progress& progress, const Cancelled& cancelled) {
  Encoded encoded = start(first);
  encode(prompt, encoded);
  PREFLIGHT_TRY_VOID(embed(encoded, 0));
  return engine_->prefill(sequence, encoded.inputs, progress, cancelled);
}

Result<void> ModelSession::prefill_many(std::span<const SequenceId> sequences,
                                        std::span<const Prompt> prompts, bool first,
                                        const Progress& progress, const Cancelled& cancelled) {
  std::vector<Encoded> encoded;
  std::vector<std::vector<Input>> inputs;
  for (const Prompt& prompt : prompts) {
    encoded.push_back(start(first));
    encode(prompt, encoded.back());
    PREFLIGHT_TRY_VOID(embed(encoded.back(), 0));
    inputs.push_back(std::move(encoded.back().inputs));
  }
  return engine_->prefill_many(sequences, inputs, progress, cancelled);
}

Result<std::vector<CheckAnswer>> ModelSession::answer(
    std::span<const SequenceId> sequences, std::span<const nlohmann::ordered_json> schemas,
    const Cancelled& cancelled) {
  generate::ConstraintLimits limits;
  // Upper bounds over every tokenisation, the worst four bytes a character: far above what any
  // answer takes, and only there to refuse a schema without an end.
  limits.max_tokens = 1 << 16;
  std::vector<engine::GenerateRow> rows;
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    PREFLIGHT_TRY(const generate::Schema schema,
                  generate::Schema::compile(schemas[i].dump(), engine_->vocabulary(), limits));
    engine::GenerateRow row;
    row.sequence = sequences[i];
    row.constraint = schema.begin();
    rows.push_back(std::move(row));
  }
  PREFLIGHT_TRY(const std::vector<engine::Generation> made, engine_->generate(rows, cancelled));
  std::vector<CheckAnswer> out;
  for (const engine::Generation& generation : made) {
    if (generation.finish_reason == engine::FinishReason::kLength)
      return fail(ErrorCode::kLimit, "the model's answer did not end within its context");
    CheckAnswer answer;
    answer.text = generation.text;
    for (const engine::ChoiceReading& choice : generation.choices) {
      const generate::ChoiceOutcome& outcome = choice.outcome;
      if (outcome.taken >= outcome.literals.size()) continue;
      double allowed = 0;
      for (const generate::LiteralProbability& literal : outcome.literals)
        allowed += literal.probability;
      ChoiceStat stat;
      stat.p = allowed > 0 ? outcome.literals[outcome.taken].probability / allowed : 0;
      stat.margin = choice.margin;
      stat.outside = outcome.outside + outcome.lost;
      answer.choices[outcome.pointer] = stat;
    }
    out.push_back(std::move(answer));
  }
  return out;
}

PassWork ModelSession::work() const {
  const engine::Meter& meter = engine_->meter();
  return {meter.prefilled_tokens,
          meter.generated_tokens,
          meter.forced_tokens,
          cached_tokens_ + meter.cached_tokens,
          meter.narrow_steps,
          meter.wide_steps,
          meter.saved_steps,
          meter.draft_saved_steps,
          0};
}

}  // namespace preflight::review
