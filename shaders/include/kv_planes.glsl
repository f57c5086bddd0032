// The key and value planes of a layer's pages, bound. The kernel says before it includes this file:
//   KV_KEYS, KV_VALUES   the bindings of the two planes
//   KV_BINDINGS          how many bindings it has in all
//   KV_STORES            it writes planes; else it reads them
//
// A plane larger than one binding can see is bound in windows of kKvWindowQuads groups of 4 values
// (-D KV_WINDOWS): the first where the whole plane would be, the others behind all other bindings.
#include "include/kv_page.glsl"

#ifdef KV_STORES
#define KV_ACCESS writeonly
#else
#define KV_ACCESS readonly
#endif

layout(set = 0, binding = KV_KEYS) KV_ACCESS buffer Keys { KV_QUAD keys[]; };
layout(set = 0, binding = KV_VALUES) KV_ACCESS buffer Values { KV_QUAD values[]; };

#ifndef KV_WINDOWS

#ifdef KV_STORES
void store_key(const uint i, const KV_QUAD quad) { keys[i] = quad; }
void store_value(const uint i, const KV_QUAD quad) { values[i] = quad; }
#else
KV_QUAD load_key(const uint i) { return keys[i]; }
KV_QUAD load_value(const uint i) { return values[i]; }
#endif

#else

layout(constant_id = kKvSpecWindowQuads) const uint kKvWindowQuads = 1;  // a power of two
layout(set = 0, binding = KV_BINDINGS + 0) KV_ACCESS buffer Keys1 { KV_QUAD keys1[]; };
layout(set = 0, binding = KV_BINDINGS + 1) KV_ACCESS buffer Keys2 { KV_QUAD keys2[]; };
layout(set = 0, binding = KV_BINDINGS + 2) KV_ACCESS buffer Keys3 { KV_QUAD keys3[]; };
layout(set = 0, binding = KV_BINDINGS + 3) KV_ACCESS buffer Values1 { KV_QUAD values1[]; };
layout(set = 0, binding = KV_BINDINGS + 4) KV_ACCESS buffer Values2 { KV_QUAD values2[]; };
layout(set = 0, binding = KV_BINDINGS + 5) KV_ACCESS buffer Values3 { KV_QUAD values3[]; };

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
  if (window == 0) return keys[at];
  if (window == 1) return keys1[at];
  if (window == 2) return keys2[at];
  return keys3[at];
}
KV_QUAD load_value(const uint i) {
  const uint window = i / kKvWindowQuads;
  const uint at = i % kKvWindowQuads;
  if (window == 0) return values[at];
  if (window == 1) return values1[at];
  if (window == 2) return values2[at];
  return values3[at];
}
#endif

#endif
