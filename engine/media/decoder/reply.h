#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "engine/media/decoder.h"
#include "vk/error.h"

/// The child's replies, both directions in one place. The encoders are trusted; the parsers are not
/// told anything they do not check: every number's type and range, every array against the memory.
namespace preflight::media {

/// Puts an array into the shared memory and returns its offset.
using AppendArray = std::function<Result<std::uint64_t>(std::span<const std::byte>)>;

std::string encode_error(const Error& error);
Result<std::string> encode_image(const DecodedImage& image, const AppendArray& append);
Result<std::string> encode_sound(const DecodedSound& sound, const AppendArray& append);
Result<std::string> encode_video(const DecodedVideo& video, const AppendArray& append);
std::string encode_facts(const MediaFacts& facts);
std::string encode_kind(MediaKind kind);

/// Errors: the child's own (its message is the clause after the file's name), or kInternal when the
/// reply does not fit the protocol.
Result<DecodedImage> parse_image(std::string_view reply, std::span<const std::byte> memory);
Result<DecodedSound> parse_sound(std::string_view reply, std::span<const std::byte> memory);
Result<DecodedVideo> parse_video(std::string_view reply, std::span<const std::byte> memory);
Result<MediaFacts> parse_facts(std::string_view reply);
Result<MediaKind> parse_kind(std::string_view reply);

}  // namespace preflight::media
