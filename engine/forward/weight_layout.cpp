#include "engine/forward/weight_layout.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <thread>

#include <fmt/format.h>

#include "engine/model/blocks.h"
#include "engine/model/mapped_file.h"
#include "shaders/params/step.h"

namespace preflight::forward {
namespace {

constexpr std::uint32_t kBlock = params::kWeightBlock;
constexpr std::uint32_t kSuperBlock = 256;
constexpr std::uint64_t kPlaneAlignment = 256;  // the largest offset alignment Vulkan allows

std::uint64_t align_up(std::uint64_t value, std::uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

std::uint32_t quant_words(KernelType type) {
  switch (type) {
    case KernelType::kF32:
      return 8;
    case KernelType::kF16:
    case KernelType::kBF16:
      return 4;
    case KernelType::kQ8_0:
    case KernelType::kAffine8:
      return 2;
    case KernelType::kQ4_0:
    case KernelType::kQ4_K:
    case KernelType::kQ6_K:
      return 1;
  }
  PREFLIGHT_ASSERT(false);
}

/// 32-bit words of scales that one lane has in a group.
std::uint64_t scale_words(KernelType type, std::uint32_t n_blocks) {
  switch (type) {
    case KernelType::kF32:
    case KernelType::kF16:
    case KernelType::kBF16:
      return 0;
    case KernelType::kQ8_0:
    case KernelType::kQ4_0:
      return (n_blocks + 1) / 2;
    case KernelType::kAffine8:
      return std::uint64_t{4} * n_blocks;
    case KernelType::kQ4_K:
      return std::uint64_t{4} * (n_blocks / 8);
    case KernelType::kQ6_K:
      return std::uint64_t{5} * (n_blocks / 8);
  }
  PREFLIGHT_ASSERT(false);
}

std::uint32_t load_u32(const std::byte* from) {
  std::uint32_t value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

std::uint16_t load_u16(const std::byte* from) {
  std::uint16_t value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000) << 16;
  const std::uint32_t exponent = (half >> 10) & 31;
  const std::uint32_t fraction = half & 1023;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (fraction << 13));
  if (exponent != 0)
    return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
  const float magnitude = static_cast<float>(fraction) * 0x1p-24f;  // subnormal: exact
  return sign != 0 ? -magnitude : magnitude;
}

/// 32 nibbles from 32 bytes' low or high halves: value i is in byte i % 4 of word i / 8, the low
/// half for the first four values of a word. So a mask makes four neighbours the bytes of a word.
std::array<std::uint32_t, 4> nibble_words(const std::byte* bytes, bool high) {
  constexpr std::uint32_t kLowHalves = 0x0f0f0f0f;
  const std::uint32_t shift = high ? 4 : 0;
  std::array<std::uint32_t, 4> words;
  for (std::size_t w = 0; w < words.size(); w++)
    words[w] = ((load_u32(bytes + 8 * w) >> shift) & kLowHalves) |
               ((load_u32(bytes + 8 * w + 4) >> shift) & kLowHalves) << 4;
  return words;
}

/// Bits `shift` and `shift` + 1 of 32 bytes: value i is in byte i % 4 of word i / 16, at twice
/// i / 4 % 4.
std::array<std::uint32_t, 2> pair_words(const std::byte* bytes, std::uint32_t shift) {
  std::array<std::uint32_t, 2> words{};
  for (std::uint32_t q = 0; q < 8; q++)
    words[q / 4] |= ((load_u32(bytes + 4 * q) >> shift) & 0x03030303) << (2 * (q % 4));
  return words;
}

/// Writes one row into its lane of a group's planes. `row` is the packed row of the file.
class RowPacker {
 public:
  RowPacker(const WeightShape& shape, const model::Tensor& tensor)
      : shape_(shape), tensor_(tensor) {}

  void quants(const std::byte* row, std::uint32_t lane, std::span<std::byte> plane) const;
  void scales(const std::byte* row, std::uint32_t lane, std::span<std::byte> plane) const;
  void high(const std::byte* row, std::uint32_t lane, std::span<std::byte> plane) const;

