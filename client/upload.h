// What is sent for a review: bundle.json and the files it names, from a directory or from flags.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "client/http.h"
#include "client/outcome.h"

namespace preflight::client {

struct UploadFile {
  std::string name;            ///< path relative to the bundle, as bundle.json writes it
  std::filesystem::path path;  ///< where it lies
  std::uint64_t size_bytes = 0;
};

struct Upload {
  std::string bundle_json;
  std::vector<UploadFile> files{};
  std::vector<std::string> left_out{};  ///< files that cannot be sent, each with the reason
};

/// A review without a bundle directory: what the flags of `qa-client review` say.
struct BundleFlags {
  std::string id, title, locale, product_class;
  std::vector<std::string> placements;
  std::string offer, price, currency, discount_pct, terms, ends, cta, landing_url;
  std::string hook;  ///< the line itself
  std::vector<std::string> tone, deny;
  std::string primary_text, headline, description;
  std::filesystem::path brief, guardrails, script, video, voiceover, captions;
  std::vector<std::filesystem::path> images, landing_pages;
};

/// `directory` holds bundle.json. Files that are missing, no regular files or reached over a link
/// are left out: the daemon reports them row by row.
/// Errors: bundle.json cannot be read.
Outcome<Upload> upload_from_directory(const std::filesystem::path& directory);

/// Fills in what a short command leaves open (id from the file's name, locale from `lang_variable`,
/// class general) and writes down that it did, under "assumed".
/// Errors: a file that cannot be read, a number that is none, nothing to review.
Outcome<Upload> upload_from_flags(const BundleFlags& flags, const std::string& lang_variable);

/// Writes the upload out as a bundle directory. Errors: `directory` exists and is not empty.
Outcome<void> save_bundle(const Upload& upload, const std::filesystem::path& directory);

/// The body of POST /v1/reviews (RFC 7578). `boundary` must not occur in any file: 128 random bits.
std::vector<Piece> multipart_body(const Upload& upload, const std::string& boundary);

/// `bytes` random bytes in hexadecimal, from the system.
std::string random_hex(std::size_t bytes);

}  // namespace preflight::client
