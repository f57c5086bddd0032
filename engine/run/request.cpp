#include "engine/run/request.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/media/image.h"
#include "engine/model/mapped_file.h"
#include "engine/text/chat.h"
#include "engine/text/chat_json.h"
#include "engine/text/value.h"

namespace preflight::run {
namespace {

using text::PartKind;
using text::Value;

constexpr std::size_t kMostRequestBytes = std::size_t{64} << 20;

tl::unexpected<Error> bad(std::string_view where, std::string_view what) {
  return fail(ErrorCode::kInvalidInput, fmt::format("{}: {}", where, what));
}

template <class Integer>
std::optional<Integer> whole_number(const Value& value) {
  Integer number = 0;
  const char* end = value.text.data() + value.text.size();
  const auto read = std::from_chars(value.text.data(), end, number);
  const bool fits = value.is(Value::Kind::kNumber) && read.ec == std::errc() && read.ptr == end;
  return fits ? std::optional<Integer>(number) : std::nullopt;
}

Result<std::vector<std::int32_t>> read_ids(const Value& list) {
  if (!list.is_array()) return bad("ids", "expected a list of token ids");
  std::vector<std::int32_t> ids;
  ids.reserve(list.items.size());
  for (const Value& item : list.items) {
    const auto id = whole_number<std::int32_t>(item);
    if (!id || *id < 0) return bad(fmt::format("ids[{}]", ids.size()), "expected a token id");
    ids.push_back(*id);
  }
  return ids;
}

/// Takes one medium over from a request, checked.
Result<MediaSource> make_source(const text::MediaReference& given,
                                const std::filesystem::path& folder, std::string_view where) {
  MediaSource source;
  source.kind = given.kind;
  std::string_view url = given.url;
  if (url.starts_with("file://")) url.remove_prefix(std::string_view("file://").size());
  if (url.starts_with("data:") || url.find("://") != std::string_view::npos) {
    return bad(where, "only files are read; expected a path, relative to the request file");
  }
  if (url.empty() || url.find('\0') != std::string_view::npos) {
    return bad(where, "expected the path of a file");
  }
  source.name = url;
  source.path = folder / std::filesystem::path(url);
  const auto& budgets = media::kImageBudgets;
  if (given.budget && std::find(budgets.begin(), budgets.end(), *given.budget) == budgets.end()) {
    return bad(where, fmt::format("the budget is {}, expected one of {}", *given.budget,
                                  fmt::join(budgets, ", ")));
  }
  const bool is_film = given.kind == PartKind::kVideo;
  if (given.budget && given.kind == PartKind::kAudio) return bad(where, "sound has no budget");
  if (!is_film && given.frames) return bad(where, "only a video has frames");
  if (!is_film && given.sound) return bad(where, "only a video has a sound track to add");
  source.budget = given.budget;
  source.frames = given.frames;
  source.sound = given.sound;
  return source;
}

/// Reads the `parts` form.
class PartReader {
 public:
  explicit PartReader(const std::filesystem::path& folder) : folder_(folder) {}

  Result<Request> read(const Value& parts, const Value* bos) {
    if (bos != nullptr && !bos->is(Value::Kind::kBoolean)) {
      return bad("bos", fmt::format("found {}, expected true or false", kind_name(bos->kind)));
    }
    if (!parts.is_array()) return bad("parts", "expected a list");
    out_.add_bos = bos == nullptr || bos->boolean;
    for (std::size_t i = 0; i < parts.items.size(); ++i) {
      PREFLIGHT_TRY_VOID(read_part(parts.items[i], fmt::format("parts[{}]", i)));
    }
    return std::move(out_);
  }

