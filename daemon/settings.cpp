#include "daemon/settings.h"

#include <functional>
#include <limits>
#include <string_view>
#include <type_traits>
#include <variant>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "daemon/protocol/problem.h"

namespace preflight::daemon {

namespace fs = std::filesystem;

namespace {

struct Path {
  fs::path* target;
};
struct Text {
  std::string* target;
};
struct Word {
  std::string* target;
  std::vector<std::string_view> allowed;
};
/// A whole number of `unit` target units: 1 MiB is a unit of 2^20 bytes.
struct Number {
  std::variant<std::uint64_t*, std::uint32_t*> target;
  std::uint64_t unit = 1, least = 0, most = 0;
};
struct Seconds {
  std::variant<double*, std::chrono::milliseconds*> target;
  double least = 0, most = 0;
};

struct Setting {
  std::string_view key;  // "table.name"
  std::variant<Path, Text, Word, Number, Seconds> kind;
};

constexpr std::uint64_t kKib = 1 << 10, kMib = 1 << 20;

/// The one list of settings; reading, describing and the tests go by it.
std::vector<Setting> table_of(Settings& s) {
  ReviewerSettings& r = s.reviewer;
  return {
      {"socket.path", Path{&s.socket}},
      {"socket.group", Text{&s.socket_group}},
      {"state.dir", Path{&s.state_dir}},
      {"state.cache_dir", Path{&r.cache_dir}},
      {"model.path", Path{&r.model}},
      {"model.mmproj", Path{&r.mmproj}},
      {"model.drafter", Path{&r.drafter}},
      {"model.context_tokens", Number{&r.context_tokens, 1, 0, 262'144}},
      {"model.bookmarks", Number{&r.bookmarks, 1, 0, 64}},
      {"device.name", Text{&r.device}},
      {"device.tier", Word{&r.tier, {"auto", "base", "f16", "dot", "coopmat"}}},
      {"device.kv", Word{&r.kv, {"auto", "f16", "f32"}}},
      {"rules.dir", Path{&r.rules_dir}},
      {"decoder.program", Path{&r.decoder}},
      {"decoder.timeout_s", Seconds{&r.decode_timeout_s, 1, 3600}},
      {"decoder.memory_mib", Number{&r.decode_memory_bytes, kMib, 64, 65'536}},
      {"bundle.max_mib", Number{&s.bundle.max_bytes, kMib, 1, 1'048'576}},
      {"bundle.max_files", Number{&s.bundle.max_files, 1, 1, 10'000}},
      {"bundle.max_json_kib", Number{&s.bundle.max_json_bytes, kKib, 1, 65'536}},
      {"bundle.max_text_kib", Number{&r.max_text_bytes, kKib, 1, 65'536}},
      {"bundle.max_image_mib", Number{&r.max_image_bytes, kMib, 1, 1024}},
      {"bundle.max_image_megapixels", Number{&r.max_image_pixels, 1'000'000, 1, 1000}},
      {"bundle.max_video_s", Seconds{&r.max_video_s, 1, 86'400}},
      {"bundle.max_audio_s", Seconds{&r.max_audio_s, 1, 86'400}},
      {"queue.max_reviews", Number{&s.quota.max_reviews, 1, 1, 100'000}},
      {"queue.max_reviews_per_user", Number{&s.quota.max_reviews_per_user, 1, 1, 100'000}},
      {"spool.max_mib", Number{&s.quota.max_spool_bytes, kMib, 1, 1u << 30}},
      {"spool.max_mib_per_user", Number{&s.quota.max_spool_bytes_per_user, kMib, 1, 1u << 30}},
      {"spool.min_free_mib", Number{&s.min_free_bytes, kMib, 0, 1u << 30}},
      {"results.keep_days", Number{&s.keep_days, 1, 1, 36'500}},
      {"watchdog.stall_s", Number{&s.stall_seconds, 1, 5, 86'400}},
      {"watchdog.load_s", Number{&s.load_seconds, 1, 5, 86'400}},
      {"http.connections", Number{&s.http.connections, 1, 1, 10'000}},
      {"http.connections_per_user", Number{&s.http.connections_per_uid, 1, 1, 10'000}},
      {"http.header_deadline_s", Seconds{&s.http.header_deadline, 0.1, 600}},
      {"http.idle_deadline_s", Seconds{&s.http.idle_deadline, 0.1, 600}},
      {"http.write_deadline_s", Seconds{&s.http.write_deadline, 0.1, 600}},
      {"http.request_deadline_s", Seconds{&s.http.request_deadline, 1, 86'400}},
      {"http.ping_interval_s", Seconds{&s.http.ping_interval, 0.1, 600}},
      {"http.min_body_kib_per_s", Number{&s.http.min_body_bytes_per_s, kKib, 0, 1'048'576}},
  };
}

std::string_view type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "a whole number";
    case toml::node_type::floating_point:
      return "a number with a fraction";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or time";
  }
}

/// Empty, or what was found and what was expected.
std::string assign(const Path& path, const toml::node& node) {
  const auto* text = node.as_string();
  if (text == nullptr) return fmt::format("is {}, expected a path as a string", type_name(node));
  const fs::path value(text->get());
  if (!value.empty() && !value.is_absolute())
    return fmt::format("is \"{}\", expected an absolute path", value.string());
  *path.target = value;
  return {};
}

std::string assign(const Text& out, const toml::node& node) {
  const auto* text = node.as_string();
  if (text == nullptr) return fmt::format("is {}, expected a string", type_name(node));
  *out.target = text->get();
  return {};
}

std::string assign(const Word& word, const toml::node& node) {
  const auto* text = node.as_string();
  for (const std::string_view allowed : word.allowed)
    if (text != nullptr && text->get() == allowed) {
      *word.target = allowed;
      return {};
    }
  return fmt::format("is {}, expected one of \"{}\"",
                     text != nullptr ? fmt::format("\"{}\"", text->get()) : type_name(node),
                     fmt::join(word.allowed, "\", \""));
}

std::string assign(const Number& number, const toml::node& node) {
  const auto* value = node.as_integer();
  if (value == nullptr) return fmt::format("is {}, expected a whole number", type_name(node));
  if (value->get() < 0 || static_cast<std::uint64_t>(value->get()) < number.least ||
      static_cast<std::uint64_t>(value->get()) > number.most)
    return fmt::format("is {}, expected {} to {}", value->get(), number.least, number.most);
  // The table keeps most * unit inside of the target's type.
  const std::uint64_t scaled = static_cast<std::uint64_t>(value->get()) * number.unit;
  std::visit(
      [&](auto* target) {
        *target = static_cast<std::remove_reference_t<decltype(*target)>>(scaled);
      },
      number.target);
  return {};
}

std::string assign(const Seconds& seconds, const toml::node& node) {
  const auto value = node.value<double>();
  if (!node.is_number() || !value)
    return fmt::format("is {}, expected a number of seconds", type_name(node));
  if (!(*value >= seconds.least && *value <= seconds.most))
    return fmt::format("is {}, expected {} to {} seconds", *value, seconds.least, seconds.most);
  if (auto* const* plain = std::get_if<double*>(&seconds.target))
    **plain = *value;
  else
    *std::get<std::chrono::milliseconds*>(seconds.target) =
        std::chrono::milliseconds(static_cast<std::int64_t>(*value * 1000));
  return {};
}

std::string show(const Path& path) { return fmt::format("\"{}\"", path.target->string()); }
std::string show(const Text& text) { return fmt::format("\"{}\"", *text.target); }
std::string show(const Word& word) { return fmt::format("\"{}\"", *word.target); }
std::string show(const Number& number) {
  return std::visit([&](auto* target) { return fmt::format("{}", *target / number.unit); },
                    number.target);
}
std::string show(const Seconds& seconds) {
  if (auto* const* plain = std::get_if<double*>(&seconds.target)) return fmt::format("{}", **plain);
  const auto span = *std::get<std::chrono::milliseconds*>(seconds.target);
  return fmt::format("{}", static_cast<double>(span.count()) / 1000);
}

}  // namespace

Settings default_settings(const fs::path& program) {
  Settings settings;
  const fs::path folder = program.parent_path();
  const fs::path prefix = folder.parent_path();
  std::error_code error;
  const fs::path beside = folder / "preflight-decode";
  settings.reviewer.decoder =
      fs::exists(beside, error) ? beside : prefix / "libexec" / "preflight-decode";
  settings.reviewer.rules_dir = prefix / "share" / "preflight" / "rules";
  settings.reviewer.cache_dir = "/var/cache/preflight";
  return settings;
}

Result<void> read_settings(const std::string& text, const std::string& file, Settings& settings) {
  toml::table root;
  try {
    root = toml::parse(text, file);
  } catch (const toml::parse_error& error) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("{}:{}: {}", file, error.source().begin.line, error.description()));
  }
  const std::vector<Setting> table = table_of(settings);
  std::vector<std::string_view> keys;
  for (const Setting& setting : table) keys.push_back(setting.key);
  std::vector<std::string> problems;
  const auto complain = [&](const toml::node& node, std::string_view key, std::string_view what) {
    problems.push_back(fmt::format("{}:{}: {} {}", file, node.source().begin.line, key, what));
  };
  const auto unknown = [&](const toml::node& node, const std::string& key) {
    const std::string nearest = protocol::nearest_name(key, keys);
    complain(node, key,
             nearest.empty() ? "is no setting"
                             : fmt::format("is no setting; did you mean {}?", nearest));
  };
  for (const auto& [table_key, table_node] : root) {
    const std::string table_name(table_key.str());
    if (!table_node.is_table()) {
      unknown(table_node, table_name);
      continue;
    }
    if (table_node.as_table()->empty()) continue;
    for (const auto& [key, node] : *table_node.as_table()) {
      const std::string name = fmt::format("{}.{}", table_name, key.str());
      const Setting* found = nullptr;
      for (const Setting& setting : table)
        if (setting.key == name) found = &setting;
      if (found == nullptr) {
        unknown(node, name);
        continue;
      }
      const std::string wrong = std::visit(
          [&, &value = node](const auto& kind) { return assign(kind, value); }, found->kind);
      if (!wrong.empty()) complain(node, name, wrong);
    }
  }
  if (!problems.empty())
    return fail(ErrorCode::kInvalidInput, fmt::format("{}", fmt::join(problems, "\n")));
  return {};
}

std::vector<SettingDescription> describe_settings(const Settings& settings) {
  Settings copy = settings;
  std::vector<SettingDescription> out;
  for (const Setting& setting : table_of(copy))
    out.push_back({std::string(setting.key),
                   std::visit([](const auto& kind) { return show(kind); }, setting.kind)});
  return out;
}

}  // namespace preflight::daemon
