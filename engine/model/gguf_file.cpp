#include "engine/model/gguf_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "engine/model/blocks.h"

namespace preflight::model {
namespace {

constexpr std::uint32_t kMagic = 0x46554747;
constexpr std::uint64_t kDefaultAlignment = 32;
constexpr std::uint64_t kMostAlignment = 1u << 20;
constexpr std::size_t kLongestName = 65535;
constexpr int kDeepestArray = 4;

struct TypeId {
  std::uint32_t id;
  TensorType type;
};

constexpr std::array<TypeId, 15> kTypeIds = {{{0, TensorType::kF32},
                                              {1, TensorType::kF16},
                                              {2, TensorType::kQ4_0},
                                              {3, TensorType::kQ4_1},
                                              {6, TensorType::kQ5_0},
                                              {7, TensorType::kQ5_1},
                                              {8, TensorType::kQ8_0},
                                              {10, TensorType::kQ2_K},
                                              {11, TensorType::kQ3_K},
                                              {12, TensorType::kQ4_K},
                                              {13, TensorType::kQ5_K},
                                              {14, TensorType::kQ6_K},
                                              {20, TensorType::kIQ4_NL},
                                              {23, TensorType::kIQ4_XS},
                                              {30, TensorType::kBF16}}};

struct ForeignType {
  std::uint32_t id;
  std::string_view name;
};

/// Types that exist and are refused by their name.
constexpr std::array<ForeignType, 19> kForeignTypes = {{{9, "Q8_1"},
                                                        {15, "Q8_K"},
                                                        {16, "IQ2_XXS"},
                                                        {17, "IQ2_XS"},
                                                        {18, "IQ3_XXS"},
                                                        {19, "IQ1_S"},
                                                        {21, "IQ3_S"},
                                                        {22, "IQ2_S"},
                                                        {24, "I8"},
                                                        {25, "I16"},
                                                        {26, "I32"},
                                                        {27, "I64"},
                                                        {28, "F64"},
                                                        {29, "IQ1_M"},
                                                        {34, "TQ1_0"},
                                                        {35, "TQ2_0"},
                                                        {39, "MXFP4"},
                                                        {40, "NVFP4"},
                                                        {41, "Q1_0"}}};

std::optional<TensorType> type_from_id(std::uint32_t id) {
  for (const TypeId& known : kTypeIds)
    if (known.id == id) return known.type;
  return std::nullopt;
}

std::string foreign_name(std::uint32_t id) {
  for (const ForeignType& known : kForeignTypes)
    if (known.id == id) return fmt::format("{} ({})", known.name, id);
  return fmt::format("number {}, which is unknown", id);
}

/// Bytes of a scalar; 0 for strings and arrays.
std::uint64_t scalar_bytes(GgufType type) {
  switch (type) {
    case GgufType::kUint8:
    case GgufType::kInt8:
    case GgufType::kBool:
      return 1;
    case GgufType::kUint16:
    case GgufType::kInt16:
      return 2;
    case GgufType::kUint32:
    case GgufType::kInt32:
    case GgufType::kFloat32:
      return 4;
    case GgufType::kUint64:
    case GgufType::kInt64:
    case GgufType::kFloat64:
      return 8;
    case GgufType::kString:
    case GgufType::kArray:
      return 0;
  }
  return 0;
}

template <class T>
T load(std::span<const std::byte> bytes, std::size_t at = 0) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Reads forward through the header and never past its end. The first read that does not fit makes
/// `ok` false and all later ones zero; callers look at `ok` before they use what they read.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  std::size_t at() const { return at_; }
  std::uint64_t left() const { return bytes_.size() - at_; }

  std::span<const std::byte> take(std::uint64_t n) {
    if (!ok_ || n > left()) {
      ok_ = false;
      return {};
    }
    const auto part = bytes_.subspan(at_, n);
    at_ += n;
    return part;
  }
  template <class T>
  T read() {
    const auto part = take(sizeof(T));
    return ok_ ? load<T>(part) : T{};
  }
  std::span<const std::byte> text() { return take(read<std::uint64_t>()); }

