#include "daemon/protocol/bundle.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <set>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "daemon/protocol/bundle_fields.h"
#include "daemon/protocol/sha256.h"

namespace preflight::protocol {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

void add_error(Problems& problems, std::string_view code, std::string pointer, std::string message,
               std::string hint = {}, int asset = -1) {
  problems.errors.push_back(
      {std::string(code), std::move(pointer), std::move(message), std::move(hint), asset});
}

/// Owns a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    // Read-only descriptors: nothing can be lost by a close that fails.
    if (fd_ >= 0) static_cast<void>(::close(fd_));
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

/// Calls `take` with each piece of the file. Errors: one clause.
template <class Take>
tl::expected<std::uint64_t, std::string> read_pieces(const fs::path& path, std::uint64_t max_bytes,
                                                     Take take) {
  // O_NONBLOCK: a named pipe must not hold us up before fstat has told what it is.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (file.get() < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return tl::unexpected(std::string("file not found"));
    return tl::unexpected(fmt::format("the file cannot be opened: {}", std::strerror(errno)));
  }
  struct stat info {};
  if (::fstat(file.get(), &info) != 0)
    return tl::unexpected(fmt::format("the file cannot be read: {}", std::strerror(errno)));
  if (!S_ISREG(info.st_mode)) return tl::unexpected(std::string("not a regular file"));
  std::uint64_t total = 0;
  auto buffer = std::make_unique<std::array<char, 64 << 10>>();
  for (;;) {
    const ssize_t n = ::read(file.get(), buffer->data(), buffer->size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return tl::unexpected(fmt::format("the file cannot be read: {}", std::strerror(errno)));
    }
    if (n == 0) return total;
    total += static_cast<std::uint64_t>(n);
    if (total > max_bytes) {
      return tl::unexpected(
          fmt::format("the file has more than {} bytes, which is the limit", max_bytes));
    }
    take(std::string_view(buffer->data(), static_cast<std::size_t>(n)));
  }
}

/// Says where a text stops being JSON.
class ErrorPlace : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return true; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return true; }
  bool start_array(std::size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    offset = position;
    return false;
  }
  std::size_t offset = 0;
};

bool is_text_role(Role role) {
  return role == Role::kBrief || role == Role::kGuardrails || role == Role::kScript ||
         role == Role::kHook || role == Role::kCaptions;
}

/// A landing page may be a picture or a text; its name decides, as a decoder would otherwise have
/// to be asked about a text.
bool is_text_file(const Asset& asset) {
  if (is_text_role(asset.role)) return true;
  if (asset.role != Role::kLandingPage) return false;
  const std::string extension = fs::path(asset.path).extension().string();
  return extension == ".txt" || extension == ".md";
}

bool is_image_file(const Asset& asset) {
  return asset.role == Role::kProductImage || asset.role == Role::kThumbnail ||
         (asset.role == Role::kLandingPage && !is_text_file(asset));
}

/// Why a path may not be used; empty: it may.
std::string path_fault(std::string_view path) {
  if (path.front() == '/') return "an absolute path";
  if (path.find('\\') != std::string_view::npos) return "a path with a backslash";
  if (path.find('\0') != std::string_view::npos) return "a path with a zero byte";
  std::size_t begin = 0;
  while (begin <= path.size()) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part == "..") return "a path that leaves the bundle";
    if (part.empty() || part == ".") return "a path with an empty part";
    begin = end + 1;
  }
  return {};
}

/// The first part of the path that is a link; empty: none is.
std::string link_part(const fs::path& directory, std::string_view path) {
  fs::path walked = directory;
  std::string named;
  for (const fs::path& part : fs::path(path)) {
    walked /= part;
    if (!named.empty()) named += '/';
    named += part.string();
    std::error_code ignored;  // what is missing is reported when it is opened
    if (fs::is_symlink(fs::symlink_status(walked, ignored))) return named;
  }
  return {};
}

