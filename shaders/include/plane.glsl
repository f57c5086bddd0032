// A plane: an array that a kernel only reads, of 1, 2 or 4 words an element. What it is follows the
// device (PlaneLoads, engine/forward/tuning.h):
//   nothing       a storage buffer
//   -D TEXELS     a uniform texel buffer, which has the same bytes: the older llvmpipe loads an element
//                 of a storage buffer lane by lane, and a texel with one 16-byte load and a share of a
//                 transposition
//   -D ADDRESSES  a buffer reference: what llvmpipe loads from an address that all lanes share is one
//                 plain load, and the words of its lanes, side by side, are one load of a vector
//   PLANE(binding, Block, type, name);   declares it; Block is a name used nowhere else
//   AT_UINT .. AT_VEC4(name, index)      an element; not with ADDRESSES or WORDS
//   SHARED_BLOCK(name, index)            with ADDRESSES: 32 floats that all lanes share
//   OWN_UINT .. OWN_UVEC4(name, at)      the element of lane `lane` in the row of kLanes elements that
//                                        OWN_AT(row), or so many times NEXT_ROW behind it, names
// Rows lie element by element or, with -D WORDS, which ADDRESSES implies, word by word: the first words
// of all lanes, then their second ones. Needs kLanes; with ADDRESSES 8 or 16, the subgroup's width.
#ifdef ADDRESSES
#ifdef ACT16
#error float16 activations are not read by address
#endif
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_KHR_shader_subgroup_basic : require

// In the push constants, behind the parameters; the planes are the first bindings.
#define PLANE_ADDRESSES(n) uvec2 plane_addresses[n];
#define PLANE(at, Block, type, name) \
  uvec2 name() { return plane_addresses[at]; }

// A word of each lane; structures, so that what is read of a row lies at constant distances.
struct Words8 { uvec4 w[2]; };
struct Words16 { uvec4 w[4]; };
struct Pair8 { Words8 w[2]; };
struct Pair16 { Words16 w[2]; };
struct Quad8 { Words8 w[4]; };
struct Quad16 { Words16 w[4]; };
#define ROWS_OF(Type) \
  layout(buffer_reference, std430, buffer_reference_align = 16) restrict readonly buffer Type##Rows { Type at[]; };
// Values that all lanes share.
struct SharedBlock { vec4 quads[8]; };
ROWS_OF(SharedBlock)
#define SHARED_BLOCK(name, i) SharedBlockRows(name()).at[i]

ROWS_OF(Words8)
ROWS_OF(Words16)
ROWS_OF(Pair8)
ROWS_OF(Pair16)
ROWS_OF(Quad8)
ROWS_OF(Quad16)

// The number of a lane in its subgroup is a constant vector to llvmpipe, and a choice by it of words
// that lie side by side is their load as a vector.
uint own_word(const Words8 row) {
  uint word = row.w[0].x;
  [[unroll]] for (uint i = 1; i < 8; i++) word = gl_SubgroupInvocationID == i ? row.w[i / 4][i % 4] : word;
  return word;
}
uint own_word(const Words16 row) {
  uint word = row.w[0].x;
  [[unroll]] for (uint i = 1; i < 16; i++) word = gl_SubgroupInvocationID == i ? row.w[i / 4][i % 4] : word;
  return word;
}
uint own_uint(const uvec2 plane, const uint row) {
  return kLanes == 8 ? own_word(Words8Rows(plane).at[row]) : own_word(Words16Rows(plane).at[row]);
}
uvec2 own_uvec2(const uvec2 plane, const uint row) {
  if (kLanes == 8) {
    const Pair8 words = Pair8Rows(plane).at[row];
    return uvec2(own_word(words.w[0]), own_word(words.w[1]));
  }
  const Pair16 words = Pair16Rows(plane).at[row];
  return uvec2(own_word(words.w[0]), own_word(words.w[1]));
}
uvec4 own_uvec4(const uvec2 plane, const uint row) {
  if (kLanes == 8) {
    const Quad8 words = Quad8Rows(plane).at[row];
    return uvec4(own_word(words.w[0]), own_word(words.w[1]), own_word(words.w[2]), own_word(words.w[3]));
  }
  const Quad16 words = Quad16Rows(plane).at[row];
  return uvec4(own_word(words.w[0]), own_word(words.w[1]), own_word(words.w[2]), own_word(words.w[3]));
}
#define OWN_AT(row) (row)
#define NEXT_ROW 1
#define OWN_UINT(name, at) own_uint(name(), at)
#define OWN_UVEC2(name, at) own_uvec2(name(), at)
#define OWN_UVEC4(name, at) own_uvec4(name(), at)
#else
#define PLANE_ADDRESSES(n)
#ifdef TEXELS
#define PLANE(at, Block, type, name) layout(set = 0, binding = at) uniform utextureBuffer name
#define AT_UINT(name, i) texelFetch(name, int(i)).x
#define AT_UVEC2(name, i) texelFetch(name, int(i)).xy
#define AT_UVEC4(name, i) texelFetch(name, int(i))
#define AT_VEC4(name, i) uintBitsToFloat(texelFetch(name, int(i)))
#else
#ifdef WORDS
#define PLANE(at, Block, type, name) layout(set = 0, binding = at) readonly buffer Block { uint name[]; }
#else
#define PLANE(at, Block, type, name) layout(set = 0, binding = at) readonly buffer Block { type name[]; }
#endif
#define AT_UINT(name, i) name[i]
#define AT_UVEC2(name, i) name[i]
#define AT_UVEC4(name, i) name[i]
#define AT_VEC4(name, i) name[i]
#endif
#ifdef WORDS
#define OWN_AT(row) (row)
#define NEXT_ROW 1
#define OWN_UINT(name, at) name[(at) * kLanes + lane]
#define OWN_UVEC2(name, at) uvec2(OWN_UINT(name, 2 * (at)), OWN_UINT(name, 2 * (at) + 1))
#define OWN_UVEC4(name, at) uvec4(OWN_UVEC2(name, 2 * (at)), OWN_UVEC2(name, 2 * (at) + 1))
#else
#define OWN_AT(row) ((row) * kLanes + lane)
#define NEXT_ROW kLanes
#define OWN_UINT(name, at) AT_UINT(name, at)
#define OWN_UVEC2(name, at) AT_UVEC2(name, at)
#define OWN_UVEC4(name, at) AT_UVEC4(name, at)
#endif
#endif
