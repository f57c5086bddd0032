#include "engine/text/chat_json.h"

#include <charconv>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace preflight::text {
namespace {

tl::unexpected<Error> bad(const std::string& where, std::string_view what) {
  return fail(ErrorCode::kInvalidInput, fmt::format("{}: {}", where, what));
}

/// A member that is absent or null means the same.
const Value* given(const Value& object, std::string_view key) {
  const Value* found = object.find(key);
  return found == nullptr || found->is_null() ? nullptr : found;
}

Result<std::string> text_member(const Value& object, std::string_view key,
                                const std::string& where) {
  const Value* found = given(object, key);
  if (found == nullptr) return std::string();
  if (!found->is_string()) {
    return bad(fmt::format("{}.{}", where, key),
               fmt::format("found {}, expected a string", kind_name(found->kind)));
  }
  return found->text;
}

Result<bool> flag_member(const Value& object, std::string_view key, const std::string& where) {
  const Value* found = given(object, key);
  if (found == nullptr) return false;
  if (!found->is(Value::Kind::kBoolean)) {
    return bad(where.empty() ? std::string(key) : fmt::format("{}.{}", where, key),
               fmt::format("found {}, expected true or false", kind_name(found->kind)));
  }
  return found->boolean;
}

Result<std::optional<std::uint32_t>> count_member(const Value& object, std::string_view key,
                                                  const std::string& where) {
  const Value* found = given(object, key);
  if (found == nullptr) return std::nullopt;
  std::uint32_t count = 0;
  const char* end = found->text.data() + found->text.size();
  const auto read = std::from_chars(found->text.data(), end, count);
  if (!found->is(Value::Kind::kNumber) || read.ec != std::errc() || read.ptr != end || count == 0) {
    return bad(fmt::format("{}.{}", where, key), "expected a whole number of at least 1");
  }
  return count;
}

class Reader {
 public:
  Result<ChatRequest> read(const Value& request) {
    const Value* messages = given(request, "messages");
    if (messages == nullptr || !messages->is_array()) return bad("messages", "expected a list");
    for (std::size_t i = 0; i < messages->items.size(); ++i) {
      PREFLIGHT_TRY(Message message,
                    read_message(messages->items[i], fmt::format("messages[{}]", i)));
      out_.messages.push_back(std::move(message));
    }
    if (const Value* tools = given(request, "tools")) {
      if (!tools->is_array()) return bad("tools", "expected a list");
      out_.tools = tools->items;
    }
    PREFLIGHT_TRY_VOID(read_options(request));
    return std::move(out_);
  }

 private:
  Result<void> read_options(const Value& request) {
    PREFLIGHT_TRY(out_.thinking, flag_member(request, "thinking", ""));
    PREFLIGHT_TRY(out_.preserve_thinking, flag_member(request, "preserve_thinking", ""));
    if (const Value* more = given(request, "chat_template_kwargs")) {
      const std::string where = "chat_template_kwargs";
      if (!more->is_object()) return bad(where, "expected an object");
      PREFLIGHT_TRY(const bool thinking, flag_member(*more, "enable_thinking", where));
      PREFLIGHT_TRY(const bool preserve, flag_member(*more, "preserve_thinking", where));
      out_.thinking = out_.thinking || thinking;
      out_.preserve_thinking = out_.preserve_thinking || preserve;
    }
    return {};
  }

  Result<Message> read_message(const Value& given_message, const std::string& where) {
    if (!given_message.is_object()) return bad(where, "expected an object");
    Message message;
    PREFLIGHT_TRY(message.role, read_role(given_message, where));
    PREFLIGHT_TRY_VOID(read_content(given_message, message, where));
    PREFLIGHT_TRY(message.tool_call_id, text_member(given_message, "tool_call_id", where));
    PREFLIGHT_TRY(message.name, text_member(given_message, "name", where));
    PREFLIGHT_TRY(message.reasoning, text_member(given_message, "reasoning", where));
    if (message.reasoning.empty()) {
      PREFLIGHT_TRY(message.reasoning, text_member(given_message, "reasoning_content", where));
    }
    PREFLIGHT_TRY_VOID(read_calls(given_message, message, where));
    PREFLIGHT_TRY_VOID(read_responses(given_message, message, where));
    const bool only_assistant = !message.reasoning.empty() || !message.tool_calls.empty() ||
                                !message.tool_responses.empty();
    if (only_assistant && message.role != Role::kAssistant) {
      return bad(where, "only an assistant message has reasoning, tool_calls or tool_responses");
    }
    return message;
  }

  static Result<Role> read_role(const Value& message, const std::string& where) {
    PREFLIGHT_TRY(const std::string role, text_member(message, "role", where));
    // The model knows no turn of a developer.
    if (role == "system" || role == "developer") return Role::kSystem;
    if (role == "user") return Role::kUser;
    if (role == "assistant" || role == "model") return Role::kAssistant;
    if (role == "tool") return Role::kTool;
    return bad(
        where + ".role",
        fmt::format("found '{}', expected system, developer, user, assistant or tool", role));
  }

