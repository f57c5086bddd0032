#include "client/upload.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <fstream>
#include <set>
#include <system_error>

#include <sys/random.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "daemon/protocol/bundle.h"

namespace preflight::client {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// The size of DIRECTORY/name if every step of the way is a plain directory and its end a plain
// file.
tl::expected<std::uint64_t, std::string> size_below(const fs::path& directory,
                                                    const std::string& name) {
  const fs::path relative(name);
  if (name.empty() || relative.is_absolute())
    return tl::unexpected<std::string>("no relative path");
  fs::path at = directory;
  fs::file_status status;
  for (const fs::path& part : relative) {
    if (part == ".." || part == "." || part.empty()) {
      return tl::unexpected<std::string>("leaves the bundle");
    }
    at /= part;
    std::error_code error;
    status = fs::symlink_status(at, error);
    if (!fs::exists(status)) return tl::unexpected<std::string>("file not found");
    if (fs::is_symlink(status)) return tl::unexpected<std::string>("is a link");
  }
  if (!fs::is_regular_file(status)) return tl::unexpected<std::string>("is not a regular file");
  std::error_code error;
  const std::uintmax_t bytes = fs::file_size(at, error);
  if (error) return tl::unexpected(error.message());
  if (!std::ifstream(at)) return tl::unexpected<std::string>("cannot be opened");
  return bytes;
}

// An id out of a file's name: "Brewa v07 (9x16).mp4" becomes "brewa-v07-9x16".
std::string id_from(const fs::path& file) {
  std::string id;
  for (const char c : file.stem().string()) {
    const auto u = static_cast<unsigned char>(c);
    if (std::isalnum(u) != 0 && u < 128) {
      id += static_cast<char>(std::tolower(u));
    } else if (!id.empty() && id.back() != '-') {
      id += '-';
    }
  }
  id = id.substr(0, 64);
  while (!id.empty() && id.back() == '-') id.pop_back();
  return id.empty() ? "review" : id;
}

// "en_GB.UTF-8" becomes "en-GB"; the portable locale says nothing of a language: "en".
std::string locale_from(const std::string& lang_variable) {
  std::string locale = lang_variable.substr(0, lang_variable.find_first_of(".@"));
  if (locale.empty() || locale == "C" || locale == "POSIX") return "en";
  std::replace(locale.begin(), locale.end(), '_', '-');
  return locale;
}

std::string extension_of(const fs::path& file) {
  std::string extension = file.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(), [](char c) {
    return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  });
  const bool plain = extension.size() >= 2 && extension.size() <= 6 &&
                     std::all_of(extension.begin() + 1, extension.end(), [](char c) {
                       return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
                     });
  return plain ? extension : "";
}

class FlagsReader {
 public:
  explicit FlagsReader(const BundleFlags& flags) : flags_(flags) {}

  Outcome<Upload> read(const std::string& lang_variable) {
    add_file("brief", "brief", flags_.brief);
    add_file("guardrails", "guardrails", flags_.guardrails);
    add_file("script", "script", flags_.script);
    add_file("video", "video", flags_.video);
    add_file("voiceover", "voiceover", flags_.voiceover);
    add_file("captions", "captions", flags_.captions);
    add_files("image", "product_image", flags_.images);
    add_files("landing", "landing_page", flags_.landing_pages);
    if (!problem_.empty()) return stop(Exit::kUsage, problem_);
    if (!flags_.hook.empty()) {
      assets_.push_back({{"id", "hook"}, {"role", "hook"}, {"text", flags_.hook}});
    }
    if (assets_.empty()) {
      return stop(Exit::kUsage,
                  "nothing to review: give a bundle directory, or files such as --video");
    }

    json bundle{{"schema", "preflight.bundle/1"}};
    bundle["id"] = or_assumed(flags_.id, id_from(main_file()), "id", "from the file's name");
    if (!flags_.title.empty()) bundle["title"] = flags_.title;
    bundle["locale"] = or_assumed(flags_.locale, locale_from(lang_variable), "locale", "from LANG");
    bundle["product_class"] =
        or_assumed(flags_.product_class, "general", "product_class", "default");
    bundle["placements"] = flags_.placements;
    json offer = fields({{"promise", flags_.offer},
                         {"price", flags_.price},
                         {"currency", flags_.currency},
                         {"terms", flags_.terms},
                         {"ends", flags_.ends},
                         {"cta", flags_.cta},
                         {"landing_url", flags_.landing_url}});
    if (!flags_.discount_pct.empty()) {
      const json number = json::parse(flags_.discount_pct, nullptr, /*allow_exceptions=*/false);
      if (!number.is_number()) {
        return stop(Exit::kUsage,
                    fmt::format("--discount-pct: \"{}\" is not a number", flags_.discount_pct));
      }
      offer["discount_pct"] = number;
    }
    if (!offer.empty()) {
      bundle["offer"] = offer;
    } else {
      assumed_.push_back("no offer");
    }
    json copy = fields({{"primary_text", flags_.primary_text},
                        {"headline", flags_.headline},
                        {"description", flags_.description}});
    if (!copy.empty()) bundle["copy"] = copy;
    if (!flags_.tone.empty()) bundle["guardrails"]["tone"] = flags_.tone;
    for (const std::string& phrase : flags_.deny) {
      json& list = bundle["claims"]["deny"];
      list.push_back({{"id", fmt::format("DN{}", list.size() + 1)},
                      {"kind", "literal"},
                      {"pattern", phrase},
                      {"why", "given on the command line"}});
    }
    bundle["assets"] = assets_;
    if (!assumed_.empty()) bundle["assumed"] = assumed_;
    upload_.bundle_json = bundle.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
    return std::move(upload_);
  }

