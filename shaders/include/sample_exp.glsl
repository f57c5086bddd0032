// Of sums and products alone, which are correctly rounded everywhere: the same bits on every
// device.

/// The exponential function within 1e-7 of its value, from -87 to 88; cut off outside.
float sample_exp(const float value) {
  const float x = clamp(value, -87.0, 88.0);
  precise const float turns = floor(x * 1.44269504 + 0.5);
  precise float r = x - turns * 0.693359375;  // log(2) in two parts, of which the first is short
  r = r + turns * 2.12194440e-4;
  precise float sum = 0.00139262679;
  sum = sum * r + 0.00836324692;
  sum = sum * r + 0.0416665524;
  sum = sum * r + 0.166665763;
  sum = sum * r + 0.5;
  sum = sum * r * r + r;
  sum = sum + 1.0;
  precise const float scaled = sum * uintBitsToFloat(uint(int(turns) + 127) << 23);
  return scaled;
}
