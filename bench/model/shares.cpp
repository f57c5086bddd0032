#include "bench/model/shares.h"

#include <algorithm>

#include <fmt/format.h>

namespace preflight::bench {
namespace {

/// Of the matrices of all layers, for each token of a prompt. The head sees the last one alone.
double operations_per_token(const model::ModelConfig& config) {
  double n_weights = 0;
  for (const model::LayerKind kind : config.layer_kinds) {
    const model::AttentionShape& shape = config.attention(kind);
    const bool has_values = !config.full_value_is_key || kind == model::LayerKind::kSliding;
    const double heads = 2.0 * config.n_heads + (has_values ? 2.0 : 1.0) * shape.n_kv_heads;
    n_weights += config.model_dim * (heads * shape.head_dim + 3.0 * config.ffn_dim);
  }
  return 2 * n_weights;
}

Figure scaled(std::string test, std::string unit, const Figure& figure, double factor) {
  return {std::move(test), std::move(unit), figure.median * factor, figure.least * factor,
          figure.most * factor};
}

}  // namespace

std::vector<Figure> shares(const Subject& subject, const std::vector<Figure>& figures) {
  std::vector<Figure> results;
  const auto file_bytes = static_cast<double>(subject.file_bytes);
  const auto add = [&](const Figure& rate, const char* limit, const char* name, double per_token) {
    if (const Figure* most = find(figures, limit))
      results.push_back(scaled(fmt::format("{}_of_{}", rate.test, name), "share", rate,
                               per_token / (most->most * 1e9)));
  };
  for (const Figure& figure : figures) {
    if (figure.test == "decode_depth_0") {
      add(figure, "processor_read", "read", file_bytes);
      add(figure, "device_copy", "copy", file_bytes);
    }
    if (figure.test.starts_with("prefill_")) {
      const double operations = operations_per_token(subject.config);
      add(figure, "processor_fma_256", "fma", operations);
      add(figure, "device_coopmat", "coopmat", operations);
    }
  }
  const Figure* one = find(figures, "decode_rows_1");
  const Figure* eight = find(figures, "decode_rows_8");
  if (one != nullptr && eight != nullptr)
    results.push_back({.test = "rows_8_of_rows_1",
                       .unit = "times",
                       .median = 8 * one->median / eight->median,
                       .least = 8 * one->least / eight->most,
                       .most = 8 * one->most / eight->least});
  const Figure* load = find(figures, "load");
  const Figure* read = find(figures, "file_read");
  const Figure* copy = find(figures, "host_to_device");
  if (load != nullptr && read != nullptr && copy != nullptr) {
    const double share = file_bytes / load->median / (std::min(read->most, copy->most) * 1e9);
    results.push_back(Figure::of("load_of_slower", "share", {share}));
  }
  return results;
}

}  // namespace preflight::bench
