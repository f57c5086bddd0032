#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "engine/text/prompt_writer.h"
#include "engine/text/tokenizer.h"
#include "engine/text/value.h"
#include "vk/error.h"

namespace preflight::text {

enum class Role : std::uint8_t { kSystem, kUser, kAssistant, kTool };

/// A part of a message: text, or a medium that the caller knows by number.
struct ContentPart {
  PartKind kind = PartKind::kText;
  std::string text;          ///< of text
  std::size_t media_ix = 0;  ///< of a medium, handed back in the prompt
};

struct ToolCall {
  std::string id;
  std::string name;
  Value arguments;  ///< an object, or null for none
};

struct ToolResponse {
  std::string name;
  Value response;
};

struct Message {
  Role role = Role::kUser;
  /// Nothing, one text, a list of parts, or (of a tool) any value.
  std::variant<std::monostate, std::string, std::vector<ContentPart>, Value> content;
  std::string reasoning;                     ///< of the assistant: its thought
  std::vector<ToolCall> tool_calls;          ///< of the assistant
  std::vector<ToolResponse> tool_responses;  ///< results inside the assistant's own message
  std::string tool_call_id;                  ///< of a tool: the call it answers
  std::string name;                          ///< of a tool, if no call has that id
};

struct ChatOptions {
  bool thinking = false;
  bool preserve_thinking = false;  ///< keep thoughts of finished turns that called tools
  bool generation_prompt = true;   ///< end where the model is to go on
  /// The published template renders content that stands beside calls after their results and then
  /// closes the turn the model should go on in. With this such content is left out while its loop
  /// of calls is still running, and a closed turn is followed by a new one.
  bool mend_open_loop = true;
};

/// The prompt of a conversation (docs/text.md, "Chat format"), `<bos>` included. Everything from
/// messages and tools is untrusted. `tools` are in the OpenAI form.
/// kInvalidInput: a tool result that follows no call, a medium in the first system message, a tool
/// without a name.
Result<std::vector<PromptPart>> render_chat(std::span<const Message> messages,
                                            std::span<const Value> tools,
                                            const ChatOptions& options);

/// The text of the model's earlier answer without its thoughts, trimmed.
std::string without_thoughts(std::string_view text);

}  // namespace preflight::text
