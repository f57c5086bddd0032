#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "engine/engine_impl.h"
#include "engine/forward/draft_arena.h"
#include "engine/forward/self_test.h"
#include "engine/forward/tuning.h"
#include "shaders/params/step.h"

namespace preflight::engine {
namespace {

constexpr std::uint32_t kPageTokens = params::kPageTokens;
constexpr std::uint32_t kLargestBlock = 1120;  // soft tokens of the largest image budget
constexpr std::uint32_t kMaxHeadRows = kMaxNarrowRows;
constexpr std::uint64_t kStagingBytes = 64u << 20;
constexpr std::uint64_t kMiB = 1u << 20;

std::uint32_t pages_for(std::uint32_t tokens) { return (tokens + kPageTokens - 1) / kPageTokens; }

/// Pages of the sliding pool: one long sequence (its window, the chunk being written, and what both
/// cut into), and for each further one what a fork or a short sequence holds of its own.
std::uint32_t sliding_pages(const model::ModelConfig& config, std::uint32_t max_rows,
                            std::uint32_t context_tokens, std::uint32_t max_sequences) {
  constexpr std::uint32_t kOwnPages = 6;
  const std::uint32_t all = pages_for(context_tokens) + max_sequences;
  const std::uint32_t window = std::min(config.sliding_window, context_tokens);
  return std::min(all, pages_for(window + max_rows) + 2 + kOwnPages * max_sequences);
}

/// The largest plane of a layer's pages must fit one binding of the device.
Result<void> check_page_ranges(const forward::ArenaPlan& plan, bool kv16,
                               const vk::DeviceDescription& device) {
  const auto check = [&](const forward::AttentionLayout& layout, std::uint32_t n_pages,
                         const char* kind) -> Result<void> {
    const std::uint64_t page = std::uint64_t{layout.n_kv_heads} * kPageTokens *
                               std::max(layout.key_dim, layout.head_dim) * (kv16 ? 2 : 4);
    const std::uint64_t most = page == 0 ? n_pages : device.max_storage_buffer_range / page;
    if (n_pages <= most) return {};
    return fail(ErrorCode::kLimit,
                fmt::format("{} pages of the {} layers' KV cache do not fit the {} MiB that one "
                            "binding of {} can see; at most about {} tokens of context fit",
                            n_pages, kind, device.max_storage_buffer_range / kMiB, device.name,
                            most * kPageTokens));
  };
  PREFLIGHT_TRY_VOID(check(plan.sliding, plan.sliding_pages, "sliding"));
  return check(plan.full, plan.full_pages, "full");
}

forward::ArenaPlan plan_arena(const model::ModelConfig& config, const EngineOptions& options,
                              const forward::Tuning& tuning, std::uint32_t context_tokens) {
  forward::ArenaPlan plan;
  plan.context_tokens = context_tokens;
  plan.max_sequences = options.max_sequences;
  plan.max_head_rows = kMaxHeadRows;
  plan.max_rows =
      config.has_vision() ? std::max(tuning.chunk_rows, kLargestBlock) : tuning.chunk_rows;
  plan.sliding = forward::AttentionLayout::of(config, model::LayerKind::kSliding);
  plan.full = forward::AttentionLayout::of(config, model::LayerKind::kFull);
  plan.full_pages = pages_for(context_tokens) + options.max_sequences;
  plan.sliding_pages = sliding_pages(config, plan.max_rows, context_tokens, options.max_sequences);
  return plan;
}

/// The largest context whose whole need fits the budget; 0 when not even one page does.
std::uint32_t fitting_context(const model::ModelConfig& config, const EngineOptions& options,
                              const forward::Tuning& tuning, const MemoryPlan& memory, bool act16,
                              bool kv16) {
  const std::uint64_t fixed = memory.total_bytes() - memory.pages_bytes - memory.arena_bytes;
  std::uint32_t low = 0;
  std::uint32_t high = pages_for(options.context_tokens);
  while (low < high) {
    const std::uint32_t middle = (low + high + 1) / 2;
    const auto plan = plan_arena(config, options, tuning, middle * kPageTokens);
    const std::uint64_t need =
        fixed + plan.arena_bytes(config, act16) + plan.page_bytes(config, kv16);
    if (need <= memory.budget_bytes)
      low = middle;
    else
      high = middle - 1;
  }
  return low * kPageTokens;
}

std::vector<std::uint32_t> make_free_text_mask(const model::ModelConfig& config,
                                               const model::SpecialTokens& tokens) {
  std::vector<std::uint32_t> mask((config.vocab_size + 31) / 32, 0xffffffffu);
  if (config.vocab_size % 32 != 0) mask.back() = (1u << (config.vocab_size % 32)) - 1;
  const auto forbid = [&](std::int32_t id) {
    if (id >= 0 && static_cast<std::uint32_t>(id) < config.vocab_size)
      mask[static_cast<std::uint32_t>(id) / 32] &= ~(1u << (id % 32));
  };
  for (const std::int32_t id : tokens.suppressed) forbid(id);
  // A generated placeholder would stand for a medium that does not exist (docs/text.md).
  for (const std::int32_t id : {tokens.image, tokens.audio, tokens.video}) forbid(id);
  return mask;
}

Result<void> check_model(const model::ModelConfig& config, const forward::ArenaPlan& plan) {
  if (config.model_dim % 4 != 0 || config.ffn_dim % 4 != 0 ||
      (config.sliding.head_dim | config.full.head_dim) % 8 != 0 ||
      config.vision_embed_dim % 4 != 0 || config.audio_frame % 4 != 0)
    return fail(ErrorCode::kUnsupported,
                fmt::format("model sizes must be multiples of 4 and head sizes of 8, found model "
                            "{}, FFN {}, heads {} and {}, vision {}",
                            config.model_dim, config.ffn_dim, config.sliding.head_dim,
                            config.full.head_dim, config.vision_embed_dim));
  PREFLIGHT_ASSERT(plan.max_rows >= kMaxNarrowRows);
  return {};
}

/// As check_model, for the drafter's own sizes.
Result<void> check_drafter_sizes(const model::DrafterConfig& config, const std::string& name) {
  if (config.layers.model_dim % 4 == 0 && config.layers.ffn_dim % 4 == 0) return {};
  return fail(ErrorCode::kUnsupported,
              fmt::format("{}: a drafter's sizes must be multiples of 4, found model {} and FFN {}",
                          name, config.layers.model_dim, config.layers.ffn_dim));
}

}  // namespace

Result<void> Engine::Impl::load_drafter(const EngineOptions& options,
                                        const forward::Tuning& tuning) {
  PREFLIGHT_TRY(drafter_weights, forward::load_drafter_weights(device, uploader, *drafter_file,
                                                               tuning.weight_lanes));
  PREFLIGHT_TRY(drafter,
                forward::Drafter::create(device, submitter, *kernels, drafter_file->config(),
                                         *drafter_weights, config(), *weights, *arena, plan));
  drafting.emplace(*drafter, options.draft_tokens);
  return {};
}

Result<std::unique_ptr<Engine>> Engine::load(const EngineOptions& options) {
  if (options.max_sequences == 0 || options.max_sequences > 256)
    return fail(ErrorCode::kInvalidInput,
                fmt::format("max_sequences is {}, expected 1 to 256", options.max_sequences));
  PREFLIGHT_TRY(model::ModelFile file, model::ModelFile::open(options.model, options.mmproj));
  std::optional<model::DrafterFile> drafter_file;
  if (!options.drafter.empty()) {
    PREFLIGHT_TRY(drafter_file, model::DrafterFile::open(options.drafter));
    PREFLIGHT_TRY_VOID(
        model::check_drafter_fits(drafter_file->config(), file.config(), drafter_file->name()));
    PREFLIGHT_TRY_VOID(check_drafter_sizes(drafter_file->config(), drafter_file->name()));
  }
  PREFLIGHT_TRY(text::TokenizerData tokenizer_data, file.tokenizer_data());
  PREFLIGHT_TRY(text::Tokenizer tokenizer, text::Tokenizer::create(std::move(tokenizer_data)));
  const model::SpecialTokens& tokens = file.special_tokens();
  std::vector<std::int32_t> never = tokens.suppressed;
  for (const std::int32_t id : {tokens.image, tokens.audio, tokens.video})
    if (id >= 0) never.push_back(id);
  PREFLIGHT_TRY(auto vocabulary,
                generate::Vocabulary::build(tokenizer, never, file.config().vocab_size));

  PREFLIGHT_TRY(vk::Device device, vk::Device::create(options.device));
  // A CPU device shares its processors with everything else: slow is not lost there.
  const auto timeout =
      device.description().software ? std::chrono::seconds(600) : std::chrono::seconds(60);
  PREFLIGHT_TRY(vk::Submitter submitter, vk::Submitter::create(device, timeout));
  PREFLIGHT_TRY(vk::Uploader uploader, vk::Uploader::create(device, kStagingBytes));
  auto impl = std::make_unique<Impl>(std::move(file), std::move(tokenizer), std::move(vocabulary),
                                     std::move(device), std::move(submitter), std::move(uploader));
  impl->drafter_file = std::move(drafter_file);
  const model::ModelConfig& config = impl->config();
  const vk::DeviceDescription& description = impl->device.description();

  const forward::Tuning tuning = forward::tuning_for(description);
  impl->tier = options.tier.value_or(tuning.tier);
  if (impl->tier > vk::Tier::kF16)
    return fail(ErrorCode::kUnsupported,
                fmt::format("tier {} has no kernels in this release; base and f16 have",
                            vk::name(impl->tier)));
  impl->kv = options.kv;
  impl->max_sequences = options.max_sequences;
  const bool act16 = impl->tier == vk::Tier::kF16;
  const bool kv16 = options.kv == KvFormat::kF16;

  const std::uint32_t context =
      pages_for(std::clamp(options.context_tokens, kPageTokens, config.context_length)) *
      kPageTokens;
  impl->plan = plan_arena(config, options, tuning, context);
  PREFLIGHT_TRY_VOID(check_model(config, impl->plan));
  PREFLIGHT_TRY_VOID(check_page_ranges(impl->plan, kv16, description));

  MemoryPlan& memory = impl->memory;
  PREFLIGHT_TRY(memory.weights_bytes,
                forward::weights_bytes(impl->file, description, tuning.weight_lanes));
  memory.pages_bytes = impl->plan.page_bytes(config, kv16);
  memory.arena_bytes =
      impl->plan.arena_bytes(config, act16) + forward::Embedders::scratch_bytes(config, act16);
  memory.staging_bytes = description.unified_memory ? 0 : kStagingBytes;
  if (impl->drafter_file) {
    PREFLIGHT_TRY(memory.drafter_bytes, forward::drafter_weights_bytes(
                                            *impl->drafter_file, description, tuning.weight_lanes));
    memory.drafter_bytes +=
        forward::DraftArena::bytes(impl->drafter_file->config(), impl->plan, act16);
  }
  memory.budget_bytes = impl->device.free_bytes();
  if (memory.total_bytes() > memory.budget_bytes) {
    const std::uint32_t fits = fitting_context(config, options, tuning, memory, act16, kv16);
    return fail(ErrorCode::kOutOfMemory,
                fmt::format("the model needs {} MiB (weights {}, KV cache of {} tokens {}, scratch "
                            "{}{}), {} MiB are free on {}; {}",
                            memory.total_bytes() / kMiB, memory.weights_bytes / kMiB, context,
                            memory.pages_bytes / kMiB, memory.arena_bytes / kMiB,
                            memory.drafter_bytes == 0
                                ? std::string()
                                : fmt::format(", drafter {}", memory.drafter_bytes / kMiB),
                            memory.budget_bytes / kMiB, description.name,
                            fits == 0 ? std::string("no context length fits")
                                      : fmt::format("a context of {} tokens would fit", fits)));
  }

  PREFLIGHT_TRY(impl->weights, forward::load_weights(impl->device, impl->uploader, impl->file,
                                                     tuning.weight_lanes));
  PREFLIGHT_TRY(impl->arena, forward::Arena::create(impl->device, config, impl->plan, act16, kv16));
  PREFLIGHT_TRY_VOID(impl->arena->clear(impl->device, impl->submitter));
  PREFLIGHT_TRY(impl->kernels, forward::Kernels::create(
                                   impl->device, {.tuning = tuning, .act16 = act16, .kv16 = kv16}));
  PREFLIGHT_TRY(impl->embedders,
                forward::Embedders::create(impl->device, impl->submitter, impl->uploader,
                                           *impl->kernels, config, *impl->weights));
  PREFLIGHT_TRY(impl->decoder,
                forward::Decoder::create(impl->device, impl->submitter, *impl->kernels, config,
                                         *impl->weights, *impl->arena, impl->plan));
  if (impl->drafter_file) PREFLIGHT_TRY_VOID(impl->load_drafter(options, tuning));
  PREFLIGHT_TRY_VOID(forward::self_test({.device = impl->device,
                                         .submitter = impl->submitter,
                                         .uploader = impl->uploader,
                                         .kernels = *impl->kernels,
                                         .file = impl->file,
                                         .weights = *impl->weights,
                                         .arena = *impl->arena,
                                         .plan = impl->plan}));
  impl->pools.emplace(kv::Pools{.sliding = kv::PagePool(impl->plan.sliding_pages),
                                .full = kv::PagePool(impl->plan.full_pages),
                                .page_tokens = kPageTokens,
                                .sliding_window = config.sliding_window});
  impl->scheduler.emplace(*impl->decoder, *impl->pools, config, impl->plan);
  impl->free_text_mask = make_free_text_mask(config, impl->file.special_tokens());
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

}  // namespace preflight::engine
