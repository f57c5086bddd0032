// The key and value planes of a layer's pages, bound. The kernel says before it includes this file:
//   KV_KEYS, KV_VALUES   the bindings of the two planes
//   KV_BINDINGS          how many bindings it has in all
//   KV_STORES            it writes planes; else it reads them
//
// A plane larger than one binding can see is bound in windows of kKvWindowQuads groups of 4 values
// (-D KV_WINDOWS): the first where the whole plane would be, the others behind all other bindings.
#include "include/kv_page.glsl"

#ifdef KV_STORES
#define KV_PLANE(at, Block, name) layout(set = 0, binding = at) writeonly buffer Block { KV_QUAD name[]; }
#else
#include "include/plane.glsl"
#define KV_PLANE(at, Block, name) PLANE(at, Block, KV_QUAD, name)
#ifdef KV16
#define KV_AT(name, i) AT_UVEC2(name, i)
#else
#define KV_AT(name, i) AT_VEC4(name, i)
#endif
#endif

KV_PLANE(KV_KEYS, Keys, keys);
KV_PLANE(KV_VALUES, Values, values);

#ifndef KV_WINDOWS

#ifdef KV_STORES
void store_key(const uint i, const KV_QUAD quad) { keys[i] = quad; }
void store_value(const uint i, const KV_QUAD quad) { values[i] = quad; }
#else
KV_QUAD load_key(const uint i) { return KV_AT(keys, i); }
KV_QUAD load_value(const uint i) { return KV_AT(values, i); }
#endif

#else

layout(constant_id = kKvSpecWindowQuads) const uint kKvWindowQuads = 1;  // a power of two
KV_PLANE(KV_BINDINGS + 0, Keys1, keys1);
KV_PLANE(KV_BINDINGS + 1, Keys2, keys2);
KV_PLANE(KV_BINDINGS + 2, Keys3, keys3);
KV_PLANE(KV_BINDINGS + 3, Values1, values1);
KV_PLANE(KV_BINDINGS + 4, Values2, values2);
KV_PLANE(KV_BINDINGS + 5, Values3, values3);

#ifdef KV_STORES
void store_key(const uint i, const KV_QUAD quad) {
  const uint window = i / kKvWindowQuads;
  const uint at = i % kKvWindowQuads;
  if (window == 0) keys[at] = quad;
  else if (window == 1) keys1[at] = quad;
  else if (window == 2) keys2[at] = quad;
  else keys3[at] = quad;
}
void store_value(const uint i, const KV_QUAD quad) {
  const uint window = i / kKvWindowQuads;
  const uint at = i % kKvWindowQuads;
  if (window == 0) values[at] = quad;
  else if (window == 1) values1[at] = quad;
  else if (window == 2) values2[at] = quad;
  else values3[at] = quad;
}
#else
KV_QUAD load_key(const uint i) {
  const uint window = i / kKvWindowQuads;
  const uint at = i % kKvWindowQuads;
  if (window == 0) return KV_AT(keys, at);
  if (window == 1) return KV_AT(keys1, at);
  if (window == 2) return KV_AT(keys2, at);
  return KV_AT(keys3, at);
}
KV_QUAD load_value(const uint i) {
  const uint window = i / kKvWindowQuads;
  const uint at = i % kKvWindowQuads;
  if (window == 0) return KV_AT(values, at);
  if (window == 1) return KV_AT(values1, at);
  if (window == 2) return KV_AT(values2, at);
  return KV_AT(values3, at);
}
#endif

#endif
