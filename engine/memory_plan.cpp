#include "engine/memory_plan.h"

#include <algorithm>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "engine/forward/attention_op.h"
#include "engine/forward/dot_products.h"
#include "engine/forward/draft_arena.h"
#include "engine/forward/drafter_weights.h"
#include "engine/forward/embedders.h"
#include "engine/forward/kv_view.h"
#include "engine/forward/model_weights.h"
#include "engine/forward/tuning_file.h"
#include "engine/forward/wide_products.h"
#include "shaders/params/step.h"

namespace preflight::engine {
namespace {

constexpr std::uint32_t kLargestBlock = 1120;  // soft tokens of the largest image budget
constexpr std::uint32_t kMaxHeadRows = kMaxNarrowRows;
constexpr std::uint64_t kMiB = 1u << 20;

std::uint32_t pages_for(std::uint32_t tokens) {
  return (tokens + params::kPageTokens - 1) / params::kPageTokens;
}

/// Pages of the sliding pool: one long sequence (its window, the chunk being written, and what both
/// cut into), and for each further one what a fork or a short sequence holds of its own.
std::uint32_t sliding_pages(const model::ModelConfig& config, std::uint32_t max_rows,
                            std::uint32_t context_tokens, std::uint32_t max_sequences) {
  constexpr std::uint32_t kOwnPages = 6;
  const std::uint32_t all = pages_for(context_tokens) + max_sequences;
  const std::uint32_t window = std::min(config.sliding_window, context_tokens);
  return std::min(all, pages_for(window + max_rows) + 2 + kOwnPages * (max_sequences - 1));
}

/// Pages of the sliding pool that a bookmark may hold: a window that begins inside a page.
std::uint32_t bookmark_pages(const model::ModelConfig& config, std::uint32_t context_tokens) {
  return pages_for(std::min(config.sliding_window, context_tokens)) + 1;
}

/// The largest plane of a layer's pages must be in sight of the device's bindings.
Result<void> check_page_ranges(const forward::ArenaPlan& plan, bool kv16,
                               const vk::DeviceDescription& device) {
  const std::uint64_t most_bytes = forward::most_plane_bytes(device, kv16);
  const auto check = [&](const forward::AttentionLayout& layout, std::uint32_t n_pages,
                         const char* kind) -> Result<void> {
    const std::uint64_t page = std::uint64_t{layout.n_kv_heads} * params::kPageTokens *
                               std::max(layout.key_dim, layout.head_dim) * (kv16 ? 2 : 4);
    const std::uint64_t most = page == 0 ? n_pages : most_bytes / page;
    if (n_pages <= most) return {};
    return fail(
        ErrorCode::kLimit,
        fmt::format("{} pages of the {} layers' KV cache do not fit the {} MiB that "
                    "kernels on {} can see; at most about {} tokens of context fit",
                    n_pages, kind, most_bytes / kMiB, device.name, most * params::kPageTokens));
  };
  PREFLIGHT_TRY_VOID(check(plan.sliding, plan.sliding_pages, "sliding"));
  return check(plan.full, plan.full_pages, "full");
}

forward::ArenaPlan plan_arena(const model::ModelConfig& config, const EngineOptions& options,
                              const forward::Tuning& tuning, vk::Tier tier,
                              std::uint32_t context_tokens) {
  forward::ArenaPlan plan;
  plan.context_tokens = context_tokens;
  plan.max_sequences = options.max_sequences;
  plan.max_head_rows = kMaxHeadRows;
  plan.max_rows =
      config.has_vision() ? std::max(tuning.chunk_rows, kLargestBlock) : tuning.chunk_rows;
  plan.sliding = forward::AttentionLayout::of(config, model::LayerKind::kSliding);
  plan.full = forward::AttentionLayout::of(config, model::LayerKind::kFull);
  plan.attention_tiles = forward::uses_attention_tiles(tuning);
  plan.quantised = tier == vk::Tier::kDot;
  plan.full_pages = pages_for(context_tokens) + options.max_sequences;
  plan.sliding_pages = sliding_pages(config, plan.max_rows, context_tokens, options.max_sequences);
  return plan;
}

/// The same with room for bookmarks: of full layers they have what open sequences leave, and each a
/// last page of its own.
forward::ArenaPlan with_bookmarks(forward::ArenaPlan plan, const model::ModelConfig& config,
                                  std::uint32_t n_bookmarks) {
  plan.full_pages += n_bookmarks;
  plan.sliding_pages += n_bookmarks * bookmark_pages(config, plan.context_tokens);
  return plan;
}

/// As many bookmarks as were asked for, or as fit beside the rest.
void plan_bookmarks(LoadPlan& plan, const model::ModelConfig& config,
                    const vk::DeviceDescription& device, std::uint32_t most) {
  MemoryPlan& memory = plan.memory;
  for (std::uint32_t n = most; n > 0; n--) {
    const forward::ArenaPlan larger = with_bookmarks(plan.arena, config, n);
    const std::uint64_t more_bytes = larger.page_bytes(config, plan.kv16) - memory.pages_bytes;
    const bool fits = memory.total_bytes() + more_bytes <= memory.budget_bytes &&
                      check_page_ranges(larger, plan.kv16, device).has_value();
    if (!fits) continue;
    plan.arena = larger;
    memory.bookmarks_bytes = more_bytes;
    memory.max_bookmarks = n;
    return;
  }
}

/// The largest context whose whole need fits the budget; 0 when not even one page does.
std::uint32_t fitting_context(const model::ModelConfig& config, const EngineOptions& options,
                              const LoadPlan& load) {
  const MemoryPlan& memory = load.memory;
  const std::uint64_t fixed = memory.total_bytes() - memory.pages_bytes - memory.arena_bytes;
  std::uint32_t low = 0;
  std::uint32_t high = pages_for(options.context_tokens);
  while (low < high) {
    const std::uint32_t middle = (low + high + 1) / 2;
    const auto plan =
        plan_arena(config, options, load.tuning, load.tier, middle * params::kPageTokens);
    const std::uint64_t need =
        fixed + plan.arena_bytes(config, load.act16) + plan.page_bytes(config, load.kv16);
    if (need <= memory.budget_bytes)
      low = middle;
    else
      high = middle - 1;
  }
  return low * params::kPageTokens;
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

/// Refuses a tier that the device or this build cannot run.
Result<void> check_tier(vk::Tier tier, const vk::DeviceDescription& device,
                        const forward::Tuning& tuning) {
  if (tier == vk::Tier::kDot && !forward::can_run_dot(device))
    return fail(ErrorCode::kUnsupported,
                fmt::format("{} has no dot products of packed bytes, or too small workgroups for "
                            "the kernels of tier dot",
                            device.name));
  if (tier != vk::Tier::kCoopmat || forward::coopmat_tile(device, tuning)) return {};
  if (!forward::has_coopmat_kernels())
    return fail(ErrorCode::kUnsupported,
                "this build has no kernels of tier coopmat: its glslang was older than 13");
  return fail(ErrorCode::kUnsupported,
              fmt::format("{} has no cooperative matrices of float16 with float32 sums that the "
                          "kernels of tier coopmat can use",
                          device.name));
}

}  // namespace

Result<void> check_options(const EngineOptions& options) {
  if (options.max_sequences == 0 || options.max_sequences > 256)
    return fail(ErrorCode::kInvalidInput,
                fmt::format("max_sequences is {}, expected 1 to 256", options.max_sequences));
  if (options.max_bookmarks > 256)
    return fail(ErrorCode::kInvalidInput,
                fmt::format("max_bookmarks is {}, expected 0 to 256", options.max_bookmarks));
  return {};
}

Result<std::optional<model::DrafterFile>> open_drafter(const EngineOptions& options,
                                                       const model::ModelConfig& target) {
  if (options.drafter.empty()) return std::nullopt;
  PREFLIGHT_TRY(model::DrafterFile drafter, model::DrafterFile::open(options.drafter));
  PREFLIGHT_TRY_VOID(model::check_drafter_fits(drafter.config(), target, drafter.name()));
  PREFLIGHT_TRY_VOID(check_drafter_sizes(drafter.config(), drafter.name()));
  return drafter;
}

Result<LoadPlan> plan_load(const model::ModelFile& file, const model::DrafterFile* drafter,
                           const vk::DeviceDescription& device, const EngineOptions& options) {
  const model::ModelConfig& config = file.config();
  LoadPlan plan;
  plan.tuning = forward::tuning_for(
      device,
      options.tuned ? *options.tuned : forward::read_tuned(options.device.cache_dir, device));
  plan.tier = options.tier.value_or(plan.tuning.tier);
  PREFLIGHT_TRY_VOID(check_tier(plan.tier, device, plan.tuning));
  plan.act16 = forward::has_f16_inputs(plan.tier, device);
  plan.kv16 = options.kv == KvFormat::kF16;

  const std::uint32_t context =
      pages_for(std::clamp(options.context_tokens, params::kPageTokens, config.context_length)) *
      params::kPageTokens;
  plan.arena = plan_arena(config, options, plan.tuning, plan.tier, context);
  PREFLIGHT_TRY_VOID(check_model(config, plan.arena));
  PREFLIGHT_TRY_VOID(check_page_ranges(plan.arena, plan.kv16, device));

  MemoryPlan& memory = plan.memory;
  PREFLIGHT_TRY(memory.weights_bytes,
                forward::weights_bytes(file, device, plan.tuning.weight_lanes));
  memory.pages_bytes = plan.arena.page_bytes(config, plan.kv16);
  memory.arena_bytes = plan.arena.arena_bytes(config, plan.act16) +
                       forward::Embedders::scratch_bytes(config, plan.act16);
  memory.staging_bytes = device.unified_memory ? 0 : kStagingBytes + vk::Uploader::kReadbackBytes;
  if (drafter != nullptr) {
    PREFLIGHT_TRY(memory.drafter_bytes,
                  forward::drafter_weights_bytes(*drafter, device, plan.tuning.weight_lanes));
    memory.drafter_bytes += forward::DraftArena::bytes(drafter->config(), plan.arena, plan.act16);
  }
  memory.budget_bytes = device.budget_bytes;
  plan_bookmarks(plan, config, device, options.max_bookmarks);
  return plan;
}

Result<void> check_budget(const LoadPlan& plan, const model::ModelConfig& config,
                          const vk::DeviceDescription& device, const EngineOptions& options) {
  const MemoryPlan& memory = plan.memory;
  if (memory.total_bytes() <= memory.budget_bytes) return {};
  const std::uint32_t fits = fitting_context(config, options, plan);
  return fail(
      ErrorCode::kOutOfMemory,
      fmt::format("the model needs {} MiB (weights {}, KV cache of {} tokens {}, scratch "
                  "{}{}), {} MiB are free on {}; {}",
                  memory.total_bytes() / kMiB, memory.weights_bytes / kMiB,
                  plan.arena.context_tokens, memory.pages_bytes / kMiB, memory.arena_bytes / kMiB,
                  memory.drafter_bytes == 0
                      ? std::string()
                      : fmt::format(", drafter {}", memory.drafter_bytes / kMiB),
                  memory.budget_bytes / kMiB, device.name,
                  fits == 0 ? std::string("no context length fits")
                            : fmt::format("a context of {} tokens would fit", fits)));
}

Result<PlanReport> plan(const EngineOptions& options) {
  PREFLIGHT_TRY_VOID(check_options(options));
  PREFLIGHT_TRY(const model::ModelFile file, model::ModelFile::open(options.model, options.mmproj));
  PREFLIGHT_TRY(const auto drafter, open_drafter(options, file.config()));
  PREFLIGHT_TRY(const vk::Device device, vk::Device::create(options.device));
  const vk::DeviceDescription& description = device.description();
  PREFLIGHT_TRY(const LoadPlan load,
                plan_load(file, drafter ? &*drafter : nullptr, description, options));
  PlanReport report{.device = description.name,
                    .tier = load.tier,
                    .context_tokens = load.arena.context_tokens,
                    .max_sequences = load.arena.max_sequences,
                    .memory = load.memory,
                    .refusal = {}};
  if (const auto fits = check_budget(load, file.config(), description, options); !fits)
    report.refusal = fits.error().message;
  return report;
}

}  // namespace preflight::engine
