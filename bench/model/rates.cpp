#include "bench/model/rates.h"

#include <algorithm>

#include <fmt/format.h>

#include "bench/model/clock.h"
#include "engine/plain_prompt.h"

namespace preflight::bench {
namespace {

Result<std::vector<engine::Input>> prompt(const engine::Engine& engine, std::uint32_t n_tokens,
                                          std::uint32_t seed) {
  return engine::plain_prompt(*engine.vocabulary(), n_tokens, seed);
}

/// Steps of all rows, one token each; a stop token is a token like any other here.
Result<double> decode_seconds(engine::Engine& engine, std::vector<engine::GenerateRow>& rows,
                              std::uint32_t n_steps) {
  for (engine::GenerateRow& row : rows) row.max_tokens = 1;
  // The first step of a width records its commands and lets the driver compile.
  PREFLIGHT_TRY([[maybe_unused]] const auto warmed, engine.generate(rows));
  const auto start = Clock::now();
  for (std::uint32_t i = 0; i < n_steps; i++) {
    PREFLIGHT_TRY([[maybe_unused]] const auto step, engine.generate(rows));
  }
  return seconds_since(start);
}

/// What a step of generation takes on the host itself, between one submission's end and the next.
double host_us_per_step(const engine::Meter& before, const engine::Meter& after) {
  const double seconds = after.generate_seconds - before.generate_seconds;
  const double device_seconds = after.generate_device_seconds - before.generate_device_seconds;
  const auto n_steps = static_cast<double>(after.narrow_steps + after.wide_steps -
                                           before.narrow_steps - before.wide_steps);
  return (seconds - device_seconds) * 1e6 / n_steps;
}

}  // namespace

Result<std::vector<Figure>> measure_prefill(engine::Engine& engine, const ModelOptions& options) {
  std::vector<Figure> figures;
  for (const std::uint32_t n : options.prefill_tokens) {
    std::vector<double> samples;
    // One more than is kept: the first run records its commands and lets the driver compile.
    for (std::uint32_t i = 0; i < options.repeats + 1; i++) {
      PREFLIGHT_TRY(const engine::SequenceId sequence, engine.open());
      PREFLIGHT_TRY(const auto inputs, prompt(engine, n, i));
      const std::uint32_t last = n - 1;
      const auto start = Clock::now();
      PREFLIGHT_TRY_VOID(engine.logits(sequence, inputs, {&last, 1},
                                       [](std::uint32_t, std::span<const float>) {}));
      if (i > 0) samples.push_back(n / seconds_since(start));
      engine.close(sequence);
    }
    figures.push_back(Figure::of(fmt::format("prefill_{}", n), "tokens/s", std::move(samples)));
  }
  return figures;
}

Result<std::vector<Figure>> measure_depths(engine::Engine& engine, const ModelOptions& options) {
  std::vector<Figure> figures;
  for (const std::uint32_t depth : options.depth_tokens) {
    PREFLIGHT_TRY(const engine::SequenceId base, engine.open());
    PREFLIGHT_TRY(const auto inputs, prompt(engine, depth + 1, 1));
    PREFLIGHT_TRY_VOID(engine.prefill(base, inputs));
    std::vector<double> samples;
    std::vector<double> host_us;
    for (std::uint32_t i = 0; i < options.repeats; i++) {
      PREFLIGHT_TRY(const engine::SequenceId sequence, engine.fork(base));
      const engine::Meter before = engine.meter();
      std::vector<engine::GenerateRow> rows(1);
      rows[0].sequence = sequence;
      PREFLIGHT_TRY(const double seconds, decode_seconds(engine, rows, options.decode_tokens));
      samples.push_back(options.decode_tokens / seconds);
      host_us.push_back(host_us_per_step(before, engine.meter()));
      engine.close(sequence);
    }
    engine.close(base);
    figures.push_back(
        Figure::of(fmt::format("decode_depth_{}", depth), "tokens/s", std::move(samples)));
    figures.push_back(
        Figure::of(fmt::format("host_per_step_depth_{}", depth), "us", std::move(host_us)));
  }
  return figures;
}

Result<std::vector<Figure>> measure_rows(engine::Engine& engine, const ModelOptions& options) {
  std::vector<Figure> figures;
  for (const std::uint32_t n : options.decode_rows) {
    std::vector<double> samples;
    for (std::uint32_t i = 0; i < options.repeats; i++) {
      std::vector<engine::GenerateRow> rows(n);
      for (std::uint32_t r = 0; r < n; r++) {
        PREFLIGHT_TRY(rows[r].sequence, engine.open());
        PREFLIGHT_TRY(const auto inputs, prompt(engine, 1, r));
        PREFLIGHT_TRY_VOID(engine.prefill(rows[r].sequence, inputs));
      }
      PREFLIGHT_TRY(const double seconds, decode_seconds(engine, rows, options.decode_tokens));
      samples.push_back(n * options.decode_tokens / seconds);
      for (const engine::GenerateRow& row : rows) engine.close(row.sequence);
    }
    figures.push_back(Figure::of(fmt::format("decode_rows_{}", n), "tokens/s", std::move(samples)));
  }
  return figures;
}

Result<std::vector<Figure>> measure_verify(engine::Engine& engine, const ModelOptions& options) {
  std::vector<Figure> figures;
  if (options.verify_drafts.empty()) return figures;
  PREFLIGHT_TRY(const engine::SequenceId sequence, engine.open());
  PREFLIGHT_TRY(const auto inputs, prompt(engine, 1, 1));
  PREFLIGHT_TRY_VOID(engine.prefill(sequence, inputs));
  std::vector<std::int32_t> ids;
  PREFLIGHT_TRY(const engine::SequenceId writer, engine.fork(sequence));
  engine::GenerateRow row;
  row.sequence = writer;
  row.max_tokens = 1;
  row.draft = false;
  for (std::uint32_t i = 0; i <= std::ranges::max(options.verify_drafts); i++) {
    PREFLIGHT_TRY(const auto written, engine.generate({&row, 1}));
    ids.push_back(written.front().ids.front());
  }
  engine.close(writer);

  const auto step_ms = [&](std::uint32_t n_drafts) -> Result<Figure> {
    std::vector<double> samples;
    // One more than is kept, as in prefill.
    for (std::uint32_t i = 0; i < options.repeats + 1; i++) {
      const auto start = Clock::now();
      PREFLIGHT_TRY(const auto follow, engine.verify(sequence, std::span(ids).first(n_drafts)));
      if (i > 0) samples.push_back(1e3 * seconds_since(start));
      if (!std::ranges::equal(follow, std::span(ids).first(n_drafts + 1)))
        return fail(
            ErrorCode::kInternal,
            fmt::format("{} drafts in one step give other tokens than steps of one row", n_drafts));
    }
    return Figure::of(fmt::format("verify_{}", n_drafts), "ms", std::move(samples));
  };
  PREFLIGHT_TRY(const Figure one, step_ms(0));
  for (const std::uint32_t n : options.verify_drafts) {
    PREFLIGHT_TRY(const Figure step, step_ms(n));
    figures.push_back(step);
    figures.push_back({.test = fmt::format("verify_{}_of_one_row", n),
                       .unit = "times",
                       .median = step.median / one.median,
                       .least = step.least / one.median,
                       .most = step.most / one.median});
  }
  engine.close(sequence);
  return figures;
}

}  // namespace preflight::bench
