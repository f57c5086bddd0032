// An upload on its way to the spool: parts become files, each hashed as it is written and synced
// when it ends. Nothing of it is seen by anybody before commit.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "daemon/bundle_path.h"
#include "daemon/multipart.h"
#include "daemon/quota.h"
#include "daemon/spool.h"
#include "vk/error.h"

namespace preflight::daemon {

struct BundleLimits {
  std::uint64_t max_bytes = std::uint64_t{4} << 30;  ///< all files together
  std::uint32_t max_files = 256;                     ///< bundle.json included
  std::uint64_t max_json_bytes = 1 << 20;            ///< bundle.json
};

/// Why an upload was refused, for the answer.
struct UploadRefusal {
  int status = 400;
  std::string code;
  std::string message;
  std::string field;
};

class Upload final : public PartHandler {
 public:
  /// `spool` outlives it. `share` pays for the bytes.
  static Result<std::unique_ptr<Upload>> begin(const Spool& spool, QuotaShare& share,
                                               const BundleLimits& limits);
  ~Upload() override;

  /// One of these failed with the Error of an `UploadRefusal` kept in refusal().
  Result<void> begin_part(const PartHeader& header) override;
  Result<void> part_data(std::string_view bytes) override;
  Result<void> end_part() override;

  /// After the last part: bundle.json was there and is a JSON object; every folder is synced.
  Result<void> seal();
  /// Why the last call failed; in any case something to tell the client.
  [[nodiscard]] const UploadRefusal& refusal() const { return refusal_; }

  /// Of the content, whatever the order of the parts: "sha256:" and 64 hex digits.
  [[nodiscard]] std::string digest() const;
  [[nodiscard]] const std::string& bundle_id() const { return bundle_id_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

  /// Makes it the folder of `review`; it is the spool's from then on.
  Result<void> commit(const NewReview& review);

 private:
  class File;

  Upload(const Spool& spool, QuotaShare& share, const BundleLimits& limits,
         std::filesystem::path folder);
  tl::unexpected<Error> refuse(int status, std::string_view code, std::string message,
                               std::string_view field);
  /// A disk's failure: 507 when it is full.
  tl::unexpected<Error> refuse(const Error& error);

  const Spool& spool_;
  QuotaShare& share_;
  const BundleLimits limits_;
  std::filesystem::path folder_;  // empty once committed
  BundleNames names_;
  std::unique_ptr<File> file_;
  std::string json_;  // bundle.json's text
  bool in_json_ = false, has_json_ = false;
  std::string bundle_id_;
  std::uint64_t bytes_ = 0;
  std::map<std::string, std::string> digests_;  // path -> hex
  UploadRefusal refusal_;
};

}  // namespace preflight::daemon
