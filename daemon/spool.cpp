#include "daemon/spool.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>

#include <fcntl.h>
#include <sys/random.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <fmt/format.h>

#include "daemon/log.h"
#include "daemon/protocol/json_fields.h"

namespace preflight::daemon {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr std::string_view kDigits = "0123456789abcdefghjkmnpqrstvwxyz";
constexpr std::size_t kIdCharacters = 26;
constexpr std::string_view kUploadPrefix = "tmp-";
constexpr std::string_view kJobFile = "job.json";

/// Writes a small file whole and syncs it.
Result<void> write_synced(const fs::path& path, std::string_view text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return system_error("cannot write to the spool", errno);
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int error_number = errno;
      ::close(fd);
      return system_error("cannot write to the spool", error_number);
    }
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  const int synced = ::fsync(fd);
  const int error_number = errno;
  ::close(fd);
  if (synced != 0) return system_error("cannot write to the spool", error_number);
  return {};
}

std::optional<NewReview> read_job(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto value = protocol::parse_object(text, "job.json");
  if (!value) return std::nullopt;
  NewReview review;
  protocol::ObjectReader fields(*value, "");
  fields.need("id", review.id);
  fields.need("digest", review.digest);
  fields.take("key", review.key);
  fields.take("bundle_id", review.bundle_id);
  fields.take("facts_only", review.facts_only);
  fields.take("bytes", review.bytes);
  fields.take("created_ms", review.created_ms);
  std::uint32_t uid = 0;
  fields.take("uid", uid);
  review.uid = uid;
  if (!fields.good() || !value->contains("uid")) return std::nullopt;
  return review;
}

}  // namespace

tl::unexpected<Error> system_error(std::string_view what, int error_number) {
  const bool full = error_number == ENOSPC || error_number == EDQUOT || error_number == EFBIG;
  return fail(full ? ErrorCode::kLimit : ErrorCode::kIo,
              fmt::format("{}: {}", what, std::strerror(error_number)));
}

Result<void> sync_path(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return system_error("cannot sync the spool", errno);
  const int synced = ::fsync(fd);
  const int error_number = errno;
  ::close(fd);
  if (synced != 0) return system_error("cannot sync the spool", error_number);
  return {};
}

Result<std::string> make_review_id(std::int64_t now_ms) {
  std::array<unsigned char, 16> chance{};
  if (getrandom(chance.data(), chance.size(), 0) != static_cast<ssize_t>(chance.size()))
    return system_error("no random numbers", errno);
  std::string id(kIdCharacters, '0');
  auto time = static_cast<std::uint64_t>(now_ms);
  for (std::size_t i = 10; i-- > 0; time >>= 5) id[i] = kDigits[time & 31];
  for (std::size_t i = 0; i < chance.size(); ++i) id[10 + i] = kDigits[chance[i] & 31];
  return id;
}

bool is_review_id(std::string_view text) {
  return text.size() == kIdCharacters && text.find_first_not_of(kDigits) == std::string_view::npos;
}

Result<Spool> Spool::open(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error)
    return fail(ErrorCode::kIo,
                fmt::format("cannot make {}: {}", folder.string(), error.message()));
  return Spool(folder);
}

fs::path Spool::bundle_dir(std::string_view id) const { return folder_ / id / "bundle"; }
fs::path Spool::work_dir(std::string_view id) const { return folder_ / id / "work"; }

bool Spool::has(std::string_view id) const {
  std::error_code error;
  return fs::is_directory(bundle_dir(id), error);
}

Result<fs::path> Spool::begin_upload() const {
  std::string name = (folder_ / fmt::format("{}XXXXXX", kUploadPrefix)).string();
  if (mkdtemp(name.data()) == nullptr) return system_error("cannot write to the spool", errno);
  std::error_code error;
  for (const char* part : {"bundle", "work"}) {
    fs::create_directory(fs::path(name) / part, error);
    if (error) {
      std::error_code ignored;
      fs::remove_all(name, ignored);
      return system_error("cannot write to the spool", error.value());
    }
  }
  return fs::path(name);
}

Result<void> Spool::commit(const fs::path& upload, const NewReview& review) const {
  const json job = {{"id", review.id},
                    {"uid", review.uid},
                    {"key", review.key},
                    {"digest", review.digest},
                    {"bundle_id", review.bundle_id},
                    {"facts_only", review.facts_only},
                    {"bytes", review.bytes},
                    {"created_ms", review.created_ms}};
  PREFLIGHT_TRY_VOID(
      write_synced(upload / kJobFile, job.dump(-1, ' ', false, json::error_handler_t::replace)));
  PREFLIGHT_TRY_VOID(sync_path(upload));
  std::error_code error;
  fs::rename(upload, folder_ / review.id, error);
  if (error) return system_error("cannot write to the spool", error.value());
  return sync_path(folder_);
}

void Spool::remove(std::string_view id) const {
  std::error_code error;
  fs::remove_all(folder_ / id, error);
  if (error) log(LogLevel::kWarning, "cannot delete the files of {}: {}", id, error.message());
}

void Spool::sweep(const std::vector<std::string>& keep) const {
  const std::set<std::string, std::less<>> kept(keep.begin(), keep.end());
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error))
    names.push_back(it->path().filename().string());
  if (error) log(LogLevel::kWarning, "cannot read the spool: {}", error.message());
  for (const std::string& name : names)
    if (!kept.contains(name)) remove(name);
}

std::vector<NewReview> Spool::salvage() const {
  std::vector<NewReview> out;
  std::error_code error;
  for (fs::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!is_review_id(name)) continue;
    std::optional<NewReview> review = read_job(it->path() / kJobFile);
    if (review && review->id == name) out.push_back(*std::move(review));
  }
  std::sort(out.begin(), out.end(),
            [](const NewReview& a, const NewReview& b) { return a.id < b.id; });
  return out;
}

Result<std::uint64_t> Spool::free_bytes() const {
  struct statvfs disk {};
  if (statvfs(folder_.c_str(), &disk) != 0)
    return system_error("cannot ask the disk for its free space", errno);
  return std::uint64_t{disk.f_bavail} * disk.f_frsize;
}

}  // namespace preflight::daemon