 private:
  void put_quants(std::span<std::byte> plane, std::uint32_t block, std::uint32_t word,
                  std::uint32_t lane, const void* sixteen_bytes) const {
    put(plane, std::uint64_t{block} * quant_words(shape_.type) + word, lane, sixteen_bytes, 16);
  }
  /// An element of `bytes` in a row of as many as there are lanes.
  void put(std::span<std::byte> plane, std::uint64_t row, std::uint32_t lane, const void* element,
           std::uint32_t bytes) const {
    const std::uint32_t unit = std::min(bytes, static_cast<std::uint32_t>(shape_.unit));
    const auto* from = static_cast<const std::byte*>(element);
    for (std::uint32_t done = 0; done < bytes; done += unit)
      std::memcpy(plane.data() + (row * bytes + done) * shape_.lanes + lane * unit, from + done,
                  unit);
  }
  void put_scale(std::span<std::byte> plane, std::uint64_t word, std::uint32_t lane,
                 std::uint32_t value) const {
    std::memcpy(plane.data() + (word * shape_.lanes + lane) * 4, &value, 4);
  }
  std::vector<model::AffineGroup> groups_of(const std::byte* row) const;

  const WeightShape& shape_;
  const model::Tensor& tensor_;
};

std::vector<model::AffineGroup> RowPacker::groups_of(const std::byte* row) const {
  const std::uint32_t per_block = model::block_values(tensor_.type) / model::kAffineValues;
  const std::uint32_t bytes = model::block_bytes(tensor_.type);
  const std::uint64_t n = shape_.cols / model::block_values(tensor_.type);
  std::vector<model::AffineGroup> groups(n * per_block);
  for (std::uint64_t b = 0; b < n; b++)
    model::affine8(tensor_.type, {row + b * bytes, bytes},
                   std::span(groups).subspan(b * per_block, per_block));
  return groups;
}

void RowPacker::quants(const std::byte* row, std::uint32_t lane, std::span<std::byte> plane) const {
  switch (shape_.type) {
    case KernelType::kF32:
    case KernelType::kF16:
    case KernelType::kBF16: {
      std::vector<float> values;  // of a row that is not stored as the kernel reads it
      std::uint64_t row_bytes = shape_.cols * model::block_bytes(tensor_.type);
      if (kernel_type(tensor_.type) != shape_.type) {
        values.resize(shape_.cols);
        model::dequantise(tensor_.type, {row, *model::row_bytes(tensor_.type, shape_.cols)},
                          values);
        row = std::as_bytes(std::span(values)).data();
        row_bytes = shape_.cols * sizeof(float);
      }
      for (std::uint64_t at = 0; at < row_bytes; at += 16) {
        std::array<std::byte, 16> word{};
        std::memcpy(word.data(), row + at, std::min<std::uint64_t>(16, row_bytes - at));
        const auto ix = static_cast<std::uint32_t>(at / 16);
        const std::uint32_t words = quant_words(shape_.type);
        put_quants(plane, ix / words, ix % words, lane, word.data());
      }
      return;
    }
    case KernelType::kQ8_0:
      for (std::uint32_t b = 0; b < shape_.n_blocks; b++)
        for (std::uint32_t w = 0; w < 2; w++)
          put_quants(plane, b, w, lane, row + std::uint64_t{b} * 34 + 2 + 16 * w);
      return;
    case KernelType::kQ4_0:
      for (std::uint32_t b = 0; b < shape_.n_blocks; b++) {
        std::array<std::byte, 32> spread;  // values 16..31 are the high halves of the same bytes
        std::memcpy(spread.data(), row + std::uint64_t{b} * 18 + 2, 16);
        for (std::size_t i = 0; i < 16; i++) spread[16 + i] = spread[i] >> 4;
        const auto words = nibble_words(spread.data(), /*high=*/false);
        put_quants(plane, b, 0, lane, words.data());
      }
      return;
    case KernelType::kQ4_K:
      for (std::uint32_t b = 0; b < shape_.n_blocks; b++) {
        const std::uint32_t k = b % 8;
        const std::byte* q = row + std::uint64_t{b / 8} * 144 + 16 + 32 * (k / 2);
        const auto words = nibble_words(q, /*high=*/k % 2 == 1);
        put_quants(plane, b, 0, lane, words.data());
      }
      return;
    case KernelType::kQ6_K:
      for (std::uint32_t b = 0; b < shape_.n_blocks; b++) {
        const std::uint32_t n = (b % 8) / 4;
        const std::uint32_t j = b % 4;
        const std::byte* q = row + std::uint64_t{b / 8} * 210 + 64 * n + 32 * (j % 2);
        const auto words = nibble_words(q, /*high=*/j >= 2);
        put_quants(plane, b, 0, lane, words.data());
      }
      return;
    case KernelType::kAffine8: {
      const auto groups = groups_of(row);
      for (std::uint32_t g = 0; g < groups.size(); g++)
        put_quants(plane, g / 2, g % 2, lane, groups[g].q.data());
      return;
    }
  }
}

void RowPacker::scales(const std::byte* row, std::uint32_t lane, std::span<std::byte> plane) const {
  switch (shape_.type) {
    case KernelType::kF32:
    case KernelType::kF16:
    case KernelType::kBF16:
      return;
    case KernelType::kQ8_0:
    case KernelType::kQ4_0: {
      const std::uint64_t bytes = shape_.type == KernelType::kQ8_0 ? 34 : 18;
      for (std::uint32_t b = 0; b < shape_.n_blocks; b += 2) {
        std::uint32_t pair = load_u16(row + b * bytes);
        if (b + 1 < shape_.n_blocks)
          pair |= static_cast<std::uint32_t>(load_u16(row + (b + 1) * bytes)) << 16;
        put_scale(plane, b / 2, lane, pair);
      }
      return;
    }
    case KernelType::kQ4_K:
      for (std::uint32_t s = 0; s < shape_.n_blocks / 8; s++)
        for (std::uint32_t w = 0; w < 4; w++)
          put_scale(plane, std::uint64_t{4} * s + w, lane,
                    load_u32(row + std::uint64_t{s} * 144 + 4 * w));
      return;
    case KernelType::kQ6_K:
      for (std::uint32_t s = 0; s < shape_.n_blocks / 8; s++) {
        const std::byte* block = row + std::uint64_t{s} * 210;
        for (std::uint32_t w = 0; w < 4; w++)
          put_scale(plane, std::uint64_t{5} * s + w, lane, load_u32(block + 192 + 4 * w));
        put_scale(plane, std::uint64_t{5} * s + 4, lane,
                  std::bit_cast<std::uint32_t>(half_to_float(load_u16(block + 208))));
      }
      return;
    case KernelType::kAffine8: {
      const auto groups = groups_of(row);
      for (std::uint32_t g = 0; g < groups.size(); g++) {
        put_scale(plane, std::uint64_t{2} * g, lane, std::bit_cast<std::uint32_t>(groups[g].scale));
        put_scale(plane, std::uint64_t{2} * g + 1, lane,
                  std::bit_cast<std::uint32_t>(groups[g].minimum));
      }
      return;
    }
  }
}

void RowPacker::high(const std::byte* row, std::uint32_t lane, std::span<std::byte> plane) const {
  for (std::uint32_t b = 0; b < shape_.n_blocks; b++) {
    const std::uint32_t n = (b % 8) / 4;
    const std::uint32_t j = b % 4;
    const std::byte* h = row + std::uint64_t{b / 8} * 210 + 128 + 32 * n;
    const auto words = pair_words(h, 2 * j);
    put(plane, b, lane, words.data(), 8);
  }
}

/// Groups of a matrix on their way from the file into the planes of a part.
class GroupWriter {
 public:
  GroupWriter(const WeightShape& shape, const model::Tensor& tensor, std::uint32_t first_group)
      : shape_(shape),
        tensor_(tensor),
        packer_(shape, tensor),
        row_bytes_(*model::row_bytes(tensor.type, tensor.cols)),
        first_group_(first_group) {}

