#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace preflight::protocol {

/// One thing that is wrong with a bundle (docs/bundle.md has the codes; they never change meaning).
struct Problem {
  std::string code;     ///< "B012"
  std::string pointer;  ///< where in bundle.json, by JSON pointer (RFC 6901); "" is the whole
  std::string message;  ///< what was found
  std::string hint;     ///< what would be right; may be empty
  int asset = -1;       ///< index in "assets" where only this asset is unusable; -1: the bundle is
};

struct Problems {
  std::vector<Problem> errors;
  std::vector<Problem> warnings;
};

/// The name in `known` that `name` was probably meant to be; empty if none is near.
std::string nearest_name(std::string_view name, std::span<const std::string_view> known);

/// `pointer` + "/" + `token`, with "~" and "/" in the token escaped.
std::string join_pointer(std::string_view pointer, std::string_view token);

}  // namespace preflight::protocol
