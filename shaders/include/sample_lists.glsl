// Numbers and masses of two words, and where they stand in the lists of sampling. Needs the push
// constants p and the buffer lists.

#include "include/sample_list_at.glsl"

/// A number or a mass of two words as one value.
float sample_value(const uvec2 words) {
  const uint high = words.x + (words.y >> kSampleLimbBits);
  const uint low = words.y & ((1u << kSampleLimbBits) - 1);
  precise const float value = float(high) * float(1u << kSampleLimbBits) + float(low);
  return value;
}

uvec2 sample_list_pair(const uint row, const uint word) {
  return uvec2(lists[sample_list_at(row, word)], lists[sample_list_at(row, word + 1)]);
}
