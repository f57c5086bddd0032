#include "engine/media/decoder/sound_meter.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace preflight::media {
namespace {

constexpr float kFullScale = 32767.0f / 32768.0f;
constexpr std::uint64_t kClippedRun = 3;
constexpr float kSilentAmplitude = 0.0031622777f;  // -50 dBFS
constexpr double kSilenceMin_s = 0.25;

}  // namespace

SoundMeter::SoundMeter(std::uint32_t rate_hz, std::uint32_t n_channels)
    : rate_hz_(rate_hz), loudness_(rate_hz, n_channels), channels_(n_channels) {}

void SoundMeter::push(std::span<const float> interleaved) {
  clean_.assign(interleaved.begin(), interleaved.end());
  for (float& sample : clean_) {
    if (std::isfinite(sample)) continue;
    sample = 0.0f;
    ++n_not_numbers_;
  }
  loudness_.push(clean_);
  const std::size_t n_channels = channels_.size();
  for (std::size_t at = 0; at + n_channels <= clean_.size(); at += n_channels) {
    bool silent = true;
    for (std::size_t c = 0; c < n_channels; ++c) {
      const float sample = clean_[at + c];
      Channel& channel = channels_[c];
      watch_clipping(channel, sample);
      channel.sum += static_cast<double>(sample);
      channel.peak = std::max(channel.peak, std::abs(sample));
      silent = silent && std::abs(sample) < kSilentAmplitude;
      identical_ = identical_ && sample == clean_[at];
    }
    watch_silence(silent);
    ++n_samples_;
  }
}

void SoundMeter::watch_clipping(Channel& channel, float sample) {
  const bool full = std::abs(sample) >= kFullScale;
  const bool positive = sample > 0.0f;
  if (channel.run > 0 && (!full || positive != channel.positive)) end_run(channel);
  if (!full) return;
  channel.positive = positive;
  ++channel.run;
}

void SoundMeter::end_run(Channel& channel) {
  if (channel.run >= kClippedRun) {
    ++clipped_runs_;
    clipped_samples_ += channel.run;
  }
  channel.run = 0;
}

void SoundMeter::watch_silence(bool silent) {
  if (silent && !silent_) silent_since_ = n_samples_;
  if (!silent && silent_) {
    const double begin_s = static_cast<double>(silent_since_) / rate_hz_;
    const double end_s = static_cast<double>(n_samples_) / rate_hz_;
    if (end_s - begin_s >= kSilenceMin_s) silences_.push_back({.start_s = begin_s, .end_s = end_s});
  }
  silent_ = silent;
}

void SoundMeter::finish(double start_s, SoundFacts& out) {
  if (n_samples_ == 0) return;
  for (Channel& channel : channels_) end_run(channel);
  watch_silence(false);
  loudness_.finish(out);
  out.clipped_runs = clipped_runs_;
  out.clipped_samples = clipped_samples_;
  double offset = 0.0;
  float peak = 0.0f;
  for (const Channel& channel : channels_) {
    const double mean = channel.sum / static_cast<double>(n_samples_);
    if (std::abs(mean) > std::abs(offset)) offset = mean;
    peak = std::max(peak, channel.peak);
  }
  out.dc_offset = offset;
  if (peak > 0.0f) out.sample_peak_dbfs = 20.0 * std::log10(static_cast<double>(peak));
  if (channels_.size() == 2) out.channels_identical = identical_;
  for (TimeSpan& span : silences_) {
    out.silent_s += span.end_s - span.start_s;
    span.start_s += start_s;
    span.end_s += start_s;
  }
  out.silences = std::move(silences_);
}

}  // namespace preflight::media
