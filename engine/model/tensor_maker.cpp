#include "engine/model/tensor_maker.h"

#include <cmath>
#include <cstddef>
#include <cstring>
#include <span>
#include <utility>

#include "engine/model/random_weights.h"

namespace preflight::model {

Result<void> TensorMaker::matrix(std::string name, TensorType type, std::uint64_t cols,
                                 std::uint64_t rows) {
  const float deviation = 1.0f / std::sqrt(static_cast<float>(cols));
  const std::uint64_t key = random_key(seed_, n_tensors_++);
  return writer_.add_tensor(std::move(name), type, {cols, rows},
                            [=](std::uint64_t first, std::span<std::byte> blocks) {
                              fill_random(type, deviation, key, first, blocks);
                            });
}

Result<void> TensorMaker::values(std::string name, std::vector<std::uint64_t> ne, float mean,
                                 float spread) {
  const std::uint64_t key = random_key(seed_, n_tensors_++);
  return writer_.add_tensor(std::move(name), TensorType::kF32, std::move(ne),
                            [=](std::uint64_t first, std::span<std::byte> blocks) {
                              fill_uniform(mean, spread, key, first, blocks);
                            });
}

Result<void> TensorMaker::exact(std::string name, std::vector<float> content) {
  const std::uint64_t n = content.size();
  ++n_tensors_;
  return writer_.add_tensor(
      std::move(name), TensorType::kF32, {n},
      [content = std::move(content)](std::uint64_t first, std::span<std::byte> blocks) {
        std::memcpy(blocks.data(), content.data() + first, blocks.size());
      });
}

}  // namespace preflight::model
