#include "engine/engine.h"

#include <algorithm>

#include <fmt/format.h>

#include "engine/engine_impl.h"
#include "engine/media/image.h"
#include "engine/position_keys.h"

namespace preflight::engine {

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

const model::ModelConfig& Engine::config() const { return impl_->config(); }
const model::SpecialTokens& Engine::special_tokens() const { return impl_->file.special_tokens(); }
const text::Tokenizer& Engine::tokenizer() const { return impl_->tokenizer; }
const std::shared_ptr<const generate::Vocabulary>& Engine::vocabulary() const {
  return impl_->vocabulary;
}
const vk::DeviceDescription& Engine::device() const { return impl_->device.description(); }
const forward::Tuning& Engine::tuning() const { return impl_->kernels->options().tuning; }
vk::Tier Engine::tier() const { return impl_->tier; }
KvFormat Engine::kv_format() const { return impl_->kv; }
std::uint32_t Engine::context_tokens() const { return impl_->plan.context_tokens; }
const MemoryPlan& Engine::memory_plan() const { return impl_->memory; }
std::uint64_t Engine::peak_device_bytes() const { return impl_->device.peak_allocated_bytes(); }
std::uint64_t Engine::reserved_device_bytes() const { return impl_->device.reserved_bytes(); }
std::string Engine::model_digest() const { return impl_->file.digest(); }
bool Engine::has_drafter() const { return impl_->drafter != nullptr; }
const Meter& Engine::meter() const { return impl_->meter; }

void Engine::set_heartbeat(std::function<void()> heartbeat) {
  impl_->submitter.set_heartbeat(std::move(heartbeat));
}

Sequence& Engine::Impl::at(SequenceId id) {
  const auto found = sequences.find(static_cast<std::uint32_t>(id));
  PREFLIGHT_ASSERT(found != sequences.end());
  return found->second;
}

Result<SoftTokens> Engine::embed_image(const media::ImagePatches& image) {
  PREFLIGHT_TRY(std::vector<float> rows, impl_->embedders->image(image.patches, image.columns));
  return SoftTokens{.n_tokens = image.columns * image.rows, .rows = std::move(rows)};
}

Result<SoftTokens> Engine::embed_audio(std::span<const float> samples) {
  PREFLIGHT_TRY(std::vector<float> rows, impl_->embedders->audio(samples));
  const auto n = static_cast<std::uint32_t>(rows.size() / config().model_dim);
  return SoftTokens{.n_tokens = n, .rows = std::move(rows)};
}

Result<SequenceId> Engine::open() {
  if (impl_->sequences.size() >= impl_->max_sequences)
    return fail(ErrorCode::kLimit,
                fmt::format("{} sequences are open, the most there may be", impl_->max_sequences));
  const std::uint32_t id = impl_->next_sequence++;
  impl_->sequences.try_emplace(id);
  return SequenceId{id};
}

Result<CachedSequence> Engine::open_cached(std::span<const Input> inputs) {
  PREFLIGHT_TRY(const SequenceId id, open());
  std::vector<kv::PositionKey> keys = position_keys(inputs, config().vision_bidirectional);
  if (!keys.empty()) keys.pop_back();  // generation needs an input to go on from
  Sequence& sequence = impl_->at(id);
  sequence.pages = impl_->prefix_cache->find(*impl_->pools, keys);
  keys.resize(sequence.pages.length());
  sequence.keys = std::move(keys);
  impl_->meter.cached_tokens += sequence.pages.length();
  return CachedSequence{.sequence = id, .n_cached = sequence.pages.length()};
}

void Engine::bookmark(SequenceId sequence) {
  const Sequence& kept = impl_->at(sequence);
  const auto keys = std::span(kept.keys).first(kept.pages.length());
  impl_->prefix_cache->put(*impl_->pools, keys, kept.pages);
}

Result<SequenceId> Engine::fork(SequenceId sequence) {
  PREFLIGHT_TRY(const SequenceId id, open());
  const Sequence& from = impl_->at(sequence);
  Sequence& to = impl_->at(id);
  to.pages = from.pages.fork(*impl_->pools);
  to.keys = from.keys;
  to.pending = from.pending;
  return id;
}

void Engine::close(SequenceId sequence) {
  impl_->at(sequence).pages.release(*impl_->pools);
  impl_->sequences.erase(static_cast<std::uint32_t>(sequence));
}

std::uint32_t Engine::length(SequenceId sequence) const {
  const Sequence& found = impl_->at(sequence);
  return found.pages.length() + static_cast<std::uint32_t>(found.pending.size());
}

Result<void> Engine::Impl::check_inputs(std::span<const Input> inputs) const {
  const model::SpecialTokens& tokens = file.special_tokens();
  for (std::size_t i = 0; i < inputs.size(); i++) {
    const std::int32_t id = inputs[i].token;
    if (id < 0 || static_cast<std::uint32_t>(id) >= config().vocab_size)
      return fail(ErrorCode::kInvalidInput,
                  fmt::format("token {} at input {} is outside the vocabulary of {}", id, i,
                              config().vocab_size));
    const bool placeholder = id == tokens.image || id == tokens.audio || id == tokens.video;
    if (placeholder && inputs[i].soft_row == nullptr)
      return fail(ErrorCode::kInvalidInput,
                  fmt::format("input {} is the placeholder {} without a medium", i,
                              tokenizer.token_bytes(id)));
  }
  return {};
}

Work Engine::Impl::work_of(SequenceId id, std::span<const Input> more) {
  Work work{.sequence = &at(id), .inputs = {}, .wanted = {}};
  for (const PendingInput& pending : work.sequence->pending)
    work.inputs.push_back({.token = pending.token,
                           .soft_row = pending.soft_row.empty() ? nullptr : pending.soft_row.data(),
                           .vision = false,
                           .medium = pending.medium,
                           .medium_index = pending.medium_index});
  work.inputs.insert(work.inputs.end(), more.begin(), more.end());
  return work;
}

Result<void> Engine::Impl::append(std::span<Work> works, const Progress& progress,
                                  const Cancelled& cancelled) {
  const Stopwatch stopwatch(meter.prefill_seconds);
  std::uint64_t total = 0;
  // The last input of each stays pending, unless it ends a vision block, which must not be split.
  std::vector<std::vector<PendingInput>> pending(works.size());
  for (std::size_t i = 0; i < works.size(); i++) {
    std::vector<Input>& inputs = works[i].inputs;
    if (!inputs.empty() && !inputs.back().vision) {
      const Input& last = inputs.back();
      PendingInput kept{.token = last.token,
                        .soft_row = {},
                        .medium = last.medium,
                        .medium_index = last.medium_index};
      if (last.soft_row != nullptr)
        kept.soft_row.assign(last.soft_row, last.soft_row + config().model_dim);
      pending[i].push_back(std::move(kept));
      inputs.pop_back();
    }
    total += inputs.size();
  }
  std::uint64_t done = 0;
  PREFLIGHT_TRY_VOID(scheduler->run(
      works, forward::Phase::kPrefill, /*head_of=*/{},
      [](auto, auto) -> Result<void> { return {}; },
      [&](std::uint32_t n_rows) {
        done += n_rows;
        meter.prefilled_tokens += n_rows;
        meter.wide_steps++;
        if (progress) progress(done, total);
      },
      cancelled));
  for (std::size_t i = 0; i < works.size(); i++) works[i].sequence->pending = std::move(pending[i]);
  return {};
}

Result<void> Engine::prefill(SequenceId sequence, std::span<const Input> inputs,
                             const Progress& progress, const Cancelled& cancelled) {
  PREFLIGHT_TRY_VOID(impl_->check_inputs(inputs));
  Work work = impl_->work_of(sequence, inputs);
  return impl_->append({&work, 1}, progress, cancelled);
}

Result<void> Engine::prefill_many(std::span<const SequenceId> sequences,
                                  std::span<const std::vector<Input>> inputs,
                                  const Progress& progress, const Cancelled& cancelled) {
  PREFLIGHT_ASSERT(sequences.size() == inputs.size());
  std::vector<Work> works;
  for (std::size_t i = 0; i < sequences.size(); i++) {
    PREFLIGHT_TRY_VOID(impl_->check_inputs(inputs[i]));
    works.push_back(impl_->work_of(sequences[i], inputs[i]));
  }
  return impl_->append(works, progress, cancelled);
}

Result<void> Engine::logits(
    SequenceId sequence, std::span<const Input> inputs, std::span<const std::uint32_t> wanted,
    const std::function<void(std::uint32_t index, std::span<const float>)>& take) {
  PREFLIGHT_TRY_VOID(impl_->check_inputs(inputs));
  const Stopwatch stopwatch(impl_->meter.prefill_seconds);
  Work work = impl_->work_of(sequence, inputs);
  const auto n_pending = static_cast<std::uint32_t>(work.inputs.size() - inputs.size());
  for (const std::uint32_t index : wanted) {
    PREFLIGHT_ASSERT(index < inputs.size());
    work.wanted.push_back(n_pending + index);
  }
  std::vector<float> row(config().vocab_size);
  const auto head_of = [&](std::span<const WantedRow> rows) {
    forward::HeadRows head;
    head.masks.assign(rows.size(), impl_->free_text_mask);
    for (const WantedRow& wanted_row : rows) head.rows.push_back(wanted_row.row);
    return head;
  };
  const auto take_rows = [&](std::span<const WantedRow> rows, auto) -> Result<void> {
    for (std::uint32_t i = 0; i < rows.size(); i++) {
      PREFLIGHT_TRY_VOID(impl_->decoder->read_logits(impl_->uploader, i, row));
      take(wanted[rows[i].wanted], row);
    }
    return {};
  };
  PREFLIGHT_TRY_VOID(impl_->scheduler->run({&work, 1}, forward::Phase::kPrefill, head_of, take_rows,
                                           [&](std::uint32_t n_rows) {
                                             impl_->meter.prefilled_tokens += n_rows;
                                             impl_->meter.wide_steps++;
                                           },
                                           {}));
  work.sequence->pending.clear();
  return {};
}

Result<DraftTrace> Engine::draft(SequenceId sequence, std::span<const Input> inputs,
                                 std::int32_t token, std::uint32_t n_drafts) {
  PREFLIGHT_ASSERT(impl_->drafter != nullptr && !inputs.empty());
  PREFLIGHT_TRY_VOID(impl_->check_inputs(inputs));
  Work work = impl_->work_of(sequence, inputs);
  work.wanted = {static_cast<std::uint32_t>(work.inputs.size() - 1)};
  DraftTrace trace;
  std::uint32_t hidden_row = 0;
  const auto take_rows = [&](std::span<const WantedRow> rows, auto) -> Result<void> {
    hidden_row = rows.front().row;
    trace.hidden.resize(config().model_dim);
    return impl_->decoder->read_hidden(impl_->uploader, hidden_row, trace.hidden);
  };
  PREFLIGHT_TRY_VOID(impl_->scheduler->run({&work, 1}, forward::Phase::kPrefill, /*head_of=*/{},
                                           take_rows, [](std::uint32_t) {}, {}));
  work.sequence->pending.clear();

  const kv::SequencePages& pages = work.sequence->pages;
  for (std::uint32_t i = 0; i < n_drafts; i++) {
    const forward::DraftRow row{.pages = {pages.sliding(), pages.full()},
                                .newest_key = pages.length() - 1,
                                .token = token,
                                .hidden_row = i == 0 ? hidden_row : 0,
                                .mask = impl_->free_text_mask};
    PREFLIGHT_TRY(
        const std::vector<std::uint32_t> best,
        impl_->drafter->draft({&row, 1},
                              i == 0 ? forward::HiddenRows::kTarget : forward::HiddenRows::kDraft,
                              /*n_steps=*/1));
    token = static_cast<std::int32_t>(best.front());
    trace.ids.push_back(token);
    trace.logits.emplace_back(config().vocab_size);
    PREFLIGHT_TRY_VOID(impl_->drafter->read_logits(impl_->uploader, 0, trace.logits.back()));
  }
  return trace;
}

}  // namespace preflight::engine
