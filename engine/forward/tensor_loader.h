#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/forward/weight_layout.h"
#include "engine/model/tensor.h"
#include "vk/buffer.h"
#include "vk/device.h"
#include "vk/error.h"
#include "vk/upload.h"

namespace preflight::forward {

/// Reads tensors of one file onto one device.
class TensorLoader {
 public:
  /// A tensor by canonical name, or null.
  using Find = std::function<const model::Tensor*(std::string_view)>;

  TensorLoader(vk::Device& device, vk::Uploader& uploader, Find find, Interleave interleave)
      : device_(device), uploader_(uploader), find_(std::move(find)), interleave_(interleave) {}

  [[nodiscard]] bool has(const std::string& name) const { return find_(name) != nullptr; }
  /// As the type that its kernels read.
  [[nodiscard]] Result<WeightMatrix> matrix(const std::string& name) const;
  /// Two matrices of one kernel, as a type that holds both.
  [[nodiscard]] Result<std::pair<WeightMatrix, WeightMatrix>> matrices(
      const std::string& first, const std::string& second) const;
  /// Matrices of one input, each of as many of the tensors in turn as can stack.
  [[nodiscard]] Result<std::vector<WeightMatrix>> stacks(
      const std::vector<std::string>& names) const;
  [[nodiscard]] Result<std::vector<float>> values(const std::string& name) const;
  /// float32 [rows * cols]
  [[nodiscard]] Result<vk::Buffer> vector(const std::string& name) const;

 private:
  [[nodiscard]] Result<const model::Tensor*> tensor(const std::string& name) const;

  vk::Device& device_;
  vk::Uploader& uploader_;
  Find find_;
  Interleave interleave_;
};

}  // namespace preflight::forward
