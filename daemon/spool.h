// The files of waiting and running reviews:
//
//   <id>/           one review
//     bundle/       as uploaded
//     work/         kept by the review between attempts
//     job.json      what the database knows of it, should the database be lost
//   tmp-<random>/   an upload under way; becomes <id> by one rename once it is synced
//
// What is there without a row in the database is swept away at the start.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/store.h"
#include "vk/error.h"

namespace preflight::daemon {

class Spool {
 public:
  /// Makes the folder if need be.
  static Result<Spool> open(const std::filesystem::path& folder);

  [[nodiscard]] std::filesystem::path bundle_dir(std::string_view id) const;
  [[nodiscard]] std::filesystem::path work_dir(std::string_view id) const;
  [[nodiscard]] bool has(std::string_view id) const;

  /// A new empty folder for an upload, with bundle/ and work/ in it.
  Result<std::filesystem::path> begin_upload() const;
  /// The upload becomes the review's folder, durably. Its files were synced before.
  Result<void> commit(const std::filesystem::path& upload, const NewReview& review) const;
  /// Deletes a review's files; says so in the log if it cannot.
  void remove(std::string_view id) const;
  /// Deletes every folder whose name is not in `keep`.
  void sweep(const std::vector<std::string>& keep) const;
  /// What job.json files say: only asked when the database was lost.
  [[nodiscard]] std::vector<NewReview> salvage() const;

  /// Bytes free for us on the disk. Errors: kIo.
  Result<std::uint64_t> free_bytes() const;

 private:
  explicit Spool(std::filesystem::path folder) : folder_(std::move(folder)) {}
  std::filesystem::path folder_;
};

/// Syncs a file or folder to the disk. Errors: kIo.
Result<void> sync_path(const std::filesystem::path& path);

/// 26 characters: 10 of the time, 16 of chance; lower case letters and digits, no i, l, o, u.
Result<std::string> make_review_id(std::int64_t now_ms);
/// Whether a text could be such an id.
bool is_review_id(std::string_view text);

/// kLimit for a full disk or quota, else kIo; names the system's reason.
tl::unexpected<Error> system_error(std::string_view what, int error_number);

}  // namespace preflight::daemon
