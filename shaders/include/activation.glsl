// Activations as inputs of a product: float32, or float16 pairs in 32-bit words (-D ACT16), so that
// no device needs 16-bit storage. Four values an element; accumulation is float32 in every tier.
#ifdef ACT16
#define ACTIVATION uvec2
#define ACTIVATION_AT(plane, i) AT_UVEC2(plane, i)
vec4 activation_values(const uvec2 a) { return vec4(unpackHalf2x16(a.x), unpackHalf2x16(a.y)); }
// A value past float16's range saturates: the gated product of an outlier channel gets there, and an
// infinity would spoil its whole row.
uint half_pair(const vec2 v) { return packHalf2x16(clamp(v, -65504.0, 65504.0)); }
uvec2 to_activation(const vec4 v) { return uvec2(half_pair(v.xy), half_pair(v.zw)); }
#else
#define ACTIVATION vec4
#define ACTIVATION_AT(plane, i) AT_VEC4(plane, i)
vec4 activation_values(const vec4 a) { return a; }
vec4 to_activation(const vec4 v) { return v; }
#endif
