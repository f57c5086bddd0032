#include "engine/model/checkpoint_files.h"

#include <map>
#include <set>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "engine/model/json_text.h"

namespace preflight::model {

Result<std::vector<SafetensorsFile>> open_checkpoint_files(const std::filesystem::path& directory) {
  constexpr std::size_t kMostIndexBytes = 64u << 20;
  std::vector<SafetensorsFile> files;
  const std::filesystem::path index_path = directory / "model.safetensors.index.json";
  std::error_code
      ignored;  // a path that cannot be examined fails again, with its reason, when opened
  if (!std::filesystem::exists(index_path, ignored) ||
      std::filesystem::exists(directory / "model.safetensors", ignored)) {
    PREFLIGHT_TRY(SafetensorsFile file, SafetensorsFile::open(directory / "model.safetensors"));
    files.push_back(std::move(file));
    return files;
  }
  PREFLIGHT_TRY(const std::string text, read_text_file(index_path, kMostIndexBytes));
  PREFLIGHT_TRY(const nlohmann::json document, parse_json_object(text, index_path.string()));
  const JsonView index(document, index_path.string());
  PREFLIGHT_TRY(const JsonView map, index.object("weight_map"));

  std::map<std::string, std::set<std::string>> tensors_by_file;
  for (const auto& [tensor, file] : map.raw().items()) {
    if (!file.is_string())
      return map.wrong(ErrorCode::kInvalidInput, in_quotes(tensor), "is no file name");
    const auto& name = file.get_ref<const std::string&>();
    // A name, not a path: the index must not lead out of its directory.
    if (name.empty() || name.find('/') != std::string::npos || name.front() == '.')
      return map.wrong(
          ErrorCode::kInvalidInput, in_quotes(tensor),
          fmt::format("is {}, expected the name of a file in this directory", in_quotes(name)));
    tensors_by_file[name].insert(tensor);
  }
  if (tensors_by_file.empty())
    return index.wrong(ErrorCode::kInvalidInput, "weight_map", "is empty");
  for (auto& [name, tensors] : tensors_by_file) {
    PREFLIGHT_TRY(SafetensorsFile file, SafetensorsFile::open(directory / name));
    for (const SafeTensor& tensor : file.tensors()) tensors.erase(tensor.name);
    if (!tensors.empty())
      return fail(ErrorCode::kInvalidInput,
                  fmt::format("{}: tensor {} is missing, expected there by {}", file.name(),
                              in_quotes(*tensors.begin()), index_path.string()));
    files.push_back(std::move(file));
  }
  return files;
}

}  // namespace preflight::model
