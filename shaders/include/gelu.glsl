// The tanh form (docs/model.md, primitives). The clamp keeps a driver's tanh from inf / inf.
float gelu(const float v) {
  const float inner = 0.7978845608028654 * (v + 0.044715 * v * v * v);
  return 0.5 * v * (1.0 + tanh(clamp(inner, -20.0, 20.0)));
}
