#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/prompt_writer.h"
#include "vk/error.h"

namespace preflight::run {

/// A medium of a request: a file to decode, or what `preprocess` made of one.
struct MediaSource {
  text::PartKind kind = text::PartKind::kImage;
  std::filesystem::path path;           ///< found from the folder of the request file
  std::string name;                     ///< as the request writes it, for messages
  std::optional<std::uint32_t> budget;  ///< of a picture or of each frame, where stated
  std::optional<std::uint32_t> frames;  ///< of a film: how many to take, where stated
  bool sound = false;                   ///< of a film: its track follows it

  bool is_preprocessed() const { return path.extension() == ".safetensors"; }
  /// The stated budget, else 280 for a picture and 70 for a film.
  std::uint32_t budget_tokens() const;
};

/// What a model is asked to read.
struct Request {
  /// The raw form: ids as they are. If set, the rest is empty.
  std::optional<std::vector<std::int32_t>> ids;

  bool add_bos = false;  ///< of `parts`: put the begin token in front, unless the text spells it
  std::vector<text::PromptPart> parts;  ///< a medium's media_ix points into `media`
  std::vector<MediaSource> media;
  bool starts_in_thought = false;  ///< the prompt ends inside a thought: so does the answer begin
};

/// Reads a request in one of its three forms:
///   {"ids": [3, 17]}
///   {"parts": [{"text": "..."}, {"image": "a.png", "budget": 280}, {"audio": "b.wav"},
///              {"video": "c.mp4", "frames": 32, "budget": 70, "sound": true}], "bos": true}
///   {"messages": [...], "tools": [...], "thinking": false}      (text::read_chat_request)
/// Text of `parts` is trusted: special tokens in it are parsed. `folder` is where the paths of
/// media begin. kInvalidInput names the place in the request, what was found and what was expected.
Result<Request> parse_request(std::string_view json, const std::filesystem::path& folder);

/// The same from a file; errors begin with its name.
Result<Request> read_request(const std::filesystem::path& path);

}  // namespace preflight::run
