#include "tests/vk/vk_test.h"

#include "tests/vk/embedded.h"
#include "tests/vk/test_params.h"

namespace preflight::vk {

Pipeline DeviceTest::affine(std::uint32_t factor, std::uint32_t workgroup, bool reversed) {
  return must(
      Pipeline::create(device(), {.spirv = vk_test::spirv(reversed ? "affine_reversed" : "affine"),
                                  .n_bindings = 2,
                                  .push_bytes = sizeof(params::AffineParams),
                                  .constants = {workgroup, factor},
                                  .label = "affine"}));
}

std::vector<std::uint32_t> test_words(std::size_t n) {
  std::vector<std::uint32_t> words(n);
  for (std::size_t i = 0; i < n; ++i) words[i] = static_cast<std::uint32_t>(i) * 2654435761u;
  return words;
}

}  // namespace preflight::vk
