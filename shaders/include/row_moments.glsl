// Mean of a row of x and 1 / sqrt(population variance + epsilon), as LayerNorm needs them.
// Needs kWorkgroup, workgroup_sum() and the array x of vec4; `n` groups of 4 from `x_row` on.
vec2 row_moments(const uint x_row, const uint n, const uint row_size, const float epsilon) {
  const uint lane = gl_LocalInvocationID.x;
  precise float part = 0.0;
  for (uint i = lane; i < n; i += kWorkgroup) part += dot(x[x_row + i], vec4(1.0));
  const float rough_mean = workgroup_sum(part) / float(row_size);

  // The rounding of a long sum matters where a row is nearly constant: LayerNorm magnifies what is
  // left. The mean is corrected by the mean of the differences, which are small and sum exactly.
  precise float rest = 0.0;
  for (uint i = lane; i < n; i += kWorkgroup) rest += dot(x[x_row + i] - rough_mean, vec4(1.0));
  precise const float mean = rough_mean + workgroup_sum(rest) / float(row_size);

  precise float squares = 0.0;
  for (uint i = lane; i < n; i += kWorkgroup) {
    const vec4 d = x[x_row + i] - mean;
    squares += dot(d, d);
  }
  return vec2(mean, 1.0 / sqrt(workgroup_sum(squares) / float(row_size) + epsilon));
}
