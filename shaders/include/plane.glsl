// A plane: an array that a kernel only reads, of 1, 2 or 4 words an element. It is a storage buffer
// or, with -D TEXELS, a uniform texel buffer, which has the same bytes: llvmpipe loads an element of a
// storage buffer lane by lane, and a texel with one 16-byte load and a share of a transposition.
//   PLANE(binding, Block, type, name);   declares it; Block is a name used nowhere else
//   AT_UINT .. AT_VEC4(name, index)      an element
#ifdef TEXELS
#define PLANE(at, Block, type, name) layout(set = 0, binding = at) uniform utextureBuffer name
#define AT_UINT(name, i) texelFetch(name, int(i)).x
#define AT_UVEC2(name, i) texelFetch(name, int(i)).xy
#define AT_UVEC4(name, i) texelFetch(name, int(i))
#define AT_VEC4(name, i) uintBitsToFloat(texelFetch(name, int(i)))
#else
#define PLANE(at, Block, type, name) layout(set = 0, binding = at) readonly buffer Block { type name[]; }
#define AT_UINT(name, i) name[i]
#define AT_UVEC2(name, i) name[i]
#define AT_UVEC4(name, i) name[i]
#define AT_VEC4(name, i) name[i]
#endif
