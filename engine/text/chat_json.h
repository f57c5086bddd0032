#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/text/chat.h"
#include "engine/text/value.h"
#include "vk/error.h"

namespace preflight::text {

/// A medium as a message names it.
struct MediaReference {
  PartKind kind = PartKind::kImage;
  std::string url;                      ///< as written: a path, here
  std::optional<std::uint32_t> budget;  ///< soft tokens per picture or frame, if the part says so
  std::optional<std::uint32_t> frames;  ///< of a film
  bool sound = false;                   ///< of a film: its track follows it
};

struct ChatRequest {
  std::vector<Message> messages;
  std::vector<MediaReference> media;  ///< ContentPart::media_ix points here
  std::vector<Value> tools;
  bool thinking = false;
  bool preserve_thinking = false;
};

/// Reads `{"messages": [...], "tools": [...], "thinking": false}` in the OpenAI form. A part of a
/// message is `text`, `image_url`, `input_audio` or `video_url` ({"url": ...}); `image`, `audio`
/// and `video` are read the same way. `chat_template_kwargs.enable_thinking` means `thinking`.
/// kInvalidInput names the place: "messages[2].content[0]: ...".
Result<ChatRequest> read_chat_request(const Value& request);

}  // namespace preflight::text
