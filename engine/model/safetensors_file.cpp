#include "engine/model/safetensors_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "engine/model/json_text.h"

namespace preflight::model {
namespace {

/// The format's own limit.
constexpr std::uint64_t kMostHeaderBytes = 100'000'000;

struct Dtype {
  std::string_view name;
  std::uint64_t bytes;
};
constexpr std::array<Dtype, 14> kDtypes = {{{"F64", 8},
                                            {"F32", 4},
                                            {"F16", 2},
                                            {"BF16", 2},
                                            {"F8_E4M3", 1},
                                            {"F8_E5M2", 1},
                                            {"I64", 8},
                                            {"U64", 8},
                                            {"I32", 4},
                                            {"U32", 4},
                                            {"I16", 2},
                                            {"I8", 1},
                                            {"U8", 1},
                                            {"BOOL", 1}}};

std::optional<std::uint64_t> dtype_bytes(std::string_view name) {
  for (const Dtype& dtype : kDtypes)
    if (dtype.name == name) return dtype.bytes;
  return std::nullopt;
}

/// A list of unsigned integers, or nothing if it is anything else.
std::optional<std::vector<std::uint64_t>> unsigned_list(const nlohmann::json& entry,
                                                        const char* key) {
  const auto it = entry.find(key);
  if (it == entry.end() || !it->is_array()) return std::nullopt;
  std::vector<std::uint64_t> out;
  for (const nlohmann::json& item : *it) {
    if (!item.is_number_unsigned()) return std::nullopt;
    out.push_back(item.get<std::uint64_t>());
  }
  return out;
}

}  // namespace

Result<SafetensorsFile> SafetensorsFile::open(const std::filesystem::path& path) {
  PREFLIGHT_TRY(MappedFile mapped, MappedFile::open(path));
  SafetensorsFile file(std::move(mapped));
  PREFLIGHT_TRY_VOID(file.parse());
  return file;
}

Result<void> SafetensorsFile::parse() {
  const auto bad = [this](std::string_view text) {
    return fail(ErrorCode::kInvalidInput, fmt::format("{}: {}", name(), text));
  };
  constexpr std::size_t kLengthBytes = 8;
  if (bytes().size() < kLengthBytes)
    return bad(fmt::format("is no safetensors file: it has {} bytes", bytes().size()));
  std::uint64_t json_bytes = 0;
  std::memcpy(&json_bytes, bytes().data(), kLengthBytes);
  if (json_bytes > kMostHeaderBytes || json_bytes > bytes().size() - kLengthBytes)
    return bad(
        fmt::format("announces a header of {} bytes, but the file has {} and {} are the limit",
                    json_bytes, bytes().size(), kMostHeaderBytes));
  header_bytes_ = kLengthBytes + json_bytes;
  const auto json_part = bytes().subspan(kLengthBytes, json_bytes);
  PREFLIGHT_TRY(const nlohmann::json document,
                parse_json_object(
                    {reinterpret_cast<const char*>(json_part.data()), json_part.size()}, name()));
  const auto data = bytes().subspan(header_bytes_);

  for (const auto& [tensor_name, entry] : document.items()) {
    if (tensor_name == "__metadata__") continue;
    const std::string shown_name = in_quotes(tensor_name);
    if (!entry.is_object())
      return bad(fmt::format("the entry of tensor {} is no object", shown_name));
    SafeTensor tensor{
        .name = tensor_name, .dtype = {}, .shape = {}, .element_bytes = 0, .bytes = {}};
    const auto dtype = entry.find("dtype");
    if (dtype == entry.end() || !dtype->is_string())
      return bad(fmt::format("tensor {}: \"dtype\" is no text", shown_name));
    tensor.dtype = dtype->get_ref<const std::string&>();
    const std::optional<std::uint64_t> element_bytes = dtype_bytes(tensor.dtype);
    if (!element_bytes)
      return fail(ErrorCode::kUnsupported,
                  fmt::format("{}: tensor {} has the unknown dtype {}", name(), shown_name,
                              in_quotes(tensor.dtype)));
    tensor.element_bytes = *element_bytes;
    std::optional<std::vector<std::uint64_t>> shape = unsigned_list(entry, "shape");
    if (!shape) return bad(fmt::format("tensor {}: \"shape\" is no list of sizes", shown_name));
    tensor.shape = std::move(*shape);
    const std::optional<std::vector<std::uint64_t>> range = unsigned_list(entry, "data_offsets");
    if (!range || range->size() != 2)
      return bad(fmt::format("tensor {}: \"data_offsets\" is no pair of offsets", shown_name));
    const std::uint64_t begin = (*range)[0];
    const std::uint64_t end = (*range)[1];
    if (begin > end || end > data.size())
      return bad(fmt::format("tensor {} lies at [{}, {}), but the file has {} bytes of tensor data",
                             shown_name, begin, end, data.size()));
    std::uint64_t expected = tensor.element_bytes;
    bool fits = true;
    for (const std::uint64_t size : tensor.shape) {
      fits = fits && (size == 0 || expected <= std::numeric_limits<std::uint64_t>::max() / size);
      if (fits) expected *= size;
    }
    if (!fits || expected != end - begin)
      return bad(fmt::format("tensor {} {} [{}] has {} bytes of data, expected {}", shown_name,
                             tensor.dtype, fmt::join(tensor.shape, ", "), end - begin,
                             fits ? fmt::format("{}", expected) : "more than can be counted"));
    tensor.bytes = data.subspan(begin, end - begin);
    tensors_.push_back(std::move(tensor));
  }

  std::stable_sort(tensors_.begin(), tensors_.end(), [](const SafeTensor& a, const SafeTensor& b) {
    // Empty tensors first where they share a start with another.
    return std::pair(a.bytes.data(), a.bytes.size()) < std::pair(b.bytes.data(), b.bytes.size());
  });
  for (std::size_t i = 1; i < tensors_.size(); ++i)
    if (tensors_[i - 1].bytes.data() + tensors_[i - 1].bytes.size() > tensors_[i].bytes.data())
      return bad(fmt::format("tensors {} and {} overlap", in_quotes(tensors_[i - 1].name),
                             in_quotes(tensors_[i].name)));
  return {};
}

const SafeTensor* SafetensorsFile::find(std::string_view tensor_name) const {
  for (const SafeTensor& tensor : tensors_)
    if (tensor.name == tensor_name) return &tensor;
  return nullptr;
}

}  // namespace preflight::model
