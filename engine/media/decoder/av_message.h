#pragma once

#include <string>

namespace preflight::media {

/// What libav says about one of its error codes: "Invalid data found when processing input".
std::string av_message(int code);

}  // namespace preflight::media
