// The sum over all invocations of the workgroup, in an order fixed by the workgroup's size alone.
// Needs kWorkgroup. Ends with a barrier, so it may be called again at once.
shared float workgroup_parts[kWorkgroup];

float workgroup_sum(const float part) {
  workgroup_parts[gl_LocalInvocationID.x] = part;
  barrier();
  precise float sum = 0.0;
  for (uint i = 0; i < kWorkgroup; i++) sum += workgroup_parts[i];
  barrier();
  return sum;
}
