#include "engine/text/utf8.h"

#include <cstdint>

namespace preflight::text {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// How a first byte goes on: number of further bytes and the range of the second one, which is
/// narrower than 80..BF where overlong forms, surrogates or numbers past U+10FFFF would begin.
struct Lead {
  std::size_t n_more = 0;
  std::uint8_t second_low = 0x80;
  std::uint8_t second_high = 0xBF;
};

Lead lead_of(std::uint8_t byte) {
  if (byte >= 0xC2 && byte <= 0xDF) return {1, 0x80, 0xBF};
  if (byte == 0xE0) return {2, 0xA0, 0xBF};
  if (byte == 0xED) return {2, 0x80, 0x9F};
  if (byte >= 0xE1 && byte <= 0xEF) return {2, 0x80, 0xBF};
  if (byte == 0xF0) return {3, 0x90, 0xBF};
  if (byte >= 0xF1 && byte <= 0xF3) return {3, 0x80, 0xBF};
  if (byte == 0xF4) return {3, 0x80, 0x8F};
  return {};
}

std::uint8_t byte_at(std::string_view bytes, std::size_t i) {
  return static_cast<std::uint8_t>(bytes[i]);
}

}  // namespace

Utf8Step next_character(std::string_view bytes) {
  const std::uint8_t first = byte_at(bytes, 0);
  if (first < 0x80) return {1, first, true, false};
  const Lead lead = lead_of(first);
  if (lead.n_more == 0) return {1, 0, false, false};

  char32_t code_point = first & (0x3FU >> lead.n_more);
  for (std::size_t i = 1; i <= lead.n_more; ++i) {
    if (i == bytes.size()) return {i, 0, false, true};
    const std::uint8_t byte = byte_at(bytes, i);
    const std::uint8_t low = i == 1 ? lead.second_low : 0x80;
    const std::uint8_t high = i == 1 ? lead.second_high : 0xBF;
    if (byte < low || byte > high) return {i, 0, false, false};
    code_point = (code_point << 6) | (byte & 0x3FU);
  }
  return {lead.n_more + 1, code_point, true, false};
}

void append_utf8(std::string& out, char32_t code_point) {
  const auto put = [&out](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | (code_point >> 6));
    put(0x80 | (code_point & 0x3F));
  } else if (code_point > 0x10FFFF || (code_point >= 0xD800 && code_point <= 0xDFFF)) {
    out += kReplacement;
  } else if (code_point < 0x10000) {
    put(0xE0 | (code_point >> 12));
    put(0x80 | ((code_point >> 6) & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | (code_point >> 18));
    put(0x80 | ((code_point >> 12) & 0x3F));
    put(0x80 | ((code_point >> 6) & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

bool is_well_formed(std::string_view bytes) {
  while (!bytes.empty()) {
    const Utf8Step step = next_character(bytes);
    if (!step.well_formed) return false;
    bytes.remove_prefix(step.length_bytes);
  }
  return true;
}

std::string replace_ill_formed(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const Utf8Step step = next_character(bytes);
    out += step.well_formed ? bytes.substr(0, step.length_bytes) : kReplacement;
    bytes.remove_prefix(step.length_bytes);
  }
  return out;
}

std::string Utf8Stream::push(std::string_view bytes) {
  held_ += bytes;
  std::string_view rest = held_;
  std::string out;
  while (!rest.empty()) {
    const Utf8Step step = next_character(rest);
    if (step.cut_short) break;
    // Byte by byte, not by subpart: the byte tokens of a model are single events.
    const std::size_t n_used = step.well_formed ? step.length_bytes : 1;
    out += step.well_formed ? rest.substr(0, n_used) : kReplacement;
    rest.remove_prefix(n_used);
  }
  held_.erase(0, held_.size() - rest.size());
  return out;
}

std::string Utf8Stream::finish() {
  std::string out;
  for (std::size_t i = 0; i < held_.size(); ++i) out += kReplacement;
  held_.clear();
  return out;
}

}  // namespace preflight::text