  /// Skips `count` array elements; false also for an unknown type or too deep a nesting.
  bool skip_elements(GgufType element, std::uint64_t count, int depth) {
    if (const std::uint64_t size = scalar_bytes(element); size != 0) {
      if (count > left() / size) return ok_ = false;
      take(count * size);
      return ok_;
    }
    if (element == GgufType::kString) {
      for (std::uint64_t i = 0; i < count && ok_; ++i) text();
      return ok_;
    }
    if (element != GgufType::kArray || depth >= kDeepestArray) return ok_ = false;
    for (std::uint64_t i = 0; i < count && ok_; ++i) {
      const auto inner = static_cast<GgufType>(read<std::uint32_t>());
      const auto inner_count = read<std::uint64_t>();
      if (ok_) skip_elements(inner, inner_count, depth + 1);
    }
    return ok_;
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

std::string_view type_text(GgufType type) {
  constexpr std::array<std::string_view, 13> kNames = {
      "UINT8", "INT8",   "UINT16", "INT16",  "UINT32", "INT32",  "FLOAT32",
      "BOOL",  "STRING", "ARRAY",  "UINT64", "INT64",  "FLOAT64"};
  const auto index = static_cast<std::size_t>(type);
  return index < kNames.size() ? kNames[index] : "an unknown type";
}

/// A scalar of any integer or boolean type.
std::optional<std::int64_t> as_integer(GgufType type, std::span<const std::byte> bytes) {
  switch (type) {
    case GgufType::kUint8:
      return load<std::uint8_t>(bytes);
    case GgufType::kBool: {
      const auto value = load<std::uint8_t>(bytes);
      if (value > 1) return std::nullopt;
      return value;
    }
    case GgufType::kInt8:
      return load<std::int8_t>(bytes);
    case GgufType::kUint16:
      return load<std::uint16_t>(bytes);
    case GgufType::kInt16:
      return load<std::int16_t>(bytes);
    case GgufType::kUint32:
      return load<std::uint32_t>(bytes);
    case GgufType::kInt32:
      return load<std::int32_t>(bytes);
    case GgufType::kInt64:
      return load<std::int64_t>(bytes);
    case GgufType::kUint64: {
      const auto value = load<std::uint64_t>(bytes);
      if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        return std::nullopt;
      return static_cast<std::int64_t>(value);
    }
    case GgufType::kFloat32:
    case GgufType::kFloat64:
    case GgufType::kString:
    case GgufType::kArray:
      break;
  }
  return std::nullopt;
}

/// A scalar of any type that is a number.
std::optional<float> as_float(GgufType type, std::span<const std::byte> bytes) {
  if (type == GgufType::kFloat32) return load<float>(bytes);
  // Out of the range of f32 becomes an infinity, which the callers refuse; the cast alone would be
  // undefined.
  if (type == GgufType::kFloat64) {
    const auto value = load<double>(bytes);
    return std::abs(value) <= double{std::numeric_limits<float>::max()}
               ? static_cast<float>(value)
               : std::numeric_limits<float>::infinity();
  }
  const std::optional<std::int64_t> integer = as_integer(type, bytes);
  if (!integer) return std::nullopt;
  return static_cast<float>(*integer);
}

std::string shown(const GgufValue& value) {
  if (value.type == GgufType::kString) return in_quotes(as_text(value.payload));
  if (value.type == GgufType::kArray)
    return fmt::format("an array of {} {}", value.count, type_text(value.element));
  if (value.type == GgufType::kFloat32) return fmt::format("{}", load<float>(value.payload));
  if (value.type == GgufType::kFloat64) return fmt::format("{}", load<double>(value.payload));
  if (const auto number = as_integer(value.type, value.payload)) return fmt::format("{}", *number);
  return fmt::format("a {} out of range", type_text(value.type));
}

}  // namespace

std::uint32_t gguf_type_id(TensorType type) {
  for (const TypeId& known : kTypeIds)
    if (known.type == type) return known.id;
  PREFLIGHT_ASSERT(false && "every tensor type has a number");
  return 0;
}

Result<GgufFile> GgufFile::open(const std::filesystem::path& path) {
  PREFLIGHT_TRY(MappedFile mapped, MappedFile::open(path));
  GgufFile file(std::move(mapped));
  PREFLIGHT_TRY_VOID(file.parse());
  return file;
}

Result<void> GgufFile::parse() {
  const auto bad = [this](std::string_view text) {
    return fail(ErrorCode::kInvalidInput, fmt::format("{}: {}", name(), text));
  };
  const auto truncated = [&](std::string_view where) {
    return bad(fmt::format("ends inside {} (the file has {} bytes)", where, bytes().size()));
  };
  Reader in(bytes());
  const auto magic = in.read<std::uint32_t>();
  const auto version = in.read<std::uint32_t>();
  if (!in.ok() || magic != kMagic) return bad("is no GGUF file: it does not begin with \"GGUF\"");
  if (version == 0x02000000u || version == 0x03000000u)
    return fail(ErrorCode::kUnsupported,
                fmt::format("{}: is a big-endian GGUF file, expected little-endian", name()));
  if (version != 2 && version != 3)
    return fail(ErrorCode::kUnsupported,
                fmt::format("{}: has GGUF version {}, expected 3 or 2", name(), version));
  const auto n_tensors = in.read<std::uint64_t>();
  const auto n_values = in.read<std::uint64_t>();
  if (!in.ok()) return truncated("its first 24 bytes");
  // The smallest value has 13 bytes of header, the smallest tensor 32: counts that cannot fit end
  // here.
  if (n_values > in.left() / 13)
    return bad(fmt::format("counts {} metadata values, more than {} bytes can hold", n_values,
                           bytes().size()));
  if (n_tensors > in.left() / 32)
    return bad(
        fmt::format("counts {} tensors, more than {} bytes can hold", n_tensors, bytes().size()));

  for (std::uint64_t i = 0; i < n_values; ++i) {
    const std::string_view key = as_text(in.text());
    GgufValue value;
    value.type = static_cast<GgufType>(in.read<std::uint32_t>());
    if (!in.ok()) return truncated(fmt::format("metadata value {} of {}", i + 1, n_values));
    if (key.size() > kLongestName)
      return bad(fmt::format("metadata key {} has {} bytes, at most {} are allowed", in_quotes(key),
                             key.size(), kLongestName));
    if (value.type == GgufType::kString) {
      value.payload = in.text();
    } else if (value.type == GgufType::kArray) {
      value.element = static_cast<GgufType>(in.read<std::uint32_t>());
      value.count = in.read<std::uint64_t>();
      const std::size_t begin = in.at();
      if (!in.ok() || !in.skip_elements(value.element, value.count, 1))
        return bad(fmt::format(
            "the array of key {} ({} elements of type {}) does not fit the file or is nested "
            "deeper "
            "than {} levels",
            in_quotes(key), value.count, static_cast<std::uint32_t>(value.element), kDeepestArray));
      value.payload = bytes().subspan(begin, in.at() - begin);
    } else if (const std::uint64_t size = scalar_bytes(value.type); size != 0) {
      value.payload = in.take(size);
    } else {
      return bad(fmt::format("key {} has value type {}, expected 0 to 12", in_quotes(key),
                             static_cast<std::uint32_t>(value.type)));
    }
    if (!in.ok()) return truncated(fmt::format("the value of key {}", in_quotes(key)));
    if (!values_.emplace(key, value).second)
      return bad(fmt::format("key {} stands twice", in_quotes(key)));
  }

  PREFLIGHT_TRY(const std::optional<std::uint32_t> alignment_key, find_uint("general.alignment"));
  const std::uint64_t alignment = alignment_key.value_or(kDefaultAlignment);
  if (alignment == 0 || alignment > kMostAlignment || (alignment & (alignment - 1)) != 0)
    return wrong(ErrorCode::kInvalidInput, "general.alignment",
                 fmt::format("is {}, expected a power of two up to {}", alignment, kMostAlignment));

  // Offsets count from the end of this table, which is known after its last entry only.
  std::vector<std::uint64_t> offsets;
  std::unordered_set<std::string_view> names;
  for (std::uint64_t i = 0; i < n_tensors; ++i) {
    GgufTensor tensor;
    tensor.name = as_text(in.text());
    const auto n_dims = in.read<std::uint32_t>();
    if (!in.ok()) return truncated(fmt::format("the entry of tensor {} of {}", i + 1, n_tensors));
    const std::string shown_name = in_quotes(tensor.name);
    if (tensor.name.size() > kLongestName)
      return bad(fmt::format("the name of tensor {} has {} bytes, at most {} are allowed", i + 1,
                             tensor.name.size(), kLongestName));
    if (n_dims < 1 || n_dims > 4)
      return bad(fmt::format("tensor {} has {} dimensions, expected 1 to 4", shown_name, n_dims));
    for (std::uint32_t d = 0; d < n_dims; ++d) tensor.ne[d] = in.read<std::uint64_t>();
    const auto type_id = in.read<std::uint32_t>();
    const auto offset = in.read<std::uint64_t>();
    if (!in.ok()) return truncated(fmt::format("the entry of tensor {}", shown_name));
    const std::optional<TensorType> type = type_from_id(type_id);
    if (!type)
      return fail(ErrorCode::kUnsupported,
                  fmt::format("{}: tensor {} has type {}; this build reads F32, F16, BF16, Q8_0, "
                              "Q4_0, Q4_1, Q5_0, Q5_1, Q2_K to Q6_K, IQ4_NL and IQ4_XS",
                              name(), shown_name, foreign_name(type_id)));
    tensor.type = *type;
    if (!names.insert(tensor.name).second)
      return bad(fmt::format("tensor {} stands twice", shown_name));
    if (offset % alignment != 0)
      return bad(fmt::format("tensor {} starts at offset {}, expected a multiple of {}", shown_name,
                             offset, alignment));
    offsets.push_back(offset);
    tensors_.push_back(tensor);
  }

  header_bytes_ = in.at();
  const std::uint64_t data_start = (in.at() + alignment - 1) / alignment * alignment;
  const std::uint64_t data_bytes = bytes().size() > data_start ? bytes().size() - data_start : 0;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    GgufTensor& tensor = tensors_[i];
    std::optional<std::uint64_t> size = row_bytes(tensor.type, tensor.ne[0]);
    if (!size)
      return bad(fmt::format("tensor {} has rows of {} values, expected a multiple of {} for {}",
                             in_quotes(tensor.name), tensor.ne[0], block_values(tensor.type),
                             type_name(tensor.type)));
    bool fits = *size > 0;
    for (std::size_t d = 1; d < tensor.ne.size() && fits; ++d) {
      fits = tensor.ne[d] > 0 && *size <= data_bytes / tensor.ne[d];
      if (fits) *size *= tensor.ne[d];
    }
    if (!fits || *size > data_bytes || offsets[i] > data_bytes - *size)
      return bad(
          fmt::format("tensor {} {} [{}] at offset {} does not fit the {} bytes of tensor data",
                      in_quotes(tensor.name), type_name(tensor.type), fmt::join(tensor.ne, ", "),
                      offsets[i], data_bytes));
    tensor.bytes = bytes().subspan(data_start + offsets[i], *size);
  }

