#include "bench/model/results.h"

#include <algorithm>
#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace preflight::bench {
namespace {

Result<void> write_file(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.flush();
  if (!file) return fail(ErrorCode::kIo, fmt::format("{}: cannot be written", path.string()));
  return {};
}

}  // namespace

Figure Figure::of(std::string test, std::string unit, std::vector<double> samples) {
  PREFLIGHT_ASSERT(!samples.empty());
  std::ranges::sort(samples);
  const std::size_t middle = samples.size() / 2;
  const double median =
      samples.size() % 2 == 1 ? samples[middle] : (samples[middle - 1] + samples[middle]) / 2;
  return {std::move(test), std::move(unit), median, samples.front(), samples.back()};
}

const Figure* find(const std::vector<Figure>& figures, std::string_view test) {
  const auto at = std::ranges::find(figures, test, &Figure::test);
  return at == figures.end() ? nullptr : &*at;
}

Result<void> report(const ModelOptions& options, const Subject& subject,
                    const std::vector<Figure>& figures) {
  const vk::DeviceDescription& device = subject.device;
  const std::string driver = fmt::format("{} {}", device.driver_name, device.driver_version);
  fmt::print("{}\n{}, {}, tier {}\n\n{:<24} {:>12} {:>12} {:>12}  unit\n",
             options.model.filename().string(), device.name, driver, vk::name(subject.tier), "test",
             "median", "min", "max");
  for (const Figure& f : figures)
    fmt::print("{:<24} {:>12.5g} {:>12.5g} {:>12.5g}  {}\n", f.test, f.median, f.least, f.most,
               f.unit);

  if (!options.csv.empty()) {
    std::string text = "device,driver,tier,model,test,unit,median,min,max\n";
    for (const Figure& f : figures)
      text += fmt::format("\"{}\",\"{}\",{},{},{},{},{:.6g},{:.6g},{:.6g}\n", device.name, driver,
                          vk::name(subject.tier), options.model.filename().string(), f.test, f.unit,
                          f.median, f.least, f.most);
    PREFLIGHT_TRY_VOID(write_file(options.csv, text));
  }
  if (!options.json.empty()) {
    nlohmann::ordered_json json = {{"device", device.name},
                                   {"software", device.software},
                                   {"driver", driver},
                                   {"tier", vk::name(subject.tier)},
                                   {"model", options.model.filename().string()},
                                   {"figures", nlohmann::ordered_json::array()}};
    for (const Figure& f : figures)
      json["figures"].push_back({{"test", f.test},
                                 {"unit", f.unit},
                                 {"median", f.median},
                                 {"min", f.least},
                                 {"max", f.most}});
    PREFLIGHT_TRY_VOID(write_file(options.json, json.dump(1) + "\n"));
  }
  return {};
}

}  // namespace preflight::bench
