// Products with a lane to a weight row: what matmul.comp and gate_up.comp share.
// Needs weight.glsl, COLUMNS, the plane x and the constants kLanes and kLaneRows, the rows of weights
// that a lane has. All lanes of a workgroup multiply the same activations.
const uint kBlockQuads = kWeightBlock / 4;

#ifdef ADDRESSES
// Activations are loaded where they are used: a plain load each, cheaper than a place to keep them.
struct Activations { uint at[COLUMNS]; };  // of a block, for each column: where they lie
vec4 activation_quad(const Activations a, const uint q, const uint c) { return SHARED_BLOCK(x, a.at[c]).quads[q]; }

Activations load_activations(const uint block, const uint lane, const uint x_at[COLUMNS]) {
  Activations a;
  [[unroll]] for (uint c = 0; c < COLUMNS; c++) a.at[c] = x_at[c] / kBlockQuads + block;
  return a;
}

// llvmpipe goes through a loop once more when no lane takes part any longer, and reads through
// addresses even then.
uint block_at(const uint block, const uint n_blocks) { return min(block, n_blocks - 1); }

// Rows of a lane, a divisor of kLaneRows, that go through a block side by side: with one column their
// sums are all there is to do while one of them waits for its last addition.
const uint kTogether = COLUMNS <= 2 ? 4 : 2;
#else
// A CPU device pays for a load of one address by all lanes what it pays for many multiply-adds: there 8
// lanes of a subgroup load four of the block's values each, and they go from lane to lane. llvmpipe from
// 24 on passes them fast by broadcasts from a constant lane and slowly by shuffles, the older the other
// way round. A card loads scalars well.
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
struct Activations { vec4 values[kBlockQuads][COLUMNS]; };
vec4 activation_quad(const Activations a, const uint q, const uint c) { return a.values[q][c]; }

// A block's activations of every column. Passed from lane to lane, a load by 16 lanes holds two columns.
Activations load_activations(const uint block, const uint lane, const uint x_at[COLUMNS]) {
  const uint together = max(kLanes / kBlockQuads, 1);
  Activations a;
  vec4 own;
  [[unroll]] for (uint c = 0; c < COLUMNS; c++) {
    if (kPassActivations) {
      const uint next = min(c + 1, COLUMNS - 1);
      if (c % together == 0)
        own = activation_values(ACTIVATION_AT(
            x, (lane < kBlockQuads ? x_at[c] : x_at[next]) + block * kBlockQuads + lane % kBlockQuads));
      [[unroll]] for (uint q = 0; q < kBlockQuads; q++)
        a.values[q][c] = PASSED(own, c % together * kBlockQuads + q);
    } else {
      [[unroll]] for (uint q = 0; q < kBlockQuads; q++)
        a.values[q][c] = activation_values(ACTIVATION_AT(x, x_at[c] + block * kBlockQuads + q));
    }
  }
  return a;
}

uint block_at(const uint block, const uint n_blocks) { return block; }

// One row after another: a CPU device loads the weights of one while it multiplies those of another.
const uint kTogether = 1;
#endif

// Adds a block's products to the sums of rows first, first + 1, .. of the lane, each in K order.
void add_block(const WeightBlock weights[kTogether], const Activations activations, const uint first,
               inout precise float sum[kLaneRows][COLUMNS]) {
#ifdef WEIGHT_HAS_CODES
  precise float part[kTogether][COLUMNS];  // over the weights of one scale
#endif
  [[unroll]] for (uint q = 0; q < kBlockQuads; q++) {
    vec4 w[kTogether];
    [[unroll]] for (uint r = 0; r < kTogether; r++) {
#ifdef WEIGHT_HAS_CODES
      w[r] = weight_codes(weights[r], q);
#else
      w[r] = weight_values(weights[r], q);
#endif
    }
    [[unroll]] for (uint c = 0; c < COLUMNS; c++) {
      const vec4 v = activation_quad(activations, q, c);
      [[unroll]] for (uint i = 0; i < 4; i++)
        [[unroll]] for (uint r = 0; r < kTogether; r++) {
#ifdef WEIGHT_HAS_CODES
          const bool begins = q % kScaleQuads == 0 && i == 0;
          part[r][c] = begins ? w[r][i] * v[i] : fma(w[r][i], v[i], part[r][c]);
#else
          sum[first + r][c] = fma(w[r][i], v[i], sum[first + r][c]);
#endif
        }
#ifdef WEIGHT_HAS_CODES
      if (q % kScaleQuads == kScaleQuads - 1)
        [[unroll]] for (uint r = 0; r < kTogether; r++)
          sum[first + r][c] = fma(weights[r].scale[q / 4], part[r][c], sum[first + r][c]);
#endif
    }
  }
}