  std::vector<const GgufTensor*> by_place;
  by_place.reserve(tensors_.size());
  for (const GgufTensor& tensor : tensors_) by_place.push_back(&tensor);
  std::sort(by_place.begin(), by_place.end(), [](const GgufTensor* a, const GgufTensor* b) {
    return a->bytes.data() < b->bytes.data();
  });
  for (std::size_t i = 1; i < by_place.size(); ++i)
    if (by_place[i - 1]->bytes.data() + by_place[i - 1]->bytes.size() > by_place[i]->bytes.data())
      return bad(fmt::format("tensors {} and {} overlap", in_quotes(by_place[i - 1]->name),
                             in_quotes(by_place[i]->name)));
  return {};
}

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto it = values_.find(key);
  return it == values_.end() ? nullptr : &it->second;
}

tl::unexpected<Error> GgufFile::wrong(ErrorCode code, std::string_view key,
                                      std::string_view rest) const {
  return fail(code, fmt::format("{}: key {}: {}", name(), key, rest));
}

tl::unexpected<Error> GgufFile::missing(std::string_view key) const {
  return wrong(ErrorCode::kInvalidInput, key, "is missing");
}

tl::unexpected<Error> GgufFile::mistyped(std::string_view key, const GgufValue& found,
                                         std::string_view expected) const {
  return wrong(ErrorCode::kInvalidInput, key,
               fmt::format("is {}, expected {}", shown(found), expected));
}

