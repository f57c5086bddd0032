#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "engine/engine_impl.h"
#include "engine/forward/self_test.h"
#include "engine/memory_plan.h"
#include "shaders/params/step.h"

namespace preflight::engine {
namespace {

forward::TokenMask make_free_text_mask(const model::ModelConfig& config,
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
  return std::make_shared<const std::vector<std::uint32_t>>(std::move(mask));
}

}  // namespace

forward::SelfTestSubject Engine::Impl::self_test_subject() {
  return {.device = device,
          .submitter = submitter,
          .uploader = uploader,
          .kernels = *kernels,
          .file = file,
          .weights = *weights,
          .arena = *arena,
          .plan = plan};
}

Result<void> Engine::Impl::load_drafter() {
  PREFLIGHT_TRY(drafter_weights, forward::load_drafter_weights(device, uploader, *drafter_file,
                                                               kernels->interleave()));
  PREFLIGHT_TRY(drafter,
                forward::Drafter::create(device, submitter, *kernels, drafter_file->config(),
                                         *drafter_weights, config(), *weights, *arena, plan));
  return {};
}

Result<std::unique_ptr<Engine>> Engine::load(const EngineOptions& options) {
  PREFLIGHT_TRY_VOID(check_options(options));
  PREFLIGHT_TRY(model::ModelFile file, model::ModelFile::open(options.model, options.mmproj));
  PREFLIGHT_TRY(auto drafter_file, open_drafter(options, file.config()));
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
  vk::DeviceDescription description = impl->device.description();
  description.budget_bytes = impl->device.free_bytes();
  PREFLIGHT_TRY(const LoadPlan load,
                plan_load(impl->file, impl->drafter_file ? &*impl->drafter_file : nullptr,
                          description, options));
  PREFLIGHT_TRY_VOID(check_budget(load, config, description, options));
  impl->tier = load.tier;
  impl->kv = options.kv;
  impl->max_sequences = options.max_sequences;
  impl->plan = load.arena;
  impl->memory = load.memory;
  const forward::Tuning& tuning = load.tuning;
  const bool act16 = load.act16;
  const bool kv16 = load.kv16;

  forward::KernelOptions kernel_options{.tuning = tuning,
                                        .act16 = act16,
                                        .kv16 = kv16,
                                        .dot = impl->tier == vk::Tier::kDot,
                                        .coopmat = impl->tier == vk::Tier::kCoopmat};
  PREFLIGHT_TRY(impl->kernels, forward::Kernels::create(impl->device, kernel_options));
  PREFLIGHT_TRY(impl->weights, forward::load_weights(impl->device, impl->uploader, impl->file,
                                                     impl->kernels->interleave()));
  PREFLIGHT_TRY(impl->arena, forward::Arena::create(impl->device, config, impl->plan, act16, kv16));
  PREFLIGHT_TRY_VOID(impl->arena->clear(impl->device, impl->submitter));
  if (kernel_options.coopmat && !options.tier &&
      !forward::products_agree(impl->self_test_subject())) {
    // A driver whose matrix units compute something else is used without them.
    impl->tier = vk::Tier::kF16;
    kernel_options.coopmat = false;
    PREFLIGHT_TRY(impl->kernels, forward::Kernels::create(impl->device, kernel_options));
  }
  PREFLIGHT_TRY(impl->embedders,
                forward::Embedders::create(impl->device, impl->submitter, impl->uploader,
                                           *impl->kernels, config, *impl->weights));
  PREFLIGHT_TRY(impl->decoder,
                forward::Decoder::create(impl->device, impl->submitter, *impl->kernels, config,
                                         *impl->weights, *impl->arena, impl->plan));
  if (impl->drafter_file) PREFLIGHT_TRY_VOID(impl->load_drafter());
  // Where nobody asked for drafts, how many steps an answer takes does not depend on the clock.
  const std::optional<std::uint32_t> no_drafts = 0;
  impl->drafting.emplace(impl->drafter.get(),
                         impl->drafter || options.draft_tokens ? options.draft_tokens : no_drafts);
  PREFLIGHT_TRY_VOID(forward::self_test(impl->self_test_subject()));
  impl->pools.emplace(kv::Pools{.sliding = kv::PagePool(impl->plan.sliding_pages),
                                .full = kv::PagePool(impl->plan.full_pages),
                                .page_tokens = params::kPageTokens,
                                .sliding_window = config.sliding_window});
  impl->prefix_cache.emplace(impl->memory.max_bookmarks);
  impl->scheduler.emplace(*impl->decoder, *impl->pools, *impl->prefix_cache, config, impl->plan);
  impl->free_text_mask = make_free_text_mask(config, impl->file.special_tokens());
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

}  // namespace preflight::engine
