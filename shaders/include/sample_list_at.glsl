// Needs the push constants p.

/// Where a word of a row's list stands.
uint sample_list_at(const uint row, const uint word) {
  return kSampleGridWords + row * (kSampleListFirst + p.list_tokens) + word;
}
