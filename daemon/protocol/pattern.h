#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

namespace preflight::protocol {

/// A word or expression that must not be said (bundle field claims.deny). Matching takes time
/// linear in the text, whatever the expression; case is ignored.
class Pattern {
 public:
  static constexpr std::size_t kMaxBytes = 512;

  struct Match {
    std::size_t begin, end;  ///< bytes of the text
  };

  /// `is_regex`: RE2 syntax; otherwise the text as it stands, at word borders.
  /// Errors: one clause saying what is wrong with the expression.
  static tl::expected<Pattern, std::string> compile(std::string_view text, bool is_regex);

  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;
  ~Pattern();

  /// The first match.
  std::optional<Match> find(std::string_view text) const;

 private:
  struct Impl;
  explicit Pattern(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace preflight::protocol
