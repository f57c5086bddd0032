// The planes of a layer's KV pages: float32, or float16 pairs in 32-bit words (-D KV16).
//   [page, kv_head, kPageTokens, dim]
#ifdef KV16
#define KV_QUAD uvec2
vec4 kv_values(const uvec2 a) { return vec4(unpackHalf2x16(a.x), unpackHalf2x16(a.y)); }
uvec2 to_kv(const vec4 v) { return uvec2(packHalf2x16(v.xy), packHalf2x16(v.zw)); }
#else
#define KV_QUAD vec4
vec4 kv_values(const vec4 a) { return a; }
vec4 to_kv(const vec4 v) { return v; }
#endif

// Index of a position's first group of 4 values in a plane of `dim` values.
uint kv_row(const uint page, const uint n_kv_heads, const uint kv_head, const uint slot, const uint dim) {
  return ((page * n_kv_heads + kv_head) * kPageTokens + slot) * (dim / 4);
}
