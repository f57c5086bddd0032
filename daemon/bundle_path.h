// The names that a bundle's files may have: relative paths that stay inside the bundle on every
// file system (creative-review C.1).
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "vk/error.h"

namespace preflight::daemon {

/// Errors: empty, absolute, "." or ".." or an empty part, a backslash or control character, not
/// UTF-8, a part over 255 bytes, the whole over 1024 bytes or 16 parts.
Result<void> check_bundle_path(std::string_view path);

/// The files and folders of one bundle so far.
class BundleNames {
 public:
  /// Errors: as check_bundle_path; the file is there already; it, or a folder above it, differs
  /// from another name by the case of letters only; it would be file and folder at once.
  Result<void> add_file(std::string_view path);

 private:
  struct Entry {
    std::string name;
    bool is_file = false;
  };
  std::map<std::wstring, Entry> by_folded_;  // letters in lower case
};

}  // namespace preflight::daemon