bool GgufFile::is_array(std::string_view key) const {
  const GgufValue* value = find(key);
  return value != nullptr && value->type == GgufType::kArray;
}

Result<std::optional<std::uint32_t>> GgufFile::find_uint(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  const std::optional<std::int64_t> number = as_integer(value->type, value->payload);
  if (!number || *number < 0 || *number > std::numeric_limits<std::uint32_t>::max())
    return mistyped(key, *value, "an integer from 0 to 4294967295");
  return static_cast<std::uint32_t>(*number);
}

Result<std::uint32_t> GgufFile::uint(std::string_view key) const {
  PREFLIGHT_TRY(const std::optional<std::uint32_t> value, find_uint(key));
  if (!value) return missing(key);
  return *value;
}

Result<std::vector<float>> GgufFile::floats(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return missing(key);
  const GgufType element = value->type == GgufType::kArray ? value->element : value->type;
  const std::uint64_t size = scalar_bytes(element);
  if (size == 0) return mistyped(key, *value, "numbers");
  std::vector<float> out;
  for (std::uint64_t i = 0; i < value->count; ++i) {
    const std::optional<float> number = as_float(element, value->payload.subspan(i * size, size));
    if (!number || !std::isfinite(*number)) return mistyped(key, *value, "finite numbers");
    out.push_back(*number);
  }
  return out;
}

