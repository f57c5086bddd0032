// A bundle: one creative with everything it is reviewed against (docs/bundle.md).
//
// `read_bundle` is what the daemon reviews by and what `qa-client lint` prints: all problems at
// once, each with its place in bundle.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "daemon/protocol/problem.h"

namespace preflight::protocol {

enum class Role {
  kBrief,
  kGuardrails,
  kScript,
  kHook,
  kProductImage,
  kVideo,
  kVoiceover,
  kLandingPage,
  kCaptions,
  kThumbnail,
  kReference,
};

std::string_view to_string(Role role);
std::optional<Role> parse_role(std::string_view word);

struct Asset {
  std::string id;
  Role role = Role::kReference;
  std::string path;                 ///< relative to the bundle, '/' between parts; empty: inline
  std::optional<std::string> text;  ///< inline text, or what a text file holds (UTF-8)
  std::string sha256;               ///< as given; checked
  std::string lang;
  std::vector<std::string> placements;  ///< empty: all of the bundle's
  std::string caption_of;
  bool third_party = false;
  std::uint64_t size_bytes = 0;  ///< of the file
  std::string content_sha256;    ///< of the file or the inline text; empty where it is not readable
};

struct PlacementUse {
  std::string id;
  std::optional<double> max_duration_s;
};

struct Offer {
  std::string promise, price, currency, terms, ends, cta, landing_url;
  std::optional<double> discount_pct;
};

struct AllowedClaim {
  std::string id, text, proof, expires;
};

struct DeniedClaim {
  std::string id, pattern, why;
  bool is_regex = false;
};

struct Guardrail {
  std::string id, text;
};

struct Pronunciation {
  std::string id, term, say;
};

struct Disclosure {
  std::string id, text;
  std::optional<double> min_s;
};

struct Guardrails {
  std::vector<std::string> tone;
  std::vector<Guardrail> must, must_not;
  std::optional<double> brand_by_s;
  std::vector<Pronunciation> pronounce;
  std::vector<Disclosure> required_disclosures;
};

struct Bundle {
  std::string id, set, title, owner, locale, product_class, notes;
  std::vector<std::string> markets;
  std::vector<PlacementUse> placements;
  std::optional<Offer> offer;
  std::vector<AllowedClaim> allow;
  std::vector<DeniedClaim> deny;
  Guardrails guardrails;
  std::map<std::string, std::vector<std::string>> matrix;
  std::map<std::string, std::string> copy;
  std::vector<std::string> assumed;  ///< what a client filled in, for the report
  std::vector<Asset> assets;
  std::string digest;  ///< sha256 over bundle.json and every asset's content, in order

  const Asset* find(std::string_view asset_id) const;
  const Asset* first(Role role) const;
  std::vector<const Asset*> all(Role role) const;
};

/// Every bound is named in the error that it leads to.
struct BundleLimits {
  std::uint64_t json_bytes = 1 << 20;
  std::uint64_t bundle_bytes = std::uint64_t{4} << 30;
  std::size_t files = 256;
  std::size_t assets = 64;
  std::size_t placements = 8;
  std::size_t list_entries = 500;
  std::uint64_t text_bytes = 256 << 10;
  std::uint64_t image_bytes = std::uint64_t{40} << 20;
};

struct BundleOptions {
  std::vector<std::string> known_placements;  ///< empty: placement names are not checked
  std::string today;  ///< "2026-11-21", for dates in the past; empty: not checked
  BundleLimits limits;
};

struct BundleReading {
  Bundle bundle;  ///< to be used only where no error concerns the whole bundle
  Problems problems;

  /// No error but those that make a single asset unusable.
  bool usable() const;
};

/// Reads DIRECTORY/bundle.json and looks at every file it names. Never throws, never follows a
/// link. Text assets come back with their text.
BundleReading read_bundle(const std::filesystem::path& directory, const BundleOptions& options);

/// The placement names of a rules file (share/rules/placements.json). Errors: one sentence.
tl::expected<std::vector<std::string>, std::string> read_placement_names(
    const std::filesystem::path& rules_file);

/// A regular file's bytes, at most `max_bytes`. Errors: one clause.
tl::expected<std::string, std::string> read_small_file(const std::filesystem::path& path,
                                                       std::uint64_t max_bytes);

/// Whether a JSON text has more than `kMaxJsonLevels` lists and objects inside of one another; what
/// walks such a value would run out of stack.
bool nests_too_deep(std::string_view json);
inline constexpr std::size_t kMaxJsonLevels = 64;

/// "2026-12-15" is a day of the calendar.
bool is_date(std::string_view text);
bool is_utf8(std::string_view text);
/// Code points of well-formed UTF-8.
std::size_t code_points(std::string_view text);

}  // namespace preflight::protocol
