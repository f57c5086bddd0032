#pragma once

#include <cstdint>

#include "vk/error.h"

namespace preflight::media {

inline constexpr std::uint32_t kMinSoundRate_hz = 1000;
inline constexpr std::uint32_t kMaxSoundRate_hz = 384000;
inline constexpr std::uint32_t kMaxSoundChannels = 64;

/// Which sound is read at all. Errors: kUnsupported naming the rate or the number of channels.
Result<void> check_sound(std::uint32_t rate_hz, std::uint32_t n_channels);

}  // namespace preflight::media
