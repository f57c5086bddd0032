#include "vk/cache_file.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

namespace preflight::vk {
namespace {

// The file: kind, key (device, driver, version), size and hash of the payload, payload.
constexpr std::size_t kMaxFileBytes = std::size_t{256} << 20;

template <class T>
void append(std::vector<std::byte>& out, const T& value) {
  const auto bytes = std::as_bytes(std::span(&value, 1));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void append_text(std::vector<std::byte>& out, std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  out.insert(out.end(), bytes.begin(), bytes.end());
  append(out, '\n');
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

Result<void> write_all(int fd, std::span<const std::byte> bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      return fail(ErrorCode::kIo, fmt::format("{}: {}", path, std::strerror(errno)));
    }
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

}  // namespace

std::uint64_t hash_of(std::span<const std::byte> bytes) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const std::byte b : bytes) {
    hash ^= static_cast<std::uint64_t>(b);
    hash *= 0x100000001b3u;
  }
  return hash;
}

CacheFile::CacheFile(const std::filesystem::path& dir, std::string_view kind,
                     const DeviceDescription& device, std::span<const std::byte> version) {
  append_text(key_, fmt::format("preflight {}", kind));
  append(key_, device.vendor_id);
  append(key_, device.device_id);
  append(key_, device.uuid);
  append(key_, device.driver_uuid);
  append(key_, device.subgroup_size);  // one driver has several widths (vk/wide_vectors.h)
  append_text(key_, device.driver_version);
  key_.insert(key_.end(), version.begin(), version.end());
  if (!dir.empty())
    path_ = dir / fmt::format("{}-{:04x}-{:04x}-{:016x}.bin", kind, device.vendor_id,
                              device.device_id, hash_of(key_));
}

Result<std::optional<std::vector<std::byte>>> CacheFile::read() const {
  const auto refused = [this](std::string_view why) {
    return fail(ErrorCode::kInvalidInput, fmt::format("{}: {}", path_.string(), why));
  };
  const FileDescriptor fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (fd.get() < 0) {
    if (path_.empty() || errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    return refused(std::strerror(errno));
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return refused(std::strerror(errno));
  // Ours alone, and plain: nobody else could have put anything into it.
  if (!S_ISREG(info.st_mode) || info.st_uid != ::geteuid() || (info.st_mode & 022) != 0)
    return refused("is no plain file that only its owner, this user, can write");
  if (static_cast<std::uint64_t>(info.st_size) > kMaxFileBytes)
    return refused(
        fmt::format("has {} bytes, at most {} are expected", info.st_size, kMaxFileBytes));
  std::vector<std::byte> bytes(static_cast<std::size_t>(info.st_size));
  std::size_t n_read = 0;
  while (n_read < bytes.size()) {
    const ssize_t n = ::read(fd.get(), bytes.data() + n_read, bytes.size() - n_read);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return refused(std::strerror(errno));
    if (n == 0) return refused("was shortened while it was read");
    n_read += static_cast<std::size_t>(n);
  }
  std::uint64_t size_and_hash[2];
  const std::size_t header_bytes = key_.size() + sizeof size_and_hash;
  if (bytes.size() < header_bytes || !std::equal(key_.begin(), key_.end(), bytes.begin()))
    return refused("was not made for this device, driver and release");
  std::memcpy(size_and_hash, bytes.data() + key_.size(), sizeof size_and_hash);
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(header_bytes));
  if (bytes.size() != size_and_hash[0] || hash_of(bytes) != size_and_hash[1])
    return refused("is damaged: size or checksum are not those it was written with");
  return bytes;
}

Result<void> CacheFile::write(std::span<const std::byte> payload) const {
  if (path_.empty()) return {};
  std::error_code error;
  std::filesystem::create_directories(path_.parent_path(), error);
  if (error) {
    return fail(ErrorCode::kIo,
                fmt::format("{}: {}", path_.parent_path().string(), error.message()));
  }
  // mkstemp makes it readable for us alone; the rename puts it in place whole.
  std::string temporary = path_.string() + ".XXXXXX";
  const FileDescriptor fd(::mkstemp(temporary.data()));
  if (fd.get() < 0) {
    return fail(ErrorCode::kIo, fmt::format("{}: {}", temporary, std::strerror(errno)));
  }
  std::vector<std::byte> header = key_;
  append(header, static_cast<std::uint64_t>(payload.size()));
  append(header, hash_of(payload));
  auto written = write_all(fd.get(), header, temporary);
  if (written.has_value()) written = write_all(fd.get(), payload, temporary);
  if (written.has_value() && ::rename(temporary.c_str(), path_.c_str()) != 0) {
    written = fail(ErrorCode::kIo, fmt::format("{}: {}", path_.string(), std::strerror(errno)));
  }
  if (!written.has_value()) ::unlink(temporary.c_str());
  return written;
}

}  // namespace preflight::vk