 private:
  Result<void> read_part(const Value& part, const std::string& where) {
    constexpr std::pair<std::string_view, PartKind> kKinds[] = {{"text", PartKind::kText},
                                                                {"image", PartKind::kImage},
                                                                {"audio", PartKind::kAudio},
                                                                {"video", PartKind::kVideo}};
    const Value* content = nullptr;
    PartKind kind = PartKind::kText;
    for (const auto& [name, named_kind] : kKinds) {
      const Value* found = part.find(name);
      if (found == nullptr) continue;
      if (content != nullptr) return bad(where, "holds two of text, image, audio and video");
      content = found;
      kind = named_kind;
    }
    if (content == nullptr) return bad(where, "expected one of text, image, audio or video");
    if (!content->is_string()) {
      return bad(where, fmt::format("found {}, expected a string", kind_name(content->kind)));
    }
    if (kind == PartKind::kText) {
      if (part.keys.size() > 1) return bad(where, "text has no further members");
      out_.parts.push_back({PartKind::kText, text::Segment{content->text, true}, 0});
      return {};
    }
    return read_medium(part, kind, content->text, where);
  }

  Result<void> read_medium(const Value& part, PartKind kind, const std::string& path,
                           const std::string& where) {
    text::MediaReference reference{kind, path, std::nullopt, std::nullopt, false};
    for (std::size_t i = 0; i < part.keys.size(); ++i) {
      const std::string& key = part.keys[i];
      const Value& value = part.items[i];
      const std::string at = fmt::format("{}.{}", where, key);
      if (key == "budget" || key == "frames") {
        const auto number = whole_number<std::uint32_t>(value);
        if (!number || *number == 0) return bad(at, "expected a whole number of at least 1");
        (key == "budget" ? reference.budget : reference.frames) = number;
      } else if (key == "sound") {
        if (!value.is(Value::Kind::kBoolean)) return bad(at, "expected true or false");
        reference.sound = value.boolean;
      } else if (key != "image" && key != "audio" && key != "video") {
        return bad(at, "no such member; a medium may have budget, frames and sound");
      }
    }
    PREFLIGHT_TRY(MediaSource source, make_source(reference, folder_, where));
    out_.parts.push_back({kind, {}, out_.media.size()});
    out_.media.push_back(std::move(source));
    return {};
  }

  const std::filesystem::path& folder_;
  Request out_;
};

Result<Request> read_chat(const Value& value, const std::filesystem::path& folder) {
  PREFLIGHT_TRY(const text::ChatRequest chat, text::read_chat_request(value));
  const text::ChatOptions options{.thinking = chat.thinking,
                                  .preserve_thinking = chat.preserve_thinking};
  Request request;
  PREFLIGHT_TRY(request.parts, text::render_chat(chat.messages, chat.tools, options));
  for (const text::MediaReference& reference : chat.media) {
    PREFLIGHT_TRY(MediaSource source, make_source(reference, folder, reference.url));
    request.media.push_back(std::move(source));
  }
  request.starts_in_thought = !request.parts.empty() && request.parts.back().segment.trusted &&
                              request.parts.back().segment.text.ends_with("<|channel>thought\n");
  return request;
}

}  // namespace

std::uint32_t MediaSource::budget_tokens() const {
  return budget.value_or(kind == PartKind::kVideo ? media::kDefaultVideoBudget
                                                  : media::kDefaultImageBudget);
}

Result<Request> parse_request(std::string_view json, const std::filesystem::path& folder) {
  PREFLIGHT_TRY(const Value value, text::parse_value(json, "the request"));
  const Value* ids = value.find("ids");
  const Value* parts = value.find("parts");
  const Value* messages = value.find("messages");
  const int n_forms = (ids != nullptr) + (parts != nullptr) + (messages != nullptr);
  if (n_forms != 1) {
    return bad("the request", "expected an object with one of ids, parts or messages");
  }
  if (parts != nullptr) return PartReader(folder).read(*parts, value.find("bos"));
  if (messages != nullptr) return read_chat(value, folder);
  Request request;
  PREFLIGHT_TRY(request.ids, read_ids(*ids));
  return request;
}

Result<Request> read_request(const std::filesystem::path& path) {
  PREFLIGHT_TRY(const std::string json, model::read_text_file(path, kMostRequestBytes));
  Result<Request> request = parse_request(json, path.parent_path());
  if (request.has_value()) return request;
  return fail(request.error().code, fmt::format("{}: {}", path.string(), request.error().message));
}

}  // namespace preflight::run