 private:
  static json fields(std::initializer_list<std::pair<const char*, std::string>> list) {
    json object = json::object();
    for (const auto& [name, value] : list) {
      if (!value.empty()) object[name] = value;
    }
    return object;
  }

  std::string or_assumed(const std::string& given, std::string fallback, std::string_view field,
                         std::string_view why) {
    if (!given.empty()) return given;
    assumed_.push_back(fmt::format("{} {} ({})", field, fallback, why));
    return fallback;
  }

  [[nodiscard]] fs::path main_file() const {
    for (const fs::path* file : {&flags_.video, &flags_.voiceover, &flags_.script, &flags_.brief}) {
      if (!file->empty()) return *file;
    }
    return flags_.images.empty() ? fs::path() : flags_.images.front();
  }

  void add_file(const std::string& id, const char* role, const fs::path& given) {
    if (given.empty()) return;
    // A link on the command line is the user's own choice; inside a bundle it is not followed.
    std::error_code error;
    const fs::path file = fs::canonical(given, error);
    const auto bytes = error ? tl::unexpected(error.message())
                             : size_below(file.parent_path(), file.filename().string());
    if (!bytes.has_value()) {
      problem_ +=
          fmt::format("{}{}: {}", problem_.empty() ? "" : "\n", given.string(), bytes.error());
      return;
    }
    const std::string name = id + extension_of(file);
    assets_.push_back({{"id", id}, {"role", role}, {"path", name}});
    upload_.files.push_back({name, file, bytes.value()});
  }

  void add_files(const std::string& id, const char* role, const std::vector<fs::path>& files) {
    for (std::size_t i = 0; i < files.size(); ++i) {
      add_file(files.size() == 1 ? id : fmt::format("{}{}", id, i + 1), role, files[i]);
    }
  }

  const BundleFlags& flags_;
  Upload upload_;
  json assets_ = json::array();
  std::vector<std::string> assumed_;
  std::string problem_;
};

}  // namespace

Outcome<Upload> upload_from_directory(const fs::path& directory) {
  const protocol::BundleLimits limits;
  auto text = protocol::read_small_file(directory / "bundle.json", limits.json_bytes);
  if (!text.has_value()) {
    return stop(Exit::kUsage,
                fmt::format("{}: {}", (directory / "bundle.json").string(), text.error()));
  }
  Upload upload{.bundle_json = std::move(text).value()};
  const json bundle = json::parse(upload.bundle_json, nullptr, /*allow_exceptions=*/false);
  if (!bundle.is_object() || !bundle.contains("assets") || !bundle["assets"].is_array())
    return upload;
  std::set<std::string> seen;
  for (const json& asset : bundle["assets"]) {
    if (!asset.is_object() || !asset.contains("path") || !asset["path"].is_string()) continue;
    const auto name = asset["path"].get<std::string>();
    if (!seen.insert(name).second) continue;
    const auto bytes = size_below(directory, name);
    if (bytes.has_value()) {
      upload.files.push_back({name, directory / name, bytes.value()});
    } else {
      upload.left_out.push_back(fmt::format("{}: {}", name, bytes.error()));
    }
  }
  return upload;
}

Outcome<Upload> upload_from_flags(const BundleFlags& flags, const std::string& lang_variable) {
  return FlagsReader(flags).read(lang_variable);
}

Outcome<void> save_bundle(const Upload& upload, const fs::path& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return stop(Exit::kUsage, fmt::format("{}: {}", directory.string(), error.message()));
  if (!fs::is_empty(directory, error) || error) {
    return stop(Exit::kUsage, fmt::format("{} is not empty", directory.string()));
  }
  for (const UploadFile& file : upload.files) {
    const fs::path target = directory / file.name;
    fs::create_directories(target.parent_path(), error);
    if (!error) fs::copy_file(file.path, target, error);
    if (error)
      return stop(Exit::kInternal, fmt::format("{}: {}", target.string(), error.message()));
  }
  std::ofstream out(directory / "bundle.json", std::ios::binary);
  out << upload.bundle_json;
  out.close();
  if (!out)
    return stop(Exit::kInternal,
                fmt::format("{}/bundle.json cannot be written", directory.string()));
  return {};
}

std::vector<Piece> multipart_body(const Upload& upload, const std::string& boundary) {
  std::vector<Piece> body;
  body.push_back({.text = fmt::format("--{}\r\nContent-Disposition: form-data; name=\"bundle\"; "
                                      "filename=\"bundle.json\"\r\n"
                                      "Content-Type: application/json\r\n\r\n{}\r\n",
                                      boundary, upload.bundle_json)});
  for (const UploadFile& file : upload.files) {
    std::string name;  // quoted as browsers do it (WHATWG HTML, multipart/form-data)
    for (const char c : file.name) {
      name += c == '"' ? "%22" : c == '\r' ? "%0D" : c == '\n' ? "%0A" : std::string(1, c);
    }
    body.push_back({.text = fmt::format("--{}\r\nContent-Disposition: form-data; name=\"file\"; "
                                        "filename=\"{}\"\r\n"
                                        "Content-Type: application/octet-stream\r\n\r\n",
                                        boundary, name)});
    body.push_back({.file = file.path, .file_bytes = file.size_bytes});
    body.push_back({.text = "\r\n"});
  }
  body.push_back({.text = fmt::format("--{}--\r\n", boundary)});
  return body;
}

std::string random_hex(std::size_t bytes) {
  std::vector<unsigned char> random(bytes);
  // Up to 256 bytes come whole and without a signal's interruption (getrandom(2)).
  if (getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(bytes)) std::abort();
  std::string hex;
  for (const unsigned char byte : random) hex += fmt::format("{:02x}", byte);
  return hex;
}

}  // namespace preflight::client
