// Products with a lane to a weight row: what matmul.comp and gate_up.comp share.
// Needs weight.glsl, COLUMNS, the plane x and the constant kLanes.

const uint kBlockQuads = kWeightBlock / 4;

// All lanes of a workgroup multiply the same activations. A CPU device pays for a load of one address
// by all lanes what it pays for many multiply-adds: there 8 lanes of a subgroup load four of the block's
// values each, and they go from lane to lane. The newer llvmpipe passes them fast by broadcasts from a
// constant lane and slowly by shuffles, the older the other way round. A card loads scalars well.
#ifdef PASS_BY_SHUFFLE
#extension GL_KHR_shader_subgroup_shuffle : require
#define PASSED(value, lane) subgroupShuffle(value, lane)
const bool kPassActivations = true;
#else
#extension GL_KHR_shader_subgroup_ballot : require
#define PASSED(value, lane) subgroupBroadcast(value, lane)
layout(constant_id = kMatmulSpecPassActivations) const uint kPass = 0;
const bool kPassActivations = kPass == 1;
#endif

// The sum over the weights of one scale, continued from `sum` or, where `first`, begun.
float add_products(const bool first, const float sum, const vec4 w, const vec4 v) {
  precise float s = first ? w.x * v.x : fma(w.x, v.x, sum);
  s = fma(w.y, v.y, s);
  s = fma(w.z, v.z, s);
  s = fma(w.w, v.w, s);
  return s;
}

// A block's activations of every column. Passed from lane to lane, a load by 16 lanes holds two columns.
void load_activations(const uint block, const uint lane, const uint x_at[COLUMNS],
                      out vec4 values[kBlockQuads][COLUMNS]) {
  const uint together = max(kLanes / kBlockQuads, 1);
  vec4 own;
  [[unroll]] for (uint c = 0; c < COLUMNS; c++) {
    if (kPassActivations) {
      const uint next = min(c + 1, COLUMNS - 1);
      if (c % together == 0)
        own = activation_values(ACTIVATION_AT(
            x, (lane < kBlockQuads ? x_at[c] : x_at[next]) + block * kBlockQuads + lane % kBlockQuads));
      [[unroll]] for (uint q = 0; q < kBlockQuads; q++)
        values[q][c] = PASSED(own, c % together * kBlockQuads + q);
    } else {
      [[unroll]] for (uint q = 0; q < kBlockQuads; q++)
        values[q][c] = activation_values(ACTIVATION_AT(x, x_at[c] + block * kBlockQuads + q));
    }
  }
}

// Adds a block's products to a row's sums. A kernel takes its rows one after another, so that a CPU
// device loads the weights of one while it multiplies those of another.
void add_block(const WeightBlock weight, const vec4 values[kBlockQuads][COLUMNS],
               inout precise float sum[COLUMNS]) {
#ifdef WEIGHT_HAS_CODES
  float part[COLUMNS];
#endif
  [[unroll]] for (uint q = 0; q < kBlockQuads; q++) {
#ifdef WEIGHT_HAS_CODES
    const vec4 w = weight_codes(weight, q);
    [[unroll]] for (uint c = 0; c < COLUMNS; c++) {
      part[c] = add_products(q % kScaleQuads == 0, part[c], w, values[q][c]);
      if (q % kScaleQuads == kScaleQuads - 1) sum[c] = fma(weight.scale[q / 4], part[c], sum[c]);
    }
#else
    const vec4 w = weight_values(weight, q);
    [[unroll]] for (uint c = 0; c < COLUMNS; c++) sum[c] = add_products(false, sum[c], w, values[q][c]);
#endif
  }
}
