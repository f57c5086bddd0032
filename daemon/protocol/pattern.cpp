#include "daemon/protocol/pattern.h"

#include <cctype>
#include <utility>

#include <re2/re2.h>

namespace preflight::protocol {

struct Pattern::Impl {
  Impl(const std::string& expression, const RE2::Options& options) : re(expression, options) {}
  RE2 re;
};

Pattern::Pattern(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;
Pattern::~Pattern() = default;

tl::expected<Pattern, std::string> Pattern::compile(std::string_view text, bool is_regex) {
  if (text.empty()) return tl::unexpected(std::string("the pattern is empty"));
  if (text.size() > kMaxBytes) {
    return tl::unexpected("the pattern has " + std::to_string(text.size()) + " bytes, at most " +
                          std::to_string(kMaxBytes) + " are allowed");
  }
  std::string expression(text);
  if (!is_regex) {
    // Word borders only where the literal itself begins or ends with a letter: "50%" has none.
    const auto is_word = [](char c) {
      return c == '_' || (std::isalnum(static_cast<unsigned char>(c)) != 0);
    };
    expression = RE2::QuoteMeta(re2::StringPiece(text.data(), text.size()));
    if (is_word(text.front())) expression.insert(0, "\\b");
    if (is_word(text.back())) expression += "\\b";
  }
  RE2::Options options;
  options.set_log_errors(false);
  options.set_case_sensitive(false);
  options.set_longest_match(false);
  options.set_max_mem(1 << 20);
  auto impl = std::make_unique<Impl>(expression, options);
  if (!impl->re.ok()) {
    std::string why = "the regular expression does not compile: " + impl->re.error();
    if (!impl->re.error_arg().empty()) {
      const std::size_t offset = text.find(impl->re.error_arg());
      if (offset != std::string_view::npos) why += " at offset " + std::to_string(offset);
    }
    return tl::unexpected(std::move(why));
  }
  return Pattern(std::move(impl));
}

std::optional<Pattern::Match> Pattern::find(std::string_view text) const {
  re2::StringPiece match;
  const re2::StringPiece whole(text.data(), text.size());
  if (!impl_->re.Match(whole, 0, whole.size(), RE2::UNANCHORED, &match, 1)) return std::nullopt;
  const auto begin = static_cast<std::size_t>(match.data() - whole.data());
  return Match{begin, begin + match.size()};
}

}  // namespace preflight::protocol
