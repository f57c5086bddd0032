#include "engine/model/safetensors_write.h"

#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <set>
#include <system_error>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace preflight::model {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

std::span<const std::byte> bytes_of(const OutputTensor& tensor) {
  return std::visit([](auto values) { return std::as_bytes(values); }, tensor.data);
}

std::size_t n_values(const OutputTensor& tensor) {
  return std::visit([](auto values) { return values.size(); }, tensor.data);
}

/// Whether the shape's product is `expected`, without overflow.
bool shape_fits(const std::vector<std::uint64_t>& shape, std::uint64_t expected) {
  std::uint64_t product = 1;
  for (const std::uint64_t n : shape) {
    if (__builtin_mul_overflow(product, n, &product)) return false;
  }
  return product == expected;
}

Result<std::string> make_header(std::span<const OutputTensor> tensors) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  std::set<std::string_view> names;
  std::uint64_t begin = 0;
  for (const OutputTensor& tensor : tensors) {
    if (!names.insert(tensor.name).second) {
      return fail(ErrorCode::kInvalidInput, fmt::format("tensor {} is given twice", tensor.name));
    }
    if (!shape_fits(tensor.shape, n_values(tensor))) {
      return fail(ErrorCode::kInvalidInput,
                  fmt::format("tensor {} has {} values, which do not fit its shape", tensor.name,
                              n_values(tensor)));
    }
    const std::uint64_t end = begin + bytes_of(tensor).size();
    const bool is_float = std::holds_alternative<std::span<const float>>(tensor.data);
    header[tensor.name] = {{"dtype", is_float ? "F32" : "I32"},
                           {"shape", tensor.shape},
                           {"data_offsets", {begin, end}}};
    begin = end;
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that the data lies aligned
  return text;
}

struct CloseFile {
  void operator()(std::FILE* file) const { static_cast<void>(std::fclose(file)); }
};

}  // namespace

Result<void> write_safetensors(const std::filesystem::path& path,
                               std::span<const OutputTensor> tensors) {
  PREFLIGHT_TRY(const std::string header, make_header(tensors));
  std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "wb"));
  const auto failed = [&path](int code) {
    return fail(ErrorCode::kIo,
                fmt::format("{} could not be written: {}", path.string(), std::strerror(code)));
  };
  if (!file) return failed(errno);
  const std::uint64_t header_bytes = header.size();
  bool whole = std::fwrite(&header_bytes, sizeof header_bytes, 1, file.get()) == 1 &&
               std::fwrite(header.data(), 1, header.size(), file.get()) == header.size();
  for (const OutputTensor& tensor : tensors) {
    const std::span<const std::byte> bytes = bytes_of(tensor);
    whole = whole && std::fwrite(bytes.data(), 1, bytes.size(), file.get()) == bytes.size();
  }
  int code = errno;
  if (std::fclose(file.release()) != 0 && whole) {
    code = errno;
    whole = false;
  }
  if (whole) return {};
  std::error_code ignored;  // the failure to write is the one to tell
  if (std::filesystem::is_regular_file(path, ignored)) std::filesystem::remove(path, ignored);
  return failed(code);
}

}  // namespace preflight::model
