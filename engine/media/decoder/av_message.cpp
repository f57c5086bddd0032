#include "engine/media/decoder/av_message.h"

#include <array>

extern "C" {
#include <libavutil/error.h>
}

#include <fmt/format.h>

namespace preflight::media {

std::string av_message(int code) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> text = {};
  if (av_strerror(code, text.data(), text.size()) != 0) return fmt::format("error {}", code);
  return text.data();
}

}  // namespace preflight::media