  /// Groups [first, first + n) of those it was made for, shared out over the processors: they
  /// unpack slower than memory and disk deliver. The file's pages are read ahead and given back on
  /// the way, so that the process never holds more of them than a piece of the staging ring.
  void write(std::uint64_t first, std::uint64_t n, std::span<const std::span<std::byte>> pieces) {
    const std::span<const std::byte> source = file_bytes(first, n);
    if (tensor_.mapped) model::expect_mapped(file_bytes(first + n, n));
    const std::uint64_t n_threads = std::clamp<std::uint64_t>(
        std::min<std::uint64_t>(n, std::thread::hardware_concurrency()), 1, kMostThreads);
    std::vector<std::thread> threads;
    for (std::uint64_t t = 1; t < n_threads; t++)
      threads.emplace_back(
          [&, t] { write_some(first, n * t / n_threads, n * (t + 1) / n_threads, pieces); });
    write_some(first, 0, n / n_threads, pieces);
    for (std::thread& thread : threads) thread.join();
    if (tensor_.mapped) model::release_mapped(source);
  }

 private:
  static constexpr std::uint64_t kMostThreads = 8;

  /// The file's bytes of some groups of the part; what lies past the tensor is left out.
  [[nodiscard]] std::span<const std::byte> file_bytes(std::uint64_t first, std::uint64_t n) const {
    const std::uint64_t begin = (first_group_ + first) * shape_.lanes;
    const std::uint64_t end = std::min(begin + n * shape_.lanes, tensor_.rows);
    if (begin >= end) return {};
    return tensor_.bytes.subspan(begin * row_bytes_, (end - begin) * row_bytes_);
  }

