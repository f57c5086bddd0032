#include "vk/system_memory.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

namespace preflight::vk {
namespace {

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> read_number(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return parse_number(line);  // "max" is no number: no limit here
}

std::optional<std::uint64_t> mem_available() {
  constexpr std::string_view kKey = "MemAvailable:";
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(kKey)) continue;
    const std::size_t first = line.find_first_of("0123456789");
    if (first == std::string::npos) return std::nullopt;
    const auto kib = parse_number(std::string_view(line).substr(first));
    if (!kib) return std::nullopt;
    return *kib * 1024;
  }
  return std::nullopt;
}

// Page cache counts as used in a control group and is given back under pressure; it is counted as
// free, as MemAvailable does.
std::uint64_t reclaimable_bytes(const std::filesystem::path& group) {
  constexpr std::string_view kKey = "inactive_file ";
  std::ifstream file(group / "memory.stat");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(kKey)) {
      return parse_number(std::string_view(line).substr(kKey.size())).value_or(0);
    }
  }
  return 0;
}

// Version 2 of the hierarchy: one line "0::/path". A limit of any group above counts.
std::optional<std::uint64_t> control_group_left() {
  std::ifstream file("/proc/self/cgroup");
  std::string line;
  std::string group_path;
  while (std::getline(file, line)) {
    if (line.starts_with("0::/")) group_path = line.substr(4);
  }
  const std::filesystem::path root = "/sys/fs/cgroup";
  std::optional<std::uint64_t> left;
  for (std::filesystem::path group = root / group_path; group != root.parent_path();
       group = group.parent_path()) {
    const auto limit = read_number(group / "memory.max");
    const auto used = read_number(group / "memory.current");
    if (limit && used) {
      const std::uint64_t taken = *used - std::min(*used, reclaimable_bytes(group));
      const std::uint64_t here = *limit - std::min(*limit, taken);
      left = std::min(left.value_or(here), here);
    }
    if (group == group.root_path()) break;
  }
  return left;
}

}  // namespace

std::optional<std::uint64_t> available_system_memory_bytes() {
  const auto system = mem_available();
  const auto group = control_group_left();
  if (system && group) return std::min(*system, *group);
  return system ? system : group;
}

}  // namespace preflight::vk
