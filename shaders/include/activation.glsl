// Activations as inputs of a product: float32, or float16 pairs in 32-bit words (-D ACT16), so that
// no device needs 16-bit storage. Four values an element; accumulation is float32 in every tier.
#ifdef ACT16
#define ACTIVATION uvec2
vec4 activation_values(const uvec2 a) { return vec4(unpackHalf2x16(a.x), unpackHalf2x16(a.y)); }
uvec2 to_activation(const vec4 v) { return uvec2(packHalf2x16(v.xy), packHalf2x16(v.zw)); }
#else
#define ACTIVATION vec4
vec4 activation_values(const vec4 a) { return a; }
vec4 to_activation(const vec4 v) { return v; }
#endif
