#include "vk/pipeline_cache.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "vk/build_id.h"
#include "vk/result.h"

namespace preflight::vk {
namespace {

// The file: magic, key (device, driver, build), size and hash of the payload, payload.
constexpr std::string_view kMagic = "preflight pipelines 1\n";
constexpr std::size_t kMaxFileBytes = std::size_t{256} << 20;

// FNV-1a: finds torn and damaged files. Files of other users are refused by owner.
std::uint64_t hash_of(std::span<const std::byte> bytes) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const std::byte b : bytes) {
    hash ^= static_cast<std::uint64_t>(b);
    hash *= 0x100000001b3u;
  }
  return hash;
}

template <class T>
void append(std::vector<std::byte>& out, const T& value) {
  const auto bytes = std::as_bytes(std::span(&value, 1));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

std::vector<std::byte> make_key(const PhysicalDevice& physical) {
  const DeviceDescription& d = physical.description;
  std::vector<std::byte> key;
  for (const char c : kMagic) append(key, c);
  append(key, d.vendor_id);
  append(key, d.device_id);
  append(key, d.driver_uuid);
  append(key, physical.pipeline_cache_uuid);
  append(key, build_id());
  return key;
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

// Ours alone, and plain: nobody else could have put code into it.
bool trusted(const struct stat& info) {
  return S_ISREG(info.st_mode) && info.st_uid == ::geteuid() && (info.st_mode & 022) == 0 &&
         info.st_size > 0 && static_cast<std::size_t>(info.st_size) <= kMaxFileBytes;
}

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

Result<std::unique_ptr<PipelineCache>> PipelineCache::create(VkDevice device,
                                                             const PhysicalDevice& physical,
                                                             const std::filesystem::path& dir) {
  std::unique_ptr<PipelineCache> cache(new PipelineCache(device));
  cache->key_ = make_key(physical);
  std::vector<std::byte> payload;
  if (!dir.empty()) {
    const DeviceDescription& d = physical.description;
    cache->file_ = dir / fmt::format("pipelines-{:04x}-{:04x}-{:016x}.bin", d.vendor_id,
                                     d.device_id, hash_of(cache->key_));
    payload = cache->read_file();
  }
  VkPipelineCacheCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO;
  info.initialDataSize = payload.size();
  info.pInitialData = payload.data();
  if (!payload.empty() &&
      vkCreatePipelineCache(device, &info, nullptr, &cache->handle_) == VK_SUCCESS) {
    cache->loaded_ = true;
    cache->saved_hash_ = hash_of(payload);
    return cache;
  }
  info.initialDataSize = 0;
  info.pInitialData = nullptr;
  PREFLIGHT_TRY_VOID(check(vkCreatePipelineCache(device, &info, nullptr, &cache->handle_),
                           "creating the pipeline cache"));
  return cache;
}

// The payload of the file, or nothing if it is not wholly what we wrote.
std::vector<std::byte> PipelineCache::read_file() const {
  const FileDescriptor fd(::open(file_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat info {};
  if (fd.get() < 0 || ::fstat(fd.get(), &info) != 0 || !trusted(info)) return {};
  std::vector<std::byte> bytes(static_cast<std::size_t>(info.st_size));
  std::size_t n_read = 0;
  while (n_read < bytes.size()) {
    const ssize_t n = ::read(fd.get(), bytes.data() + n_read, bytes.size() - n_read);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return {};
    n_read += static_cast<std::size_t>(n);
  }
  std::uint64_t size_and_hash[2];
  const std::size_t header_bytes = key_.size() + sizeof size_and_hash;
  if (bytes.size() < header_bytes || !std::equal(key_.begin(), key_.end(), bytes.begin()))
    return {};
  std::memcpy(size_and_hash, bytes.data() + key_.size(), sizeof size_and_hash);
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(header_bytes));
  if (bytes.size() != size_and_hash[0] || hash_of(bytes) != size_and_hash[1]) return {};
  return bytes;
}

Result<void> PipelineCache::save() {
  if (file_.empty()) return {};
  std::size_t n = 0;
  PREFLIGHT_TRY_VOID(check(vkGetPipelineCacheData(device_, handle_, &n, nullptr),
                           "asking the size of the pipeline cache"));
  std::vector<std::byte> payload(n);
  PREFLIGHT_TRY_VOID(check(vkGetPipelineCacheData(device_, handle_, &n, payload.data()),
                           "reading the pipeline cache"));
  payload.resize(n);
  const std::uint64_t hash = hash_of(payload);
  if (payload.empty() || hash == saved_hash_) return {};

  std::error_code error;
  std::filesystem::create_directories(file_.parent_path(), error);
  if (error) {
    return fail(ErrorCode::kIo,
                fmt::format("{}: {}", file_.parent_path().string(), error.message()));
  }
  // mkstemp makes it readable for us alone; the rename puts it in place whole.
  std::string temporary = file_.string() + ".XXXXXX";
  const FileDescriptor fd(::mkstemp(temporary.data()));
  if (fd.get() < 0) {
    return fail(ErrorCode::kIo, fmt::format("{}: {}", temporary, std::strerror(errno)));
  }
  std::vector<std::byte> header = key_;
  append(header, static_cast<std::uint64_t>(payload.size()));
  append(header, hash);
  auto written = write_all(fd.get(), header, temporary);
  if (written.has_value()) written = write_all(fd.get(), payload, temporary);
  if (written.has_value() && ::rename(temporary.c_str(), file_.c_str()) != 0) {
    written = fail(ErrorCode::kIo, fmt::format("{}: {}", file_.string(), std::strerror(errno)));
  }
  if (!written.has_value()) {
    ::unlink(temporary.c_str());
    return written;
  }
  saved_hash_ = hash;
  return {};
}

void PipelineCache::destroy() {
  vkDestroyPipelineCache(device_, handle_, nullptr);
  handle_ = VK_NULL_HANDLE;
}

}  // namespace preflight::vk
