#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model/gguf_file.h"
#include "engine/model/safetensors_file.h"
#include "engine/model/tensor.h"
#include "vk/error.h"

namespace preflight::model {

/// Sizes of a tensor, outer to inner, without outer ones.
using Shape = std::vector<std::uint64_t>;

/// The tensors of all files of a model under their canonical names, for the time of opening:
/// remembers where each came from, so that a complaint can name it as the file does, and which were
/// asked for.
class TensorTable {
 public:
  struct Entry {
    Tensor tensor;
    Shape shape;
    std::string source;  ///< "file: tensor "name""
    bool gguf = false;   ///< shapes are shown inner to outer, as that format lists them
    bool used = false;
  };

  /// Adds all tensors of a file. Errors: a canonical name that is already there, an empty tensor, a
  /// dtype that is no weight, a name that means nothing here.
  [[nodiscard]] Result<void> add(const GgufFile& file);
  [[nodiscard]] Result<void> add(const SafetensorsFile& file);

  /// Null when absent; marks the tensor as used.
  [[nodiscard]] const Entry* find(std::string_view canonical_name);
  [[nodiscard]] bool contains(std::string_view canonical_name) const;
  /// The tensor, which must be there. `where` names the file in the complaint.
  [[nodiscard]] Result<const Entry*> require(std::string_view canonical_name,
                                             std::string_view where);
  /// The same, and its shape must be this.
  [[nodiscard]] Result<const Entry*> require(std::string_view canonical_name, const Shape& shape,
                                             std::string_view where);
  /// Fails for the first tensor that nothing asked for.
  [[nodiscard]] Result<void> check_all_used() const;

  [[nodiscard]] const std::map<std::string, Entry, std::less<>>& entries() const {
    return entries_;
  }

 private:
  Result<void> insert(std::string canonical_name, Entry entry);
  std::map<std::string, Entry, std::less<>> entries_;
};

/// The canonical name of a tensor in a Hugging Face checkpoint; empty for a name that means nothing
/// here (docs/model.md#tensors).
[[nodiscard]] std::string canonical_name(std::string_view checkpoint_name);

}  // namespace preflight::model