void read_asset_file(const fs::path& directory, std::size_t index, const BundleLimits& limits,
                     BundleReading& reading) {
  Asset& asset = reading.bundle.assets[index];
  Problems& problems = reading.problems;
  const std::string pointer = fmt::format("/assets/{}", index);
  const int number = static_cast<int>(index);
  if (asset.text) {
    asset.size_bytes = asset.text->size();
    asset.content_sha256 = sha256_hex(*asset.text);
  }
  if (asset.path.empty()) return;
  if (const std::string fault = path_fault(asset.path); !fault.empty()) {
    add_error(problems, "B022", pointer + "/path", fmt::format("\"{}\" is {}", asset.path, fault),
              "paths are relative to bundle.json and stay below it");
    return;
  }
  if (const std::string link = link_part(directory, asset.path); !link.empty()) {
    add_error(problems, "B023", pointer + "/path", fmt::format("\"{}\" is a link", link),
              "put the file itself into the bundle");
    return;
  }
  const bool text = is_text_file(asset);
  const std::uint64_t most = text                   ? limits.text_bytes
                             : is_image_file(asset) ? limits.image_bytes
                                                    : limits.bundle_bytes;
  Sha256 hash;
  std::string content;
  const auto size = read_pieces(directory / asset.path, most, [&](std::string_view piece) {
    hash.update(piece);
    if (text) content += piece;
  });
  if (!size) {
    const bool missing = size.error() == "file not found";
    add_error(problems, missing ? "B021" : "B044", pointer + "/path",
              fmt::format("\"{}\": {}", asset.path, size.error()),
              missing ? "paths are relative to the folder of bundle.json" : "", number);
    return;
  }
  asset.size_bytes = *size;
  asset.content_sha256 = hash.finish();
  if (!asset.sha256.empty() && asset.sha256 != asset.content_sha256) {
    add_error(problems, "B024", pointer + "/sha256",
              fmt::format("the content of \"{}\" differs from the given digest", asset.path),
              "it is " + asset.content_sha256, number);
  }
  if (!text) return;
  if (!is_utf8(content)) {
    add_error(problems, "B028", pointer + "/path",
              fmt::format("\"{}\" is not a text in UTF-8", asset.path), "", number);
    return;
  }
  if (content.find_first_not_of(" \t\r\n") == std::string::npos) {
    problems.warnings.push_back(
        {"B102", pointer + "/path", fmt::format("\"{}\" is empty", asset.path), "", number});
  }
  asset.text = std::move(content);
}

std::string lower_ascii(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

/// Combining marks U+0300 to U+036F: a name that has them was written in decomposed form.
bool has_combining_mark(std::string_view name) {
  for (std::size_t i = 0; i + 1 < name.size(); ++i) {
    const auto lead = static_cast<unsigned char>(name[i]);
    const auto next = static_cast<unsigned char>(name[i + 1]);
    if (lead == 0xCC || (lead == 0xCD && next < 0xB0)) return true;
  }
  return false;
}

/// Everything that lies in the directory, named or not.
void check_directory(const fs::path& directory, const BundleLimits& limits,
                     BundleReading& reading) {
  Problems& problems = reading.problems;
  std::set<std::string> used = {"bundle.json"};
  for (const Asset& asset : reading.bundle.assets) used.insert(asset.path);
  std::set<std::string> folded;
  std::vector<std::string> unused;
  std::uint64_t bytes = 0;
  std::size_t files = 0;
  std::error_code failed;
  fs::recursive_directory_iterator it(directory, fs::directory_options::none, failed);
  const fs::recursive_directory_iterator end;
  for (; !failed && it != end; it.increment(failed)) {
    const std::string name = it->path().lexically_relative(directory).generic_string();
    std::error_code status_failed;
    const fs::file_status status = it->symlink_status(status_failed);
    if (!is_utf8(name)) {
      add_error(problems, "B005", "", "a file's name is not in UTF-8");
      continue;
    }
    if (has_combining_mark(name)) {
      add_error(problems, "B005", "",
                fmt::format("the name \"{}\" has separate accents (it is not in NFC)", name),
                "rename the file");
    }
    if (fs::is_directory(status)) continue;
    if (fs::is_symlink(status)) {
      // One that an asset names is reported there.
      if (!used.contains(name))
        add_error(problems, "B004", "", fmt::format("\"{}\" is a link", name),
                  "put the file itself into the bundle");
      continue;
    }
    if (!fs::is_regular_file(status)) {
      add_error(problems, "B004", "", fmt::format("\"{}\" is not a regular file", name));
      continue;
    }
    if (!folded.insert(lower_ascii(name)).second) {
      add_error(problems, "B006", "",
                fmt::format("\"{}\" differs from another name only by capitals", name));
    }
    std::error_code size_failed;
    const std::uint64_t size = it->file_size(size_failed);
    bytes += size_failed ? 0 : std::min(size, limits.bundle_bytes + 1);
    if (++files > limits.files) {
      add_error(problems, "B046", "",
                fmt::format("more than {} files, which is the limit", limits.files));
      return;
    }
    if (!used.contains(name)) unused.push_back(name);
  }
  if (failed) {
    add_error(problems, "B001", "",
              fmt::format("the directory cannot be read: {}", failed.message()));
  }
  if (bytes > limits.bundle_bytes) {
    add_error(
        problems, "B045", "",
        fmt::format("the bundle has {} bytes, at most {} are read", bytes, limits.bundle_bytes));
  }
  std::sort(unused.begin(), unused.end());
  for (const std::string& name : unused) {
    problems.warnings.push_back(
        {"B103", "", fmt::format("\"{}\" is named by no asset", name), "it is not reviewed", -1});
  }
}

}  // namespace

