#include "engine/forward/tuning_file.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "shaders/embedded.h"
#include "vk/cache_file.h"

namespace preflight::forward {
namespace {

vk::CacheFile file_of(const std::filesystem::path& cache_dir, const vk::DeviceDescription& device) {
  const std::uint64_t kernels = shaders::fingerprint();
  return {cache_dir, "tuning", device, std::as_bytes(std::span(&kernels, 1))};
}

// Lines "name value\n".
Result<std::vector<TunedValue>> parse(std::string_view text, const std::filesystem::path& path) {
  std::vector<TunedValue> values;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::size_t space = line.find(' ');
    const std::string_view name = line.substr(0, space);
    std::uint32_t value = 0;
    const char* const end = line.data() + line.size();
    const auto [stop, error] = space == std::string_view::npos
                                   ? std::from_chars_result{end, std::errc::invalid_argument}
                                   : std::from_chars(line.data() + space + 1, end, value);
    if (error != std::errc() || stop != end || find_tuning_field(name) == nullptr)
      return fail(ErrorCode::kInvalidInput,
                  fmt::format("{}: a line is no tuned size and its value", path.string()));
    values.push_back({std::string(name), value});
  }
  return values;
}

Result<std::vector<TunedValue>> try_read(const vk::CacheFile& file) {
  PREFLIGHT_TRY(const std::optional<std::vector<std::byte>> bytes, file.read());
  if (!bytes) return std::vector<TunedValue>{};
  return parse({reinterpret_cast<const char*>(bytes->data()), bytes->size()}, file.path());
}

}  // namespace

std::vector<TunedValue> read_tuned(const std::filesystem::path& cache_dir,
                                   const vk::DeviceDescription& device) {
  if (cache_dir.empty()) return {};
  auto values = try_read(file_of(cache_dir, device));
  if (values) return std::move(*values);
  fmt::print(stderr, "tuned sizes not taken: {}\n", values.error().message);
  return {};
}

Result<std::filesystem::path> write_tuned(const std::filesystem::path& cache_dir,
                                          const vk::DeviceDescription& device,
                                          std::span<const TunedValue> values) {
  const vk::CacheFile file = file_of(cache_dir, device);
  std::string text;
  for (const TunedValue& value : values) text += fmt::format("{} {}\n", value.field, value.value);
  PREFLIGHT_TRY_VOID(file.write(std::as_bytes(std::span(text))));
  return file.path();
}

}  // namespace preflight::forward