Result<std::optional<float>> GgufFile::find_float(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  const std::optional<float> number = as_float(value->type, value->payload);
  if (!number || !std::isfinite(*number)) return mistyped(key, *value, "a finite number");
  return number;
}

Result<float> GgufFile::number(std::string_view key) const {
  PREFLIGHT_TRY(const std::optional<float> value, find_float(key));
  if (!value) return missing(key);
  return *value;
}

Result<std::optional<bool>> GgufFile::find_bool(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  const std::optional<std::int64_t> number = as_integer(value->type, value->payload);
  if (!number || *number < 0 || *number > 1) return mistyped(key, *value, "true or false");
  return *number == 1;
}

Result<std::optional<std::string_view>> GgufFile::find_text(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufType::kString) return mistyped(key, *value, "a text");
  return as_text(value->payload);
}

Result<std::string_view> GgufFile::text(std::string_view key) const {
  PREFLIGHT_TRY(const std::optional<std::string_view> value, find_text(key));
  if (!value) return missing(key);
  return *value;
}

Result<std::optional<std::vector<std::int64_t>>> GgufFile::find_ints(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  std::vector<std::int64_t> out;
  const GgufType element = value->type == GgufType::kArray ? value->element : value->type;
  const std::uint64_t size = scalar_bytes(element);
  if (size == 0) return mistyped(key, *value, "integers");
  for (std::uint64_t i = 0; i < value->count; ++i) {
    const std::optional<std::int64_t> number =
        as_integer(element, value->payload.subspan(i * size, size));
    if (!number) return mistyped(key, *value, "integers");
    out.push_back(*number);
  }
  return out;
}

Result<std::vector<std::string_view>> GgufFile::texts(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return missing(key);
  if (value->type != GgufType::kArray || value->element != GgufType::kString)
    return mistyped(key, *value, "an array of texts");
  std::vector<std::string_view> out;
  out.reserve(value->count);
  Reader in(value->payload);
  for (std::uint64_t i = 0; i < value->count; ++i) out.push_back(as_text(in.text()));
  PREFLIGHT_ASSERT(in.ok());
  return out;
}

}  // namespace preflight::model