const Asset* Bundle::find(std::string_view asset_id) const {
  const auto found = std::find_if(assets.begin(), assets.end(),
                                  [&](const Asset& asset) { return asset.id == asset_id; });
  return found == assets.end() ? nullptr : &*found;
}

const Asset* Bundle::first(Role role) const {
  const auto found = std::find_if(assets.begin(), assets.end(),
                                  [&](const Asset& asset) { return asset.role == role; });
  return found == assets.end() ? nullptr : &*found;
}

std::vector<const Asset*> Bundle::all(Role role) const {
  std::vector<const Asset*> out;
  for (const Asset& asset : assets)
    if (asset.role == role) out.push_back(&asset);
  return out;
}

bool BundleReading::usable() const {
  return std::all_of(problems.errors.begin(), problems.errors.end(),
                     [](const Problem& problem) { return problem.asset >= 0; });
}

bool is_utf8(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = lead < 0x80                   ? 1
                               : lead >= 0xC2 && lead < 0xE0 ? 2
                               : lead >= 0xE0 && lead < 0xF0 ? 3
                               : lead >= 0xF0 && lead < 0xF5 ? 4
                                                             : 0;
    if (length == 0 || i + length > text.size()) return false;
    for (std::size_t k = 1; k < length; ++k)
      if ((static_cast<unsigned char>(text[i + k]) & 0xC0U) != 0x80U) return false;
    const auto second = length > 1 ? static_cast<unsigned char>(text[i + 1]) : 0U;
    // Overlong forms, surrogates, beyond U+10FFFF.
    if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ||
        (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F))
      return false;
    i += length;
  }
  return true;
}

bool nests_too_deep(std::string_view text) {
  std::size_t level = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++level > kMaxJsonLevels) return true;
    } else if ((c == ']' || c == '}') && level > 0) {
      --level;
    }
  }
  return false;
}

std::size_t code_points(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

tl::expected<std::string, std::string> read_small_file(const fs::path& path,
                                                       std::uint64_t max_bytes) {
  std::string content;
  auto size = read_pieces(path, max_bytes, [&](std::string_view piece) { content += piece; });
  if (!size) return tl::unexpected(std::move(size).error());
  return content;
}

BundleReading read_bundle(const fs::path& directory, const BundleOptions& options) {
  BundleReading reading;
  auto text = read_small_file(directory / "bundle.json", options.limits.json_bytes);
  if (!text) {
    add_error(reading.problems, "B001", "", "bundle.json: " + text.error(),
              "a bundle is a folder with a bundle.json in it");
    return reading;
  }
  if (nests_too_deep(*text)) {
    add_error(reading.problems, "B002", "",
              fmt::format("bundle.json has more than {} lists and objects inside of one another",
                          kMaxJsonLevels));
    return reading;
  }
  const Json document = Json::parse(*text, nullptr, false);
  if (document.is_discarded()) {
    ErrorPlace place;
    static_cast<void>(Json::sax_parse(*text, &place));  // it fails: where is what is wanted
    const std::size_t offset = std::min(place.offset, text->size());
    const auto line =
        1 + std::count(text->begin(), text->begin() + static_cast<std::ptrdiff_t>(offset), '\n');
    add_error(reading.problems, "B002", "",
              fmt::format("bundle.json is not JSON: line {}, byte {}", line, offset));
    return reading;
  }
  if (!document.is_object()) {
    add_error(reading.problems, "B003", "", "bundle.json holds no object", "{\"schema\": ...}");
    return reading;
  }
  read_bundle_fields(document, options, reading);
  for (std::size_t i = 0; i < reading.bundle.assets.size(); ++i)
    read_asset_file(directory, i, options.limits, reading);
  check_directory(directory, options.limits, reading);

  Sha256 digest;
  digest.update(sha256_hex(*text));
  for (const Asset& asset : reading.bundle.assets) {
    digest.update("\n");
    digest.update(asset.content_sha256);
  }
  reading.bundle.digest = digest.finish();
  return reading;
}

tl::expected<std::vector<std::string>, std::string> read_placement_names(
    const fs::path& rules_file) {
  auto text = read_small_file(rules_file, std::uint64_t{8} << 20);
  if (!text) return tl::unexpected(rules_file.string() + ": " + text.error());
  const Json document = Json::parse(*text, nullptr, false);
  const auto placements = document.is_object() ? document.find("placements") : document.end();
  if (!document.is_object() || placements == document.end() || !placements->is_object())
    return tl::unexpected(rules_file.string() + ": no object \"placements\" in it");
  std::vector<std::string> names;
  for (const auto& [name, placement] : placements->items()) names.push_back(name);
  return names;
}

}  // namespace preflight::protocol
