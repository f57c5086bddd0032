#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "engine/model/tensor.h"
#include "vk/buffer.h"
#include "vk/device.h"
#include "vk/error.h"
#include "vk/upload.h"

namespace preflight::forward {

/// The types that kernels read; shaders/include/weight.glsl is the other side. Types without a
/// kernel of their own become kAffine8: 8-bit quants with a float32 scale and minimum per 16
/// weights, exactly the file's values.
enum class KernelType { kF32, kF16, kBF16, kQ8_0, kQ4_0, kQ4_K, kQ6_K, kAffine8 };
[[nodiscard]] KernelType kernel_type(model::TensorType type);
/// As in the names of shader variants: "q4_0".
[[nodiscard]] std::string_view shader_name(KernelType type);

/// What lies side by side of the rows of a group; the value is its bytes.
enum class InterleaveUnit : std::uint32_t {
  kWord = 4,  ///< for loads of a word of all lanes at once (-D WORDS in shaders/include/plane.glsl)
  kQuad = 16,  ///< for lanes that load their own
};

/// How the rows of a group lie: a unit of each in turn. No size depends on the unit.
struct Interleave {
  std::uint32_t lanes;  ///< rows of a group
  InterleaveUnit unit;
};

/// Where the weights of a matrix [rows, cols] lie once they are on the device: rows in groups, and
/// in each group, block after block of 32 weights along the row, in words of 16 bytes, interleaved.
/// Rows are padded to whole groups and columns to whole blocks, with zeros.
struct WeightShape {
  KernelType type;
  std::uint32_t lanes;
  InterleaveUnit unit;
  std::uint64_t rows, cols;
  std::uint32_t n_blocks;  ///< blocks of 32 along a row
  std::uint32_t n_groups;  ///< groups of rows
  /// Bytes that one group takes in each plane: quants, scales, high bits; 0 where there is none.
  std::uint64_t quants_bytes, scales_bytes, high_bytes;

  /// `as`: kernel_type(tensor.type), or one that holds its values exactly: kF32 for every type,
  /// kAffine8 for the packed ones.
  [[nodiscard]] static Result<WeightShape> of(const model::Tensor& tensor, Interleave interleave,
                                              KernelType as);
  /// Groups that fit one binding.
  [[nodiscard]] std::uint32_t groups_per_part(const vk::DeviceDescription& device) const;
  /// Bytes of all parts on the device, alignment included.
  [[nodiscard]] std::uint64_t device_bytes(const vk::DeviceDescription& device) const;
};

/// Rows [first_row, first_row + n_rows) of a matrix, in a buffer of their own: what one binding of
/// the device can see.
struct WeightPart {
  vk::Buffer buffer;
  vk::Slice quants, scales, high;  ///< a plane that the type lacks repeats `quants`
  std::uint32_t first_row;
  std::uint32_t n_rows;
};

struct WeightMatrix {
  WeightShape shape;
  std::vector<WeightPart> parts;
};

/// Lays a tensor out on the device, group by group through the uploader: no second copy on the
/// host, and of a mapped file no more pages at once than the uploader's pieces have.
[[nodiscard]] Result<WeightMatrix> load_matrix(vk::Device& device, vk::Uploader& uploader,
                                               const model::Tensor& tensor, Interleave interleave,
                                               KernelType as);

/// Whether `lower` can stand below `upper` in one matrix: of the same kernel and row length, and
/// begun with a group of its own.
[[nodiscard]] bool can_stack(const model::Tensor& upper, const model::Tensor& lower,
                             std::uint32_t lanes);
/// Tensors that can stack, at least one, as one matrix: a product with all of them is one dispatch.
[[nodiscard]] Result<WeightMatrix> load_stack(vk::Device& device, vk::Uploader& uploader,
                                              std::span<const model::Tensor* const> tensors,
                                              Interleave interleave, KernelType as);

/// The type in which two matrices of one kernel can both be held exactly.
[[nodiscard]] KernelType common_type(const model::Tensor& a, const model::Tensor& b);

}  // namespace preflight::forward