  // Each group is built in cached memory and copied out, since device memory may be slow to read
  // and must be written in order.
  void write_some(std::uint64_t first, std::uint64_t begin, std::uint64_t end,
                  std::span<const std::span<std::byte>> pieces) const {
    constexpr std::array<PackRow, 3> kPlanes = {&RowPacker::quants, &RowPacker::scales,
                                                &RowPacker::high};
    const std::array<std::uint64_t, 3> plane_bytes = {shape_.quants_bytes, shape_.scales_bytes,
                                                      shape_.high_bytes};
    std::vector<std::byte> group(std::max({plane_bytes[0], plane_bytes[1], plane_bytes[2]}));
    for (std::uint64_t g = begin; g < end; g++) {
      const std::uint64_t first_row = (first_group_ + first + g) * shape_.lanes;
      const std::uint64_t n_rows = std::min<std::uint64_t>(shape_.lanes, tensor_.rows - first_row);
      std::size_t piece = 0;
      for (std::size_t plane = 0; plane < kPlanes.size(); plane++) {
        const std::uint64_t bytes = plane_bytes[plane];
        if (bytes == 0) continue;
        std::fill_n(group.begin(), bytes, std::byte{0});
        for (std::uint32_t lane = 0; lane < n_rows; lane++)
          (packer_.*kPlanes[plane])(tensor_.bytes.data() + (first_row + lane) * row_bytes_, lane,
                                    std::span(group).first(bytes));
        std::memcpy(pieces[piece].data() + g * bytes, group.data(), bytes);
        piece++;
      }
    }
  }

  using PackRow = void (RowPacker::*)(const std::byte*, std::uint32_t, std::span<std::byte>) const;

