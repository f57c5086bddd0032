#include "engine/model/mapped_file.h"

#include <cerrno>
#include <cstdint>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

namespace preflight::model {
namespace {

tl::unexpected<Error> system_error(const std::string& name, std::string_view what, int number) {
  const ErrorCode code =
      number == ENOENT || number == ENOTDIR ? ErrorCode::kNotFound : ErrorCode::kIo;
  return fail(code, fmt::format("{}: {}: {}", name, what, std::generic_category().message(number)));
}

void advise(std::uintptr_t first, std::uintptr_t end, int advice) {
  if (first >= end) return;
  // madvise takes a void*; neither hint writes.
  static_cast<void>(madvise(reinterpret_cast<void*>(first), end - first, advice));
}

}  // namespace

void expect_mapped(std::span<const std::byte> bytes) {
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto first = reinterpret_cast<std::uintptr_t>(bytes.data());
  advise(first / page * page, first + bytes.size(), MADV_WILLNEED);
}

// Only whole pages: a neighbour may still be read.
void release_mapped(std::span<const std::byte> bytes) {
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto first = reinterpret_cast<std::uintptr_t>(bytes.data());
  advise((first + page - 1) / page * page, (first + bytes.size()) / page * page, MADV_DONTNEED);
}

MappedFile::MappedFile(std::span<const std::byte> bytes, std::string name)
    : bytes_(bytes), name_(std::move(name)) {}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : bytes_(std::exchange(other.bytes_, {})), name_(std::move(other.name_)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  std::swap(name_, other.name_);
  return *this;
}

MappedFile::~MappedFile() {
  if (bytes_.empty()) return;
  // munmap takes a void*; the map itself is read-only. It fails only for arguments that are no map.
  const int status = munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  PREFLIGHT_ASSERT(status == 0);
}

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  const std::string name = path.string();
  // O_NONBLOCK: opening a named pipe must not wait for a writer.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return system_error(name, "cannot be opened", errno);
  struct stat info = {};
  const int stat_status = fstat(descriptor, &info);
  const int stat_error = errno;
  void* address = MAP_FAILED;
  int map_error = 0;
  const auto size = static_cast<std::size_t>(info.st_size);
  const bool regular = stat_status == 0 && S_ISREG(info.st_mode);
  if (regular && size > 0) {
    address = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    map_error = errno;
  }
  // Nothing was written, so a failing close loses nothing.
  static_cast<void>(::close(descriptor));
  if (stat_status != 0) return system_error(name, "cannot be examined", stat_error);
  if (!regular) return fail(ErrorCode::kInvalidInput, fmt::format("{}: is no regular file", name));
  if (size == 0) return fail(ErrorCode::kInvalidInput, fmt::format("{}: is empty", name));
  if (address == MAP_FAILED) return system_error(name, "cannot be mapped", map_error);
  return MappedFile({static_cast<const std::byte*>(address), size}, name);
}

Result<std::string> read_text_file(const std::filesystem::path& path, std::size_t most_bytes) {
  PREFLIGHT_TRY(const MappedFile file, MappedFile::open(path));
  if (file.bytes().size() > most_bytes)
    return fail(ErrorCode::kLimit, fmt::format("{}: has {} bytes, at most {} are read", file.name(),
                                               file.bytes().size(), most_bytes));
  std::string text(file.bytes().size(), '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(file.bytes()[i]);
  return text;
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kMostBytes = 80;
  std::string out = "\"";
  for (const char c : text.substr(0, kMostBytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f || c == '"' || c == '\\')
      out += fmt::format("\\x{:02x}", byte);
    else
      out += c;
  }
  out += text.size() > kMostBytes ? "...\"" : "\"";
  return out;
}

}  // namespace preflight::model
