#include "engine/run/devices.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "engine/forward/tuning_file.h"
#include "engine/run/command.h"
#include "engine/run/engine_options.h"
#include "vk/device.h"

namespace preflight::run {
namespace {

struct DevicesOptions {
  std::string device;
  std::filesystem::path cache_dir;
  bool verbose = false;
};

std::string describe(const vk::DeviceDescription& device, const DevicesOptions& options) {
  constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;
  std::string text =
      fmt::format("{} {} ({}, {})\n", device.chosen ? "*" : " ", device.name, vk::name(device.type),
                  device.software ? "runs on the CPU" : "hardware");
  text += fmt::format("    driver   {} {}, Vulkan {}.{}.{}\n", device.driver_name,
                      device.driver_version, VK_API_VERSION_MAJOR(device.api_version),
                      VK_API_VERSION_MINOR(device.api_version),
                      VK_API_VERSION_PATCH(device.api_version));
  text += fmt::format("    memory   {:.1f} GiB, {:.1f} GiB free\n",
                      static_cast<double>(device.memory_bytes) / kGiB,
                      static_cast<double>(device.budget_bytes) / kGiB);
  if (device.refused.empty()) {
    const forward::TuningReport report =
        forward::tuning_report(device, forward::read_tuned(options.cache_dir, device));
    text += fmt::format("    tier     {}; the device could run {}\n", vk::name(report.tuning.tier),
                        vk::name(device.best_tier));
    if (options.verbose) {
      text += fmt::format("    tuning   row \"{}\"\n", report.row);
      text += fmt::format("             {:<16} {:>5}  table    {}\n", "tier",
                          vk::name(report.tuning.tier), report.tier_reason);
      for (const forward::TuningChoice& choice : report.choices)
        text += fmt::format("             {:<16} {:>5}  {:<7}  {}\n", choice.field, choice.value,
                            forward::name(choice.origin), choice.reason);
      text += fmt::format(
          "    limits   subgroup {} ({} to {}), workgroup {}, shared {} KiB, binding {} MiB, "
          "allocation {} MiB\n",
          device.subgroup_size, device.min_subgroup_size, device.max_subgroup_size,
          device.max_workgroup_invocations, device.max_shared_bytes >> 10,
          device.max_storage_buffer_range >> 20, device.max_allocation_bytes >> 20);
    }
  }
  text += fmt::format("    {}\n", device.refused.empty() ? device.reason : device.refused);
  return text;
}

Result<void> run_devices(const DevicesOptions& options) {
  PREFLIGHT_TRY(const std::vector<vk::DeviceDescription> devices,
                vk::list_devices({.name_contains = options.device}));
  std::string text;
  for (const vk::DeviceDescription& device : devices) text += describe(device, options);
  return write_stdout(text);
}

}  // namespace

void add_devices(CLI::App& app, Result<void>& outcome) {
  const auto options = std::make_shared<DevicesOptions>();
  CLI::App* command =
      app.add_subcommand("devices", "List the Vulkan devices; * is the one that is taken");
  command->add_option("--device", options->device, "part of the device's name");
  command->add_flag("--verbose", options->verbose,
                    "limits too, and every tuned size with who decided it and why");
  options->cache_dir = user_cache_dir();
  command->add_option("--cache", options->cache_dir,
                      "folder with the sizes that `preflightd tune` measured (state.cache_dir)");
  command->callback([options, &outcome] { outcome = run_devices(*options); });
}

}  // namespace preflight::run
