// What the administrator sets: /etc/preflight/preflight.toml, of which share/preflight.toml is the
// commented example with every setting at its default.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "daemon/http_server.h"
#include "daemon/quota.h"
#include "daemon/review_job.h"
#include "daemon/upload.h"
#include "vk/error.h"

namespace preflight::daemon {

inline constexpr const char* kSettingsFile = "/etc/preflight/preflight.toml";

struct Settings {
  std::filesystem::path socket = "/run/preflight/http.sock";
  std::string socket_group;                                ///< empty: the daemon's own group
  std::filesystem::path state_dir = "/var/lib/preflight";  ///< database, spool
  ReviewerSettings reviewer;
  QuotaLimits quota;
  BundleLimits bundle;
  HttpLimits http;
  std::uint64_t min_free_bytes = std::uint64_t{256} << 20;
  std::uint32_t keep_days = 30;       ///< reports
  std::uint32_t stall_seconds = 120;  ///< longest silence of the review thread
  std::uint32_t load_seconds = 1800;  ///< longest silence while a model is loaded
};

/// One line of the table of settings.
struct SettingDescription {
  std::string key;            ///< "queue.max_reviews"
  std::string default_value;  ///< as TOML
};

/// Defaults: programs and rules are looked for beside `program` (its own folder, then the prefix
/// it was installed under).
Settings default_settings(const std::filesystem::path& program);

/// Reads `text` (the content of `file`, which only names it) over `settings`. Errors, all of them
/// at once, one line each: file:line, what was found, what was expected, the nearest known name.
Result<void> read_settings(const std::string& text, const std::string& file, Settings& settings);

/// Every setting there is, with its value in `settings`.
std::vector<SettingDescription> describe_settings(const Settings& settings);

}  // namespace preflight::daemon