  Result<void> read_content(const Value& source, Message& message, const std::string& where) {
    const Value* content = given(source, "content");
    if (content == nullptr) return {};
    if (content->is_string()) {
      message.content = content->text;
    } else if (content->is_array()) {
      std::vector<ContentPart> parts;
      for (std::size_t i = 0; i < content->items.size(); ++i) {
        PREFLIGHT_TRY(ContentPart part,
                      read_part(content->items[i], fmt::format("{}.content[{}]", where, i)));
        parts.push_back(std::move(part));
      }
      message.content = std::move(parts);
    } else if (message.role == Role::kTool) {
      message.content = *content;
    } else {
      return bad(where + ".content", fmt::format("found {}, expected a string or a list of parts",
                                                 kind_name(content->kind)));
    }
    return {};
  }

  Result<ContentPart> read_part(const Value& part, const std::string& where) {
    PREFLIGHT_TRY(const std::string type, text_member(part, "type", where));
    ContentPart out;
    if (type == "text") {
      const Value* text = given(part, "text");
      if (text == nullptr || !text->is_string()) return bad(where + ".text", "expected a string");
      out.text = text->text;
      return out;
    }
    if (type == "image_url" || type == "image") {
      out.kind = PartKind::kImage;
    } else if (type == "input_audio" || type == "audio" || type == "audio_url") {
      out.kind = PartKind::kAudio;
    } else if (type == "video_url" || type == "video") {
      out.kind = PartKind::kVideo;
    } else {
      return bad(where + ".type", fmt::format("found '{}', expected text, image_url, input_audio "
                                              "or video_url",
                                              type));
    }
    MediaReference medium;
    medium.kind = out.kind;
    PREFLIGHT_TRY(medium.url, read_url(part, type, where));
    PREFLIGHT_TRY(medium.budget, count_member(part, "budget", where));
    PREFLIGHT_TRY(medium.frames, count_member(part, "frames", where));
    PREFLIGHT_TRY(medium.sound, flag_member(part, "sound", where));
    out.media_ix = out_.media.size();
    out_.media.push_back(std::move(medium));
    return out;
  }

  /// `{"type": T, T: {"url": ...}}`, `{"type": T, T: "..."}` or `{"type": T, "url": ...}`.
  static Result<std::string> read_url(const Value& part, const std::string& type,
                                      const std::string& where) {
    const Value* url = given(part, type);
    if (url != nullptr && url->is_object()) url = given(*url, "url");
    if (url == nullptr) url = given(part, "url");
    if (url == nullptr || !url->is_string() || url->text.empty()) {
      return bad(where, fmt::format("expected \"{0}\": {{\"url\": \"...\"}}", type));
    }
    return url->text;
  }

  static Result<void> read_calls(const Value& source, Message& message, const std::string& where) {
    const Value* calls = given(source, "tool_calls");
    if (calls == nullptr) return {};
    if (!calls->is_array()) return bad(where + ".tool_calls", "expected a list");
    for (std::size_t i = 0; i < calls->items.size(); ++i) {
      const std::string at = fmt::format("{}.tool_calls[{}]", where, i);
      const Value& call = calls->items[i];
      const Value* function = given(call, "function");
      if (function == nullptr) function = &call;
      ToolCall out;
      PREFLIGHT_TRY(out.id, text_member(call, "id", at));
      PREFLIGHT_TRY(out.name, text_member(*function, "name", at));
      if (out.name.empty()) return bad(at, "the function has no name");
      if (const Value* arguments = given(*function, "arguments")) {
        out.arguments = *arguments;
        if (arguments->is_string()) {
          PREFLIGHT_TRY(out.arguments, parse_value(arguments->text, at + ".arguments"));
        }
        if (!out.arguments.is_object() && !out.arguments.is_null()) {
          return bad(at + ".arguments", "arguments must be a JSON object");
        }
      }
      message.tool_calls.push_back(std::move(out));
    }
    return {};
  }

  static Result<void> read_responses(const Value& source, Message& message,
                                     const std::string& where) {
    const Value* responses = given(source, "tool_responses");
    if (responses == nullptr) return {};
    if (!responses->is_array()) return bad(where + ".tool_responses", "expected a list");
    for (std::size_t i = 0; i < responses->items.size(); ++i) {
      const std::string at = fmt::format("{}.tool_responses[{}]", where, i);
      ToolResponse out;
      PREFLIGHT_TRY(out.name, text_member(responses->items[i], "name", at));
      if (out.name.empty()) out.name = "unknown";
      if (const Value* response = given(responses->items[i], "response")) out.response = *response;
      message.tool_responses.push_back(std::move(out));
    }
    return {};
  }

  ChatRequest out_;
};

}  // namespace

Result<ChatRequest> read_chat_request(const Value& request) { return Reader().read(request); }

}  // namespace preflight::text
