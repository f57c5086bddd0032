#include "engine/model/gguf_writer.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "engine/model/blocks.h"
#include "engine/model/mapped_file.h"

namespace preflight::model {
namespace {

constexpr std::uint64_t kAlignment = 32;
constexpr std::uint64_t kPartBytes = 4u << 20;

std::uint64_t aligned(std::uint64_t size) {
  return (size + kAlignment - 1) / kAlignment * kAlignment;
}

template <class T>
void append(std::string& out, T value) {
  const char* bytes = reinterpret_cast<const char*>(&value);
  out.append(bytes, sizeof(T));
}

void append_text(std::string& out, std::string_view text) {
  append<std::uint64_t>(out, text.size());
  out += text;
}

/// A file under construction: closed and removed unless it was kept.
class OutputFile {
 public:
  explicit OutputFile(std::string path)
      : path_(std::move(path)),
        descriptor_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {}
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile() {
    if (descriptor_ < 0) return;
    // Not kept: what the system says about a file that is being thrown away changes nothing.
    static_cast<void>(::close(descriptor_));
    static_cast<void>(::unlink(path_.c_str()));
  }

  bool opened() const { return descriptor_ >= 0; }
  bool resize(std::uint64_t size) {
    return ::ftruncate(descriptor_, static_cast<off_t>(size)) == 0;
  }
  bool write_at(std::uint64_t offset, const void* data, std::size_t size) {
    const char* from = static_cast<const char*>(data);
    while (size > 0) {
      const ssize_t n = ::pwrite(descriptor_, from, size, static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      from += n;
      offset += static_cast<std::uint64_t>(n);
      size -= static_cast<std::size_t>(n);
    }
    return true;
  }
  bool keep_as(const std::string& name) {
    if (::fsync(descriptor_) != 0) return false;
    const int status = ::close(std::exchange(descriptor_, -1));
    if (status == 0 && std::rename(path_.c_str(), name.c_str()) == 0) return true;
    const int error = errno;
    static_cast<void>(::unlink(path_.c_str()));
    errno = error;
    return false;
  }

 private:
  std::string path_;
  int descriptor_;
};

}  // namespace

void GgufWriter::begin_value(std::string_view key, GgufType type) {
  append_text(values_, key);
  append(values_, static_cast<std::uint32_t>(type));
  ++n_values_;
}

void GgufWriter::begin_array(std::string_view key, GgufType element, std::size_t count) {
  begin_value(key, GgufType::kArray);
  append(values_, static_cast<std::uint32_t>(element));
  append<std::uint64_t>(values_, count);
}

void GgufWriter::add_text(std::string_view key, std::string_view value) {
  begin_value(key, GgufType::kString);
  append_text(values_, value);
}

void GgufWriter::add_uint(std::string_view key, std::uint32_t value) {
  begin_value(key, GgufType::kUint32);
  append(values_, value);
}

void GgufWriter::add_float(std::string_view key, float value) {
  begin_value(key, GgufType::kFloat32);
  append(values_, value);
}

void GgufWriter::add_bool(std::string_view key, bool value) {
  begin_value(key, GgufType::kBool);
  append(values_, static_cast<std::uint8_t>(value ? 1 : 0));
}

void GgufWriter::add_texts(std::string_view key, std::span<const std::string> values) {
  begin_array(key, GgufType::kString, values.size());
  for (const std::string& value : values) append_text(values_, value);
}

void GgufWriter::add_ints(std::string_view key, std::span<const std::int32_t> values) {
  begin_array(key, GgufType::kInt32, values.size());
  for (const std::int32_t value : values) append(values_, value);
}

void GgufWriter::add_floats(std::string_view key, std::span<const float> values) {
  begin_array(key, GgufType::kFloat32, values.size());
  for (const float value : values) append(values_, value);
}

void GgufWriter::add_bools(std::string_view key, const std::vector<bool>& values) {
  begin_array(key, GgufType::kBool, values.size());
  for (const bool value : values) append(values_, static_cast<std::uint8_t>(value ? 1 : 0));
}

Result<void> GgufWriter::add_tensor(std::string name, TensorType type,
                                    std::vector<std::uint64_t> ne, Fill fill) {
  PREFLIGHT_ASSERT(!ne.empty() && ne.size() <= 4);
  const std::optional<std::uint64_t> row = row_bytes(type, ne.front());
  if (!row)
    return fail(ErrorCode::kInvalidInput,
                fmt::format("tensor {} has rows of {} values, {} needs a multiple of {}",
                            in_quotes(name), ne.front(), type_name(type), block_values(type)));
  std::uint64_t bytes = *row;
  for (std::size_t d = 1; d < ne.size(); ++d) bytes *= ne[d];
  tensors_.push_back({std::move(name), type, std::move(ne), bytes, data_bytes_, std::move(fill)});
  data_bytes_ += aligned(bytes);
  return {};
}

std::string GgufWriter::header() const {
  std::string out = "GGUF";
  append<std::uint32_t>(out, 3);
  append<std::uint64_t>(out, tensors_.size());
  append<std::uint64_t>(out, n_values_);
  out += values_;
  for (const Entry& tensor : tensors_) {
    append_text(out, tensor.name);
    append(out, static_cast<std::uint32_t>(tensor.ne.size()));
    for (const std::uint64_t n : tensor.ne) append(out, n);
    append(out, gguf_type_id(tensor.type));
    append(out, tensor.offset);
  }
  out.resize(aligned(out.size()), '\0');
  return out;
}

std::uint64_t GgufWriter::file_bytes() const { return header().size() + data_bytes_; }

Result<void> GgufWriter::write(const std::filesystem::path& path, unsigned n_threads,
                               MatrixData matrices) const {
  const auto failed = [&path](int error) {
    return fail(ErrorCode::kIo, fmt::format("{}: cannot be written: {}", path.string(),
                                            std::generic_category().message(error)));
  };
  const std::string head = header();
  OutputFile file(path.string() + ".part");
  // The file has its whole size from the start, so padding is zero without being written.
  if (!file.opened() || !file.resize(head.size() + data_bytes_) ||
      !file.write_at(0, head.data(), head.size()))
    return failed(errno);

  struct Part {
    const Entry* tensor;
    std::uint64_t first_block;
    std::uint64_t n_blocks;
  };
  std::vector<Part> parts;
  for (const Entry& tensor : tensors_) {
    if (matrices == MatrixData::kZeros && tensor.ne.size() > 1) continue;
    const std::uint64_t per_part =
        std::max<std::uint64_t>(kPartBytes / block_bytes(tensor.type), 1);
    const std::uint64_t n_blocks = tensor.bytes / block_bytes(tensor.type);
    for (std::uint64_t first = 0; first < n_blocks; first += per_part)
      parts.push_back({&tensor, first, std::min(per_part, n_blocks - first)});
  }
  std::atomic<std::size_t> next{0};
  std::atomic<int> first_error{0};
  const auto work = [&] {
    std::vector<std::byte> buffer(kPartBytes);
    for (std::size_t i = next++; i < parts.size() && first_error == 0; i = next++) {
      const Part& part = parts[i];
      const std::uint64_t block = block_bytes(part.tensor->type);
      const std::span<std::byte> blocks(buffer.data(), part.n_blocks * block);
      part.tensor->fill(part.first_block, blocks);
      const std::uint64_t at = head.size() + part.tensor->offset + part.first_block * block;
      if (!file.write_at(at, blocks.data(), blocks.size())) {
        int none = 0;
        first_error.compare_exchange_strong(none, errno == 0 ? EIO : errno);
      }
    }
  };
  std::vector<std::thread> threads;
  threads.reserve(n_threads);
  for (unsigned i = 1; i < std::max(n_threads, 1u); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  if (first_error != 0) return failed(first_error);
  if (!file.keep_as(path.string())) return failed(errno);
  return {};
}

}  // namespace preflight::model