  const WeightShape& shape_;
  const model::Tensor& tensor_;
  RowPacker packer_;
  std::uint64_t row_bytes_;
  std::uint32_t first_group_;
};

}  // namespace

KernelType kernel_type(model::TensorType type) {
  switch (type) {
    case model::TensorType::kF32:
      return KernelType::kF32;
    case model::TensorType::kF16:
      return KernelType::kF16;
    case model::TensorType::kBF16:
      return KernelType::kBF16;
    case model::TensorType::kQ8_0:
      return KernelType::kQ8_0;
    case model::TensorType::kQ4_0:
      return KernelType::kQ4_0;
    case model::TensorType::kQ4_K:
      return KernelType::kQ4_K;
    case model::TensorType::kQ6_K:
      return KernelType::kQ6_K;
    case model::TensorType::kQ4_1:
    case model::TensorType::kQ5_0:
    case model::TensorType::kQ5_1:
    case model::TensorType::kQ2_K:
    case model::TensorType::kQ3_K:
    case model::TensorType::kQ5_K:
    case model::TensorType::kIQ4_NL:
    case model::TensorType::kIQ4_XS:
      return KernelType::kAffine8;
  }
  PREFLIGHT_ASSERT(false);
}

std::string_view shader_name(KernelType type) {
  switch (type) {
    case KernelType::kF32:
      return "f32";
    case KernelType::kF16:
      return "f16";
    case KernelType::kBF16:
      return "bf16";
    case KernelType::kQ8_0:
      return "q8_0";
    case KernelType::kQ4_0:
      return "q4_0";
    case KernelType::kQ4_K:
      return "q4_k";
    case KernelType::kQ6_K:
      return "q6_k";
    case KernelType::kAffine8:
      return "affine8";
  }
  PREFLIGHT_ASSERT(false);
}

KernelType common_type(const model::Tensor& a, const model::Tensor& b) {
  const KernelType type_a = kernel_type(a.type);
  const KernelType type_b = kernel_type(b.type);
  if (type_a == type_b) return type_a;
  const auto packed = [](KernelType type) {
    return type != KernelType::kF32 && type != KernelType::kF16 && type != KernelType::kBF16;
  };
  return packed(type_a) && packed(type_b) ? KernelType::kAffine8 : KernelType::kF32;
}

Result<WeightShape> WeightShape::of(const model::Tensor& tensor, Interleave interleave,
                                    KernelType as) {
  const std::uint32_t lanes = interleave.lanes;
  constexpr std::uint64_t kMost = 1u << 28;  // rows and columns; keeps every product in 64 bits
  if (tensor.rows == 0 || tensor.cols == 0 || tensor.rows > kMost || tensor.cols > kMost ||
      !model::row_bytes(tensor.type, tensor.cols))
    return fail(ErrorCode::kInvalidInput,
                fmt::format("tensor \"{}\" is {} [{}, {}], outside what the kernels read",
                            tensor.name, model::type_name(tensor.type), tensor.rows, tensor.cols));
  WeightShape shape{.type = as,
                    .lanes = lanes,
                    .unit = interleave.unit,
                    .rows = tensor.rows,
                    .cols = tensor.cols,
                    .n_blocks = 0,
                    .n_groups = 0,
                    .quants_bytes = 0,
                    .scales_bytes = 0,
                    .high_bytes = 0};
  shape.n_blocks = static_cast<std::uint32_t>((tensor.cols + kBlock - 1) / kBlock);
  shape.n_groups = static_cast<std::uint32_t>((tensor.rows + lanes - 1) / lanes);
  shape.quants_bytes = std::uint64_t{shape.n_blocks} * quant_words(shape.type) * lanes * 16;
  shape.scales_bytes = scale_words(shape.type, shape.n_blocks) * lanes * 4;
  if (shape.type == KernelType::kQ6_K) shape.high_bytes = std::uint64_t{shape.n_blocks} * lanes * 8;
  static_assert(kSuperBlock == 8 * kBlock);
  return shape;
}

std::uint32_t WeightShape::groups_per_part(const vk::DeviceDescription& device) const {
  const std::uint64_t widest = std::max({quants_bytes, scales_bytes, high_bytes});
  const std::uint64_t all = quants_bytes + scales_bytes + high_bytes;
  const std::uint64_t by_range = device.max_storage_buffer_range / widest;
  const std::uint64_t by_allocation = (device.max_allocation_bytes - 4 * kPlaneAlignment) / all;
  return static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(std::min(by_range, by_allocation), 1, n_groups));
}

std::uint64_t WeightShape::device_bytes(const vk::DeviceDescription& device) const {
  const std::uint32_t per_part = groups_per_part(device);
  const auto part_bytes = [&](std::uint64_t groups) {
    return align_up(groups * quants_bytes, kPlaneAlignment) +
           align_up(groups * scales_bytes, kPlaneAlignment) +
           align_up(groups * high_bytes, kPlaneAlignment);
  };
  const std::uint32_t rest = n_groups % per_part;
  return n_groups / per_part * part_bytes(per_part) + (rest != 0 ? part_bytes(rest) : 0);
}

bool can_stack(const model::Tensor& upper, const model::Tensor& lower, std::uint32_t lanes) {
  return kernel_type(upper.type) == kernel_type(lower.type) && upper.cols == lower.cols &&
         upper.rows % lanes == 0;
}

