// The inner step of a product, the same in every kernel that promises equal sums: over the 32 weights
// of a block in order. Needs weight.glsl.
#extension GL_KHR_shader_subgroup_ballot : require

const uint kBlockQuads = kWeightBlock / 4;

// All lanes of a workgroup multiply the same activations. A CPU device pays for a load of one address
// by all lanes what it pays for many multiply-adds: there each of the 8 lanes of a subgroup loads
// four of the block's values, and they go from lane to lane. A card loads scalars well.
layout(constant_id = kMatmulSpecPassActivations) const uint kPass = 0;
const bool kPassActivations = kPass == 1;

// The sum over the weights of one scale, continued from `sum` or, where `first`, begun.
float add_products(const bool first, const float sum, const vec4 w, const vec4 v) {
  precise float s = first ? w.x * v.x : fma(w.x, v.x, sum);
  s = fma(w.y, v.y, s);
  s = fma(w.z, v.z, s);
  s = fma(w.w, v.w, s);
  return s;
}
