// The fixed key ranges by which a generated row is split (params/attention.h; engine/forward/
// attention_op.h counts them likewise).

// The range that holds a position.
uint key_range_of(const uint position, const bool sliding) {
  const uint page = position / kPageTokens;
  if (sliding || page < kPageRanges) return page;
  const uint doubling = findMSB(page / kPageRanges);
  return kPageRanges + kDoublingRanges * doubling + (page >> (doubling + 1)) - kDoublingRanges;
}

// Its first page.
uint key_range_page(const uint range, const bool sliding) {
  if (sliding || range < kPageRanges) return range;
  const uint doubling = (range - kPageRanges) / kDoublingRanges;
  return (kDoublingRanges + (range - kPageRanges) % kDoublingRanges) << (doubling + 1);
}
