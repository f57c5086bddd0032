#include "engine/media/decoder/resampler.h"

#include <array>
#include <cerrno>

extern "C" {
#include <libavutil/channel_layout.h>
#include <libavutil/error.h>
#include <libavutil/opt.h>
#include <libavutil/samplefmt.h>
}

#include "engine/media/decoder/av_message.h"
#include "engine/media/media.h"

namespace preflight::media {
namespace {

struct Setting {
  const char* name;
  double value;
};

// A Kaiser window of 44 zero crossings to either side: the step from full level to -90 dB is 1 kHz
// wide, and lies between 7 and 8 kHz. Rates that have no small ratio to 16 kHz take their taps
// between two of the 1024 phases.
constexpr std::array kSettings = {Setting{"filter_type", SWR_FILTER_TYPE_KAISER},
                                  Setting{"kaiser_beta", 9.0},
                                  Setting{"filter_size", 88},
                                  Setting{"cutoff", 7.5 / 8.0},
                                  Setting{"phase_shift", 10},
                                  Setting{"linear_interp", 1}};

// Every setting is valid and the bounds are checked: what can go wrong is memory.
tl::unexpected<Error> failed(int code) {
  return fail(code == AVERROR(ENOMEM) ? ErrorCode::kOutOfMemory : ErrorCode::kInternal,
              "has sound that could not be brought to 16 kHz: " + av_message(code));
}

}  // namespace

Result<Resampler> Resampler::create(std::uint32_t rate_hz) {
  Resampler r;
  r.rate_hz_ = rate_hz;
  AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO;
  SwrContext* swr = nullptr;
  int done = swr_alloc_set_opts2(&swr, &mono, AV_SAMPLE_FMT_FLTP, kSampleRate, &mono,
                                 AV_SAMPLE_FMT_FLTP, static_cast<int>(rate_hz), 0, nullptr);
  r.swr_.reset(swr);
  for (const Setting& setting : kSettings) {
    if (done >= 0) done = av_opt_set_double(swr, setting.name, setting.value, 0);
  }
  if (done >= 0) done = swr_init(swr);
  if (done < 0) return failed(done);
  return r;
}

Result<void> Resampler::convert(std::span<const float> input, std::vector<float>& out) {
  const auto n_input = static_cast<int>(input.size());
  const int n_room = swr_get_out_samples(swr_.get(), n_input);
  const std::size_t n_before = out.size();
  int n_new = n_room;
  if (n_room >= 0) {
    out.resize(n_before + static_cast<std::size_t>(n_room));
    auto* to = reinterpret_cast<std::uint8_t*>(out.data() + n_before);
    const auto* from = reinterpret_cast<const std::uint8_t*>(input.data());
    n_new = swr_convert(swr_.get(), &to, n_room, &from, n_input);
  }
  if (n_new < 0) return failed(n_new);
  out.resize(n_before + static_cast<std::size_t>(n_new));
  n_out_ += static_cast<std::uint64_t>(n_new);
  return {};
}

Result<void> Resampler::push(std::span<const float> input, std::vector<float>& out) {
  n_in_ += input.size();
  return convert(input, out);
}

Result<void> Resampler::finish(std::vector<float>& out) {
  // The library's own flush gives too little where the sound is shorter than the filter.
  static constexpr std::array<float, 1024> kSilence = {};
  const std::uint64_t n_wanted = (n_in_ * kSampleRate + rate_hz_ - 1) / rate_hz_;
  while (n_out_ < n_wanted) PREFLIGHT_TRY_VOID(convert(kSilence, out));
  out.resize(out.size() - static_cast<std::size_t>(n_out_ - n_wanted));
  n_out_ = n_wanted;
  return {};
}

}  // namespace preflight::media
