#include "daemon/upload.h"

#include <cerrno>
#include <set>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "daemon/protocol/bundle.h"
#include "daemon/protocol/sha256.h"

namespace preflight::daemon {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kBundleFile = "bundle.json";

}  // namespace

/// The file that is being written.
class Upload::File {
 public:
  static Result<std::unique_ptr<File>> create(const fs::path& path, std::string name) {
    std::error_code error;
    fs::create_directories(path.parent_path(), error);
    if (error) return system_error("cannot write to the spool", error.value());
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return system_error("cannot write to the spool", errno);
    return std::unique_ptr<File>(new File(fd, std::move(name)));
  }
  ~File() { ::close(fd_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  Result<void> write(std::string_view bytes) {
    hash_.update(bytes);
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return system_error("cannot write to the spool", errno);
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
  }
  /// Synced to the disk; the hash in hex.
  Result<std::string> finish() {
    if (::fsync(fd_) != 0) return system_error("cannot write to the spool", errno);
    return hash_.finish();
  }
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  File(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
  int fd_;
  std::string name_;
  protocol::Sha256 hash_;
};

Result<std::unique_ptr<Upload>> Upload::begin(const Spool& spool, QuotaShare& share,
                                              const BundleLimits& limits) {
  PREFLIGHT_TRY(fs::path folder, spool.begin_upload());
  return std::unique_ptr<Upload>(new Upload(spool, share, limits, std::move(folder)));
}

Upload::Upload(const Spool& spool, QuotaShare& share, const BundleLimits& limits, fs::path folder)
    : spool_(spool), share_(share), limits_(limits), folder_(std::move(folder)) {}

Upload::~Upload() {
  file_.reset();
  if (!folder_.empty()) spool_.remove(folder_.filename().string());
}

tl::unexpected<Error> Upload::refuse(int status, std::string_view code, std::string message,
                                     std::string_view field) {
  refusal_ = {status, std::string(code), std::move(message), std::string(field)};
  return fail(ErrorCode::kInvalidInput, refusal_.message);
}

tl::unexpected<Error> Upload::refuse(const Error& error) {
  if (error.code == ErrorCode::kLimit)
    return refuse(507, "disk_full", "the daemon's disk is full; ask its administrator to make room",
                  "state.dir");
  return refuse(500, "storage_failed", error.message, "state.dir");
}

Result<void> Upload::begin_part(const PartHeader& header) {
  if (header.name != "bundle" && header.name != "file")
    return refuse(400, "bad_multipart",
                  "the only parts are \"bundle\" (bundle.json) and \"file\" (an asset)", "part");
  in_json_ = header.name == "bundle";
  if (in_json_ && has_json_)
    return refuse(400, "bad_multipart", "the part \"bundle\" was sent twice", "bundle");
  if (!in_json_ && !header.has_filename)
    return refuse(400, "bad_multipart", "a part \"file\" has no filename", "file");
  if (digests_.size() >= limits_.max_files)
    return refuse(413, "too_large",
                  fmt::format("the bundle has more than {} files", limits_.max_files),
                  "bundle.max_files");
  // bundle.json takes its own name in the same table, so an asset cannot hide or replace it.
  const std::string name = in_json_ ? std::string(kBundleFile) : header.filename;
  if (const Result<void> good = names_.add_file(name); !good)
    return refuse(400, "bad_path", good.error().message, "file");
  Result<std::unique_ptr<File>> file = File::create(folder_ / "bundle" / name, name);
  if (!file) return refuse(file.error());
  file_ = *std::move(file);
  return {};
}

Result<void> Upload::part_data(std::string_view bytes) {
  if (in_json_ && json_.size() + bytes.size() > limits_.max_json_bytes)
    return refuse(413, "too_large",
                  fmt::format("bundle.json passes {} bytes", limits_.max_json_bytes),
                  "bundle.max_json_kib");
  if (bytes.size() > limits_.max_bytes - bytes_)
    return refuse(413, "too_large", fmt::format("the bundle passes {} bytes", limits_.max_bytes),
                  "bundle.max_mib");
  // Nothing that ends will make room for it: to come again is no use.
  if (bytes_ + bytes.size() > share_.most_bytes())
    return refuse(413, "too_large",
                  fmt::format("the bundle passes the {} bytes of spool that it may take",
                              share_.most_bytes()),
                  "spool.max_mib_per_user");
  if (const auto full = share_.take_bytes(bytes.size()))
    return refuse(429, "spool_full", full->message, full->setting);
  bytes_ += bytes.size();
  if (in_json_) json_.append(bytes);
  if (const Result<void> written = file_->write(bytes); !written) return refuse(written.error());
  return {};
}

Result<void> Upload::end_part() {
  Result<std::string> digest = file_->finish();
  if (!digest) return refuse(digest.error());
  digests_.emplace(file_->name(), *std::move(digest));
  has_json_ = has_json_ || in_json_;
  file_.reset();
  return {};
}

Result<void> Upload::seal() {
  if (!has_json_)
    return refuse(400, "bad_multipart", "there is no part \"bundle\" (bundle.json)", "bundle");
  if (protocol::nests_too_deep(json_))
    return refuse(400, "bad_bundle", "bundle.json has too many lists inside of one another",
                  "bundle");
  const nlohmann::json bundle = nlohmann::json::parse(json_, nullptr, /*allow_exceptions=*/false);
  if (bundle.is_discarded()) return refuse(400, "bad_bundle", "bundle.json is not JSON", "bundle");
  if (!bundle.is_object())
    return refuse(400, "bad_bundle",
                  fmt::format("bundle.json is {}, expected an object", bundle.type_name()),
                  "bundle");
  if (const auto id = bundle.find("id"); id != bundle.end() && id->is_string())
    bundle_id_ = id->get<std::string>().substr(0, 64);
  // The entries of every folder that was made, and of those above it.
  std::set<fs::path> folders;
  for (const auto& [name, digest] : digests_)
    for (fs::path at = fs::path(name).parent_path();; at = at.parent_path()) {
      folders.insert(folder_ / "bundle" / at);
      if (at.empty()) break;
    }
  for (const fs::path& folder : folders)
    if (const Result<void> synced = sync_path(folder); !synced) return refuse(synced.error());
  return {};
}

std::string Upload::digest() const {
  protocol::Sha256 all;
  for (const auto& [name, digest] : digests_) {
    all.update(name);
    all.update(std::string_view("\0", 1));
    all.update(digest);
  }
  return "sha256:" + all.finish();
}

Result<void> Upload::commit(const NewReview& review) {
  if (const Result<void> done = spool_.commit(folder_, review); !done) return refuse(done.error());
  folder_.clear();
  return {};
}

}  // namespace preflight::daemon
