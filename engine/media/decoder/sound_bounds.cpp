#include "engine/media/decoder/sound_bounds.h"

#include <fmt/format.h>

namespace preflight::media {

Result<void> check_sound(std::uint32_t rate_hz, std::uint32_t n_channels) {
  if (n_channels == 0 || n_channels > kMaxSoundChannels) {
    return fail(ErrorCode::kUnsupported, fmt::format("has {} channels of sound; 1 to {} are read",
                                                     n_channels, kMaxSoundChannels));
  }
  if (rate_hz < kMinSoundRate_hz || rate_hz > kMaxSoundRate_hz) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("has sound of {} samples a second; {} to {} are read", rate_hz,
                            kMinSoundRate_hz, kMaxSoundRate_hz));
  }
  return {};
}

}  // namespace preflight::media
