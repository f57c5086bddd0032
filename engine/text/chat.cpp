#include "engine/text/chat.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "engine/text/chat_tools.h"
#include "engine/text/unicode.h"

namespace preflight::text {
namespace {

using Parts = std::vector<ContentPart>;

bool is_text(const Message& message) {
  return std::holds_alternative<std::string>(message.content);
}

const Parts* parts_of(const Message& message) { return std::get_if<Parts>(&message.content); }

bool has_media(const Message& message) {
  const Parts* parts = parts_of(message);
  return parts != nullptr && std::any_of(parts->begin(), parts->end(), [](const ContentPart& part) {
           return part.kind != PartKind::kText;
         });
}

/// A message that opens or continues a turn, with the tool messages that answer it.
struct Block {
  const Message* message = nullptr;
  std::vector<const Message*> tool_messages;

  bool has_calls() const { return !message->tool_calls.empty(); }
  bool has_results() const { return !message->tool_responses.empty() || !tool_messages.empty(); }
};

/// How the last block ends, which decides how the generation prompt begins.
enum class Ending : std::uint8_t { kCall, kResponse, kOther };

class ChatRenderer {
 public:
  explicit ChatRenderer(const ChatOptions& options) : options_(options) {}

  Result<std::vector<PromptPart>> render(std::span<const Message> messages,
                                         std::span<const Value> tools) {
    out_.markup("<bos>");
    const bool has_system = !messages.empty() && messages[0].role == Role::kSystem;
    if (options_.thinking || !tools.empty() || has_system) {
      PREFLIGHT_TRY_VOID(system_turn(has_system ? &messages[0] : nullptr, tools));
    }
    PREFLIGHT_TRY_VOID(gather(messages, has_system ? 1 : 0));
    for (std::size_t i = 0; i < blocks_.size(); ++i) write_block(i);
    if (options_.generation_prompt) generation_prompt();
    return out_.take();
  }

 private:
  Result<void> system_turn(const Message* system, std::span<const Value> tools) {
    out_.markup("<|turn>system\n");
    if (options_.thinking) out_.markup("<|think|>\n");
    if (system != nullptr) {
      if (has_media(*system)) {
        return fail(ErrorCode::kInvalidInput,
                    "messages[0]: a system message at the start holds text only");
      }
      if (is_text(*system)) out_.untrusted(trim(std::get<std::string>(system->content)));
      if (const Parts* parts = parts_of(*system)) {
        for (const ContentPart& part : *parts) {
          out_.untrusted(trim(part.text));
          out_.markup(" ");
        }
      }
    }
    for (std::size_t i = 0; i < tools.size(); ++i) {
      PREFLIGHT_TRY(const Value tool, normalize_tool(tools[i], fmt::format("tools[{}]", i)));
      out_.markup("<|tool>");
      write_declaration(out_, tool);
      out_.markup("<tool|>");
    }
    out_.markup("<turn|>\n");
    return {};
  }

  Result<void> gather(std::span<const Message> messages, std::size_t first) {
    for (std::size_t i = first; i < messages.size(); ++i) {
      const Message& message = messages[i];
      if (message.role != Role::kTool) {
        if (message.role == Role::kUser) last_user_ = blocks_.size() + 1;
        blocks_.push_back(Block{&message, {}});
        continue;
      }
      const bool answers = !blocks_.empty() && blocks_.back().has_calls() &&
                           blocks_.back().message->tool_responses.empty();
      if (!answers) {
        return fail(ErrorCode::kInvalidInput,
                    fmt::format("messages[{}]: a tool result must follow the assistant message "
                                "that called the tool",
                                i));
      }
      blocks_.back().tool_messages.push_back(&message);
    }
    return {};
  }

  bool is_model(std::size_t i) const { return blocks_[i].message->role == Role::kAssistant; }

  void write_block(std::size_t i) {
    const Block& block = blocks_[i];
    const Message& message = *block.message;
    const bool model = is_model(i);
    const bool after_last_user = i + 1 > last_user_;
    if (!(model && i > 0 && is_model(i - 1))) open_turn(message.role);
    if (!message.reasoning.empty() &&
        (after_last_user || (options_.preserve_thinking && block.has_calls()))) {
      out_.markup("<|channel>thought\n");
      out_.untrusted(message.reasoning);
      out_.markup("\n<channel|>");
    }
    for (const ToolCall& call : message.tool_calls) write_call(call);
    write_results(block);
    const bool left_out = options_.mend_open_loop && options_.generation_prompt &&
                          after_last_user && block.has_calls() && block.has_results() &&
                          !has_media(message);
    const bool has_body = !left_out && write_content(message);
    close_turn(i, has_body);
  }