Result<WeightMatrix> load_matrix(vk::Device& device, vk::Uploader& uploader,
                                 const model::Tensor& tensor, Interleave interleave,
                                 KernelType as) {
  const model::Tensor* const one = &tensor;
  return load_stack(device, uploader, {&one, 1}, interleave, as);
}

Result<WeightMatrix> load_stack(vk::Device& device, vk::Uploader& uploader,
                                std::span<const model::Tensor* const> tensors,
                                Interleave interleave, KernelType as) {
  std::vector<WeightShape> shapes;
  for (const model::Tensor* tensor : tensors) {
    PREFLIGHT_TRY(const WeightShape own, WeightShape::of(*tensor, interleave, as));
    shapes.push_back(own);
  }
  WeightShape shape = shapes.front();
  for (std::size_t i = 1; i < shapes.size(); i++) {
    shape.rows += shapes[i].rows;
    shape.n_groups += shapes[i].n_groups;
  }
  WeightMatrix matrix{.shape = shape, .parts = {}};
  const std::uint32_t per_part = shape.groups_per_part(device.description());
  for (std::uint32_t first = 0; first < shape.n_groups; first += per_part) {
    const std::uint32_t n_groups = std::min(per_part, shape.n_groups - first);
    const std::uint64_t scales_at = align_up(n_groups * shape.quants_bytes, kPlaneAlignment);
    const std::uint64_t high_at =
        scales_at + align_up(n_groups * shape.scales_bytes, kPlaneAlignment);
    const std::uint64_t bytes = high_at + align_up(n_groups * shape.high_bytes, kPlaneAlignment);
    PREFLIGHT_TRY(vk::Buffer buffer,
                  vk::Buffer::create(device, bytes, vk::Residency::kDevice, tensors.front()->name));
    std::uint32_t above = 0;  // groups of the tensors before
    for (std::size_t i = 0; i < tensors.size(); above += shapes[i].n_groups, i++) {
      const std::uint32_t begin = std::max(first, above);
      const std::uint32_t end = std::min(first + n_groups, above + shapes[i].n_groups);
      if (begin >= end) continue;
      const std::uint64_t before = begin - first;
      std::vector<vk::Uploader::Plane> planes = {{before * shape.quants_bytes, shape.quants_bytes}};
      if (shape.scales_bytes != 0)
        planes.push_back({scales_at + before * shape.scales_bytes, shape.scales_bytes});
      if (shape.high_bytes != 0)
        planes.push_back({high_at + before * shape.high_bytes, shape.high_bytes});
      GroupWriter writer(shapes[i], *tensors[i], begin - above);
      PREFLIGHT_TRY_VOID(
          uploader.write(buffer, planes, end - begin,
                         [&](std::uint64_t from, std::uint64_t n,
                             std::span<const std::span<std::byte>> pieces) -> Result<void> {
                           writer.write(from, n, pieces);
                           return {};
                         }));
    }

    const std::uint32_t first_row = first * shape.lanes;
    matrix.parts.push_back({.buffer = std::move(buffer),
                            .quants = {nullptr, 0, n_groups * shape.quants_bytes},
                            .scales = {nullptr, scales_at, n_groups * shape.scales_bytes},
                            .high = {nullptr, high_at, n_groups * shape.high_bytes},
                            .first_row = first_row,
                            .n_rows = static_cast<std::uint32_t>(std::min<std::uint64_t>(
                                std::uint64_t{n_groups} * shape.lanes, shape.rows - first_row))});
  }
  // The parts have their final place now; slices may point at their buffers.
  for (WeightPart& part : matrix.parts) {
    part.quants.buffer = &part.buffer;
    part.scales = shape.scales_bytes == 0
                      ? part.quants
                      : vk::Slice{&part.buffer, part.scales.offset_bytes, part.scales.size_bytes};
    part.high = shape.high_bytes == 0
                    ? part.quants
                    : vk::Slice{&part.buffer, part.high.offset_bytes, part.high.size_bytes};
  }
  return matrix;
}

}  // namespace preflight::forward
