#include "vk/wide_vectors.h"

#include <cstdlib>

namespace preflight::vk {
namespace {

constexpr const char* kVariable = "LP_NATIVE_VECTOR_WIDTH";

bool processor_has_512_bits() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0;
#else
  return false;
#endif
}

}  // namespace

bool ask_for_wide_vectors(const DeviceDescription& chosen) {
  const bool gains = is_llvmpipe(chosen) && mesa_version(chosen) >= 24 && chosen.subgroup_size == 8;
  if (!gains || !processor_has_512_bits() || std::getenv(kVariable) != nullptr) return false;
  return setenv(kVariable, "512", /*overwrite=*/0) == 0;
}

bool names_narrow_vectors(std::string_view name_contains) {
  return name_contains.find("256") != std::string_view::npos;  // "llvmpipe (LLVM 21.1.8, 256 bits)"
}

}  // namespace preflight::vk