  void open_turn(Role role) {
    out_.markup("<|turn>");
    out_.markup(role == Role::kAssistant ? "model" : (role == Role::kSystem ? "system" : "user"));
    out_.markup("\n");
  }

  void close_turn(std::size_t i, bool has_body) {
    const Block& block = blocks_[i];
    const bool is_last = i + 1 == blocks_.size();
    if (block.has_calls() && !block.has_results()) {
      out_.markup("<|tool_response>");
      return;
    }
    const bool goes_on =
        is_model(i) && !is_last && is_model(i + 1) && (!block.has_calls() || block.has_results());
    const bool waits_for_answer = block.has_results() && !has_body && is_last;
    if (!goes_on && !waits_for_answer) out_.markup("<turn|>\n");
  }

  void write_call(const ToolCall& call) {
    out_.markup("<|tool_call>call:");
    out_.untrusted(call.name);
    out_.markup("{");
    out_.members(call.arguments, false);
    out_.markup("}<tool_call|>");
  }

  void write_results(const Block& block) {
    for (const ToolResponse& result : block.message->tool_responses) {
      write_response(result.name, result.response);
    }
    for (const Message* result : block.tool_messages) {
      const std::string name = called_name(block, *result);
      if (const Parts* parts = parts_of(*result)) {
        std::string joined;
        for (const ContentPart& part : *parts) joined += part.text;
        write_response(name, Value::string(joined));
        for (const ContentPart& part : *parts) {
          if (part.kind != PartKind::kText) out_.medium(part.kind, part.media_ix);
        }
      } else if (const auto* value = std::get_if<Value>(&result->content)) {
        write_response(name, *value);
      } else {
        write_response(name, is_text(*result)
                                 ? Value::string(std::get<std::string>(result->content))
                                 : Value{});
      }
    }
  }

  static std::string called_name(const Block& block, const Message& result) {
    for (const ToolCall& call : block.message->tool_calls) {
      if (!result.tool_call_id.empty() && call.id == result.tool_call_id) return call.name;
    }
    return result.name.empty() ? "unknown" : result.name;
  }

  void write_response(const std::string& name, const Value& response) {
    out_.markup("<|tool_response>response:");
    out_.untrusted(name);
    out_.markup("{");
    if (response.is_object()) {
      out_.members(response, false);
    } else {
      out_.markup("value:");
      out_.value(response, false);
    }
    out_.markup("}<tool_response|>");
  }

  /// True if the content wrote anything.
  bool write_content(const Message& message) {
    const bool model = message.role == Role::kAssistant;
    bool wrote = false;
    const auto text = [&](std::string_view raw) {
      const std::string kept = model ? without_thoughts(raw) : std::string(trim(raw));
      out_.untrusted(kept);
      wrote = wrote || !kept.empty();
    };
    if (is_text(message)) text(std::get<std::string>(message.content));
    if (const Parts* parts = parts_of(message)) {
      for (const ContentPart& part : *parts) {
        if (part.kind == PartKind::kText) {
          text(part.text);
        } else {
          out_.medium(part.kind, part.media_ix);
          wrote = true;
        }
      }
    }
    return wrote;
  }

  void generation_prompt() {
    Ending ending = Ending::kOther;
    if (!blocks_.empty() && blocks_.back().has_results()) {
      ending = Ending::kResponse;
    } else if (!blocks_.empty() && blocks_.back().has_calls()) {
      ending = Ending::kCall;
    }
    if (ending == Ending::kResponse && options_.mend_open_loop &&
        out_.ends_with_markup("<turn|>\n")) {
      ending = Ending::kOther;
    }
    if (ending == Ending::kOther) {
      out_.markup("<|turn>model\n");
      if (!options_.thinking) out_.markup("<|channel>thought\n<channel|>");
    } else if (ending == Ending::kResponse && options_.thinking) {
      out_.markup("<|channel>thought\n");
    }
  }

  const ChatOptions& options_;
  PromptWriter out_;
  std::vector<Block> blocks_;
  std::size_t last_user_ = 0;  // 1 + index of its block, 0 if there is none
};

}  // namespace

std::string without_thoughts(std::string_view text) {
  constexpr std::string_view kOpen = "<|channel>";
  constexpr std::string_view kClose = "<channel|>";
  std::string kept;
  while (true) {
    const std::size_t end = text.find(kClose);
    const std::string_view part = text.substr(0, end);
    kept += part.substr(0, part.find(kOpen));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + kClose.size());
  }
  return std::string(trim(kept));
}

Result<std::vector<PromptPart>> render_chat(std::span<const Message> messages,
                                            std::span<const Value> tools,
                                            const ChatOptions& options) {
  return ChatRenderer(options).render(messages, tools);
}

}  // namespace preflight::text
