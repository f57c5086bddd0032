#include "engine/forward/tensor_loader.h"

#include <span>

#include <fmt/format.h>

namespace preflight::forward {

/// open() has checked that what the configuration asks for is there.
Result<const model::Tensor*> TensorLoader::tensor(const std::string& name) const {
  const model::Tensor* found = find_(name);
  if (found == nullptr)
    return fail(ErrorCode::kInternal, fmt::format("tensor \"{}\" was not checked at open", name));
  return found;
}

Result<WeightMatrix> TensorLoader::matrix(const std::string& name) const {
  PREFLIGHT_TRY(const model::Tensor* found, tensor(name));
  return load_matrix(device_, uploader_, *found, interleave_, kernel_type(found->type));
}

Result<std::pair<WeightMatrix, WeightMatrix>> TensorLoader::matrices(
    const std::string& first, const std::string& second) const {
  PREFLIGHT_TRY(const model::Tensor* a, tensor(first));
  PREFLIGHT_TRY(const model::Tensor* b, tensor(second));
  const KernelType type = common_type(*a, *b);
  PREFLIGHT_TRY(WeightMatrix a_matrix, load_matrix(device_, uploader_, *a, interleave_, type));
  PREFLIGHT_TRY(WeightMatrix b_matrix, load_matrix(device_, uploader_, *b, interleave_, type));
  return std::pair(std::move(a_matrix), std::move(b_matrix));
}

Result<std::vector<WeightMatrix>> TensorLoader::stacks(
    const std::vector<std::string>& names) const {
  std::vector<std::vector<const model::Tensor*>> stacks;
  for (const std::string& name : names) {
    PREFLIGHT_TRY(const model::Tensor* next, tensor(name));
    if (stacks.empty() || !can_stack(*stacks.back().back(), *next, interleave_.lanes))
      stacks.emplace_back();
    stacks.back().push_back(next);
  }
  std::vector<WeightMatrix> matrices;
  for (const auto& stack : stacks) {
    PREFLIGHT_TRY(WeightMatrix matrix, load_stack(device_, uploader_, stack, interleave_,
                                                  kernel_type(stack.front()->type)));
    matrices.push_back(std::move(matrix));
  }
  return matrices;
}

Result<std::vector<float>> TensorLoader::values(const std::string& name) const {
  PREFLIGHT_TRY(const model::Tensor* found, tensor(name));
  std::vector<float> all(found->rows * found->cols);
  PREFLIGHT_TRY_VOID(model::read_rows(*found, 0, found->rows, all));
  return all;
}

Result<vk::Buffer> TensorLoader::vector(const std::string& name) const {
  PREFLIGHT_TRY(const std::vector<float> all, values(name));
  PREFLIGHT_TRY(vk::Buffer buffer, vk::Buffer::create(device_, all.size() * sizeof(float),
                                                      vk::Residency::kDevice, name));
  PREFLIGHT_TRY_VOID(uploader_.write(buffer, 0, std::as_bytes(std::span(all))));
  return buffer;
}

}  // namespace preflight::forward
