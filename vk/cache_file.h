#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vk/device.h"
#include "vk/error.h"

namespace preflight::vk {

/// A file of the cache folder that holds for one device, its driver and one `version` of what is
/// kept in it. All of that stands in its name and in its header, so files of several devices and
/// releases lie side by side.
class CacheFile {
 public:
  /// `kind` opens the name: "pipelines". `dir` empty: there is no file, and none is written.
  CacheFile(const std::filesystem::path& dir, std::string_view kind,
            const DeviceDescription& device, std::span<const std::byte> version);

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// The payload; nothing where there is no file. Errors: kInvalidInput for a file that is not
  /// wholly what write() made: another's, damaged, or open to other users.
  [[nodiscard]] Result<std::optional<std::vector<std::byte>>> read() const;
  /// Puts a new file in place of the old one; the folder is made if missing. Errors: kIo.
  [[nodiscard]] Result<void> write(std::span<const std::byte> payload) const;

 private:
  std::filesystem::path path_;
  std::vector<std::byte> key_;  // what a fitting file begins with
};

/// FNV-1a. Tells torn and damaged files and different versions apart; no proof against intent.
[[nodiscard]] std::uint64_t hash_of(std::span<const std::byte> bytes);

}  // namespace preflight::vk
