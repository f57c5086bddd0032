#include "engine/model/drafter_file.h"

#include <map>
#include <system_error>
#include <utility>
#include <vector>

#include "engine/model/checkpoint_files.h"
#include "engine/model/drafter_config.h"
#include "engine/model/gguf_parts.h"
#include "engine/model/json_text.h"
#include "engine/model/tensor_table.h"

namespace preflight::model {

struct DrafterFile::State {
  std::string name;
  std::vector<GgufFile> gguf;  ///< empty for a directory
  std::vector<SafetensorsFile> safetensors;
  DrafterConfig config;
  std::map<std::string, Tensor, std::less<>> tensors;
};

Result<DrafterFile> DrafterFile::open(const std::filesystem::path& path) {
  constexpr std::size_t kMostConfigBytes = 16u << 20;
  auto state = std::make_unique<State>();
  state->name = path.string();
  TensorTable tensors;
  std::error_code ignored;  // what cannot be examined fails, with its reason, when opened
  if (std::filesystem::is_directory(path, ignored)) {
    const std::string config_name = (path / "config.json").string();
    PREFLIGHT_TRY(const std::string text, read_text_file(config_name, kMostConfigBytes));
    PREFLIGHT_TRY(const nlohmann::json document, parse_json_object(text, config_name));
    const JsonView root(document, config_name);
    PREFLIGHT_TRY_VOID(check_drafter_type(root));
    PREFLIGHT_TRY(state->safetensors, open_checkpoint_files(path));
    for (const SafetensorsFile& file : state->safetensors) PREFLIGHT_TRY_VOID(tensors.add(file));
    PREFLIGHT_TRY(state->config, read_drafter_config(root, tensors));
  } else {
    PREFLIGHT_TRY(state->gguf, open_gguf_parts(path));
    PREFLIGHT_TRY_VOID(check_drafter_type(state->gguf.front()));
    for (const GgufFile& file : state->gguf) PREFLIGHT_TRY_VOID(tensors.add(file));
    PREFLIGHT_TRY(state->config, read_drafter_config(state->gguf.front(), tensors));
  }
  PREFLIGHT_TRY_VOID(check_drafter_tensors(state->config, tensors, state->name));
  for (const auto& [name, entry] : tensors.entries()) state->tensors.emplace(name, entry.tensor);
  return DrafterFile(std::move(state));
}

DrafterFile::DrafterFile(std::unique_ptr<const State> state) : state_(std::move(state)) {}
DrafterFile::DrafterFile(DrafterFile&&) noexcept = default;
DrafterFile& DrafterFile::operator=(DrafterFile&&) noexcept = default;
DrafterFile::~DrafterFile() = default;

const DrafterConfig& DrafterFile::config() const { return state_->config; }
const std::string& DrafterFile::name() const { return state_->name; }

const Tensor* DrafterFile::find(std::string_view canonical_name) const {
  const auto it = state_->tensors.find(canonical_name);
  return it == state_->tensors.end() ? nullptr : &it->second;
}

}  // namespace preflight::model
