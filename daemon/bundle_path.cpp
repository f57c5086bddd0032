#include "daemon/bundle_path.h"

#include <algorithm>
#include <clocale>
#include <cstdint>
#include <cwctype>
#include <optional>
#include <type_traits>

#include <fmt/format.h>

namespace preflight::daemon {

namespace {

constexpr std::size_t kMaxPathBytes = 1024;
constexpr std::size_t kMaxPartBytes = 255;
constexpr std::size_t kMaxParts = 16;

/// Strict UTF-8: no overlong forms, no surrogates. None if it is not.
std::optional<std::wstring> code_points(std::string_view text) {
  std::wstring out;
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = lead < 0x80   ? 1
                               : lead < 0xc2 ? 0
                               : lead < 0xe0 ? 2
                               : lead < 0xf0 ? 3
                               : lead < 0xf5 ? 4
                                             : 0;
    if (length == 0 || text.size() - i < length) return std::nullopt;
    std::uint32_t point = length == 1 ? lead : lead & (0xffu >> (length + 1));
    for (std::size_t k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xc0) != 0x80) return std::nullopt;
      point = point << 6 | (next & 0x3fu);
    }
    const bool overlong = (length == 3 && point < 0x800) || (length == 4 && point < 0x10000);
    if (overlong || (point >= 0xd800 && point < 0xe000) || point > 0x10ffff) return std::nullopt;
    out.push_back(static_cast<wchar_t>(point));
    i += length;
  }
  return out;
}

/// One letter in lower case, whatever the process's own locale is.
wchar_t lower(wchar_t c) {
  static const locale_t unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  const auto letter = static_cast<wint_t>(static_cast<std::make_unsigned_t<wchar_t>>(c));
  return static_cast<wchar_t>(unicode != nullptr ? towlower_l(letter, unicode)
                                                 : std::towlower(letter));
}

tl::unexpected<Error> refuse(std::string_view path, std::string_view why) {
  // Only what is safe to print of a hostile name; the owner knows the rest.
  std::string shown;
  for (const char c : path.substr(0, 120))
    shown.push_back(static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c);
  return fail(ErrorCode::kInvalidInput, fmt::format("file name \"{}\": {}", shown, why));
}

}  // namespace

Result<void> check_bundle_path(std::string_view path) {
  if (path.empty()) return refuse(path, "is empty");
  if (path.size() > kMaxPathBytes)
    return refuse(path,
                  fmt::format("has {} bytes, at most {} are allowed", path.size(), kMaxPathBytes));
  if (path.front() == '/') return refuse(path, "is absolute; it must be relative to bundle.json");
  const std::optional<std::wstring> points = code_points(path);
  if (!points) return refuse("", "is not UTF-8");
  for (const wchar_t c : *points) {
    if (c == L'\\') return refuse(path, "has a backslash; folders are separated by \"/\"");
    if (c < 0x20 || (c >= 0x7f && c < 0xa0)) return refuse(path, "has a control character");
  }
  std::size_t n_parts = 0;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part.empty()) return refuse(path, "has an empty part");
    if (part == "." || part == "..") return refuse(path, fmt::format("has the part \"{}\"", part));
    if (part.size() > kMaxPartBytes)
      return refuse(path, fmt::format("has a part of {} bytes, at most {} are allowed", part.size(),
                                      kMaxPartBytes));
    if (++n_parts > kMaxParts)
      return refuse(path, fmt::format("has more than {} parts", kMaxParts));
    begin = end + 1;
  }
  return {};
}

Result<void> BundleNames::add_file(std::string_view path) {
  PREFLIGHT_TRY_VOID(check_bundle_path(path));
  for (std::size_t end = 0; end < path.size();) {
    end = std::min(path.find('/', end + 1), path.size());
    const bool is_file = end == path.size();
    const std::string_view prefix = path.substr(0, end);
    std::wstring folded = code_points(prefix).value_or(std::wstring());
    for (wchar_t& c : folded) c = lower(c);
    const auto [it, is_new] =
        by_folded_.try_emplace(std::move(folded), Entry{std::string(prefix), is_file});
    if (is_new) continue;
    const Entry& known = it->second;
    if (known.name != prefix)
      return refuse(path,
                    fmt::format("differs from \"{}\" by the case of letters only", known.name));
    if (is_file && known.is_file) return refuse(path, "was sent twice");
    if (is_file != known.is_file)
      return refuse(path, fmt::format("\"{}\" would be both a file and a folder", prefix));
  }
  return {};
}

}  // namespace preflight::daemon
