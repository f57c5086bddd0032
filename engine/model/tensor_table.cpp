#include "engine/model/tensor_table.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "engine/model/blocks.h"

namespace preflight::model {
namespace {

Shape without_outer_ones(Shape shape) {
  while (shape.size() > 1 && shape.front() == 1) shape.erase(shape.begin());
  if (shape.empty()) shape.push_back(1);
  return shape;
}

std::string shown(const TensorTable::Entry& entry, Shape shape) {
  if (entry.gguf) std::reverse(shape.begin(), shape.end());
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

std::optional<TensorType> weight_type(std::string_view dtype) {
  if (dtype == "BF16") return TensorType::kBF16;
  if (dtype == "F16") return TensorType::kF16;
  if (dtype == "F32") return TensorType::kF32;
  return std::nullopt;
}

}  // namespace

Result<void> TensorTable::insert(std::string name, Entry entry) {
  entry.tensor.name = name;
  entry.tensor.cols = entry.shape.back();
  entry.tensor.rows = 1;
  for (std::size_t d = 0; d + 1 < entry.shape.size(); ++d) entry.tensor.rows *= entry.shape[d];
  if (entry.tensor.bytes.empty())
    return fail(ErrorCode::kInvalidInput, fmt::format("{} is empty", entry.source));
  if (const auto first = entries_.find(name); first != entries_.end())
    return fail(ErrorCode::kInvalidInput,
                fmt::format("{} is there twice, first in {}", entry.source, first->second.source));
  entries_.emplace(std::move(name), std::move(entry));
  return {};
}

Result<void> TensorTable::add(const GgufFile& file) {
  for (const GgufTensor& tensor : file.tensors()) {
    Entry entry;
    entry.shape = without_outer_ones({tensor.ne.rbegin(), tensor.ne.rend()});
    entry.tensor.type = tensor.type;
    entry.tensor.bytes = tensor.bytes;
    entry.tensor.mapped = true;
    entry.source = fmt::format("{}: tensor {}", file.name(), in_quotes(tensor.name));
    entry.gguf = true;
    PREFLIGHT_TRY_VOID(insert(std::string(tensor.name), std::move(entry)));
  }
  return {};
}

Result<void> TensorTable::add(const SafetensorsFile& file) {
  for (const SafeTensor& tensor : file.tensors()) {
    Entry entry;
    entry.source = fmt::format("{}: tensor {}", file.name(), in_quotes(tensor.name));
    const std::optional<TensorType> type = weight_type(tensor.dtype);
    if (!type)
      return fail(ErrorCode::kUnsupported,
                  fmt::format("{} is {}, expected BF16, F16 or F32", entry.source, tensor.dtype));
    std::string name = canonical_name(tensor.name);
    if (name.empty())
      return fail(
          ErrorCode::kUnsupported,
          fmt::format("{} belongs to no part of the model that this build knows", entry.source));
    entry.shape = without_outer_ones(tensor.shape);
    entry.tensor.type = *type;
    entry.tensor.bytes = tensor.bytes;
    entry.tensor.mapped = true;
    PREFLIGHT_TRY_VOID(insert(std::move(name), std::move(entry)));
  }
  return {};
}

bool TensorTable::contains(std::string_view name) const {
  return entries_.find(name) != entries_.end();
}

const TensorTable::Entry* TensorTable::find(std::string_view name) {
  const auto it = entries_.find(name);
  if (it == entries_.end()) return nullptr;
  it->second.used = true;
  return &it->second;
}

Result<const TensorTable::Entry*> TensorTable::require(std::string_view name,
                                                       std::string_view where) {
  const Entry* entry = find(name);
  if (entry == nullptr)
    return fail(ErrorCode::kInvalidInput, fmt::format("{}: tensor \"{}\" is missing", where, name));
  return entry;
}

Result<const TensorTable::Entry*> TensorTable::require(std::string_view name, const Shape& shape,
                                                       std::string_view where) {
  const Entry* entry = find(name);
  if (entry == nullptr)
    return fail(ErrorCode::kInvalidInput,
                fmt::format("{}: tensor \"{}\" is missing, expected shape [{}]", where, name,
                            fmt::join(shape, ", ")));
  if (entry->shape != without_outer_ones(shape))
    return fail(
        ErrorCode::kInvalidInput,
        fmt::format("{} is {} {}, expected {}", entry->source, type_name(entry->tensor.type),
                    shown(*entry, entry->shape), shown(*entry, without_outer_ones(shape))));
  return entry;
}

Result<void> TensorTable::check_all_used() const {
  for (const auto& [name, entry] : entries_)
    if (!entry.used)
      return fail(ErrorCode::kUnsupported,
                  fmt::format("{} has no place in the model that the configuration describes",
                              entry.source));
  return {};
}

}  // namespace preflight::model
