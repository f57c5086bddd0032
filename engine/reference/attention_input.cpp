#include "engine/reference/attention_input.h"

#include <vector>

#include "engine/reference/moments.h"

namespace preflight::reference {
namespace {

using Head = std::vector<double>;

/// head / rms(head), times the weight if there is one.
Head norm(std::span<const float> head, std::span<const float> weight, double epsilon) {
  const double scale = inverse_rms(head, epsilon);
  Head out(head.size());
  for (std::size_t d = 0; d < head.size(); d++)
    out[d] = head[d] * scale * (weight.empty() ? 1.0 : double{weight[d]});
  return out;
}

/// Dimension i pairs with i + head_dim / 2 (docs/model.md, RoPE); pairs past rope's pass through.
Head rotate(const Head& head, std::span<const float> rope) {
  const std::size_t half = head.size() / 2;
  Head out = head;
  for (std::size_t i = 0; i < rope.size() / 2; i++) {
    const double cosine = rope[2 * i];
    const double sine = rope[2 * i + 1];
    out[i] = head[i] * cosine - head[i + half] * sine;
    out[i + half] = head[i + half] * cosine + head[i] * sine;
  }
  return out;
}

/// What the key plane keeps of a rotated head: everything, or where folded the first halves of the
/// rotated pairs, then the second halves, then zeros.
void write_plane(const Head& rotated, const AttentionShape& shape, std::span<float> out) {
  if (!shape.folded) {
    for (std::size_t d = 0; d < rotated.size(); d++) out[d] = static_cast<float>(rotated[d]);
    return;
  }
  const std::size_t half = shape.head_dim / 2;
  const std::size_t n = shape.n_rotated;
  for (std::size_t e = 0; e < shape.key_dim; e++) {
    double value = 0;
    if (e < n)
      value = rotated[e];
    else if (e < 2 * n)
      value = rotated[half + e - n];
    out[e] = static_cast<float>(value);
  }
}

}  // namespace

void attention_input(std::span<const float> qkv, std::span<const float> q_norm,
                     std::span<const float> k_norm, std::span<const params::RowInfo> infos,
                     std::span<const float> rope, std::span<const std::uint32_t> page_tables,
                     std::span<float> keys, std::span<float> values, std::span<float> q,
                     const AttentionShape& shape, const params::AttentionInputParams& p) {
  const std::size_t head_dim = shape.head_dim;
  const std::size_t half = head_dim / 2;
  for (std::size_t t = 0; t < infos.size(); t++) {
    const auto row = qkv.subspan(t * p.qkv_stride, p.qkv_stride);
    const auto turns = rope.subspan(t * shape.n_rotated * 2, std::size_t{2} * shape.n_rotated);

    for (std::size_t h = 0; h < p.n_heads; h++) {
      const auto out = q.subspan((t * p.n_heads + h) * shape.q_values(), shape.q_values());
      const Head query = norm(row.subspan(h * head_dim, head_dim), q_norm, p.epsilon);
      write_plane(rotate(query, turns), shape, out);
      if (!shape.folded) continue;
      for (std::size_t d = 0; d < head_dim; d++)
        out[shape.key_dim + d] =
            d % half < shape.n_rotated ? 0.0f : static_cast<float>(query[d] * k_norm[d]);
    }

    const params::RowInfo& info = infos[t];
    const std::size_t table = p.full == 1 ? info.full_pages : info.sliding_pages;
    const std::size_t page = page_tables[table + info.position / params::kPageTokens];
    const std::size_t slot = info.position % params::kPageTokens;
    for (std::size_t h = 0; h < p.n_kv_heads; h++) {
      const Head key = norm(row.subspan(p.k_offset + h * head_dim, head_dim), k_norm, p.epsilon);
      write_plane(rotate(key, turns), shape,
                  keys.subspan(kv_row(page, p.n_kv_heads, h, slot, shape.key_dim), shape.key_dim));

      const Head value = norm(row.subspan(p.v_offset + h * head_dim, head_dim), {}, p.epsilon);
      const auto out = values.subspan(kv_row(page, p.n_kv_heads, h, slot, head_dim), head_dim);
      for (std::size_t d = 0; d < head_dim; d++) out[d] = static_cast<float>(value[d]);
    }
  }
}

}  // namespace preflight::reference
