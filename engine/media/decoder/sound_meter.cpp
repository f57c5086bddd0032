#include "engine/media/decoder/sound_meter.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "engine/media/decoder/sound_bounds.h"

namespace preflight::media {
namespace {

constexpr float kFullScale = 32767.0f / 32768.0f;
constexpr std::uint64_t kClippedRun = 3;
constexpr double kGate_lufs = -70.0;  // the absolute gate of BS.1770
constexpr double kFloor_db = -70.0;   // a channel of silence is this loud beside the other one
constexpr std::uint32_t kLowRate_hz = 8000;  // the K weighting has no shape below
constexpr std::uint32_t kHighRate_hz = 48000;
constexpr std::uint32_t kPeakRate_hz = 192000;

// Frames of 100 ms: loudness is told ten times a second, and a frame that were merged with others
// later would lose what the filters before have written on it.
std::string levels_filters(std::uint32_t rate_hz, const AVChannelLayout& layout) {
  const bool low = rate_hz < kLowRate_hz;
  std::string filters = fmt::format(
      "aformat=sample_fmts=dbl,{}asetnsamples=n={}:p=0,silencedetect=n=-50dB:d=0.25,"
      "astats=metadata=1:measure_perchannel={}:measure_overall=DC_offset+Peak_level",
      low ? fmt::format("aresample={},", kHighRate_hz) : "", (low ? kHighRate_hz : rate_hz) / 10,
      layout.nb_channels == 2 ? "RMS_level" : "none");
  if (layout.order == AV_CHANNEL_ORDER_NATIVE) filters += ",ebur128=metadata=1";
  return filters;
}

// As ebur128 does it; its own figure comes with three decimals of the amplitude only.
std::string true_peak_filters(std::uint32_t rate_hz) {
  return fmt::format(
      "aformat=sample_fmts=dbl,aresample={},"
      "astats=metadata=1:measure_perchannel=none:measure_overall=Peak_level",
      std::max(rate_hz, kPeakRate_hz));
}

std::optional<double> if_finite(std::optional<double> value) {
  return value && std::isfinite(*value) ? value : std::nullopt;
}

void raise(std::optional<double>& highest, std::optional<double> value) {
  if (value && *value > highest.value_or(kGate_lufs)) highest = value;
}

}  // namespace

AVChannelLayout usual_layout(std::uint32_t n_channels) {
  AVChannelLayout layout = {};
  av_channel_layout_default(&layout, static_cast<int>(n_channels));
  return layout;
}

SoundMeter::SoundMeter(std::uint32_t rate_hz, const AVChannelLayout& layout, FilterChain levels,
                       FilterChain true_peak)
    : rate_hz_(rate_hz),
      layout_(layout),
      levels_(std::move(levels)),
      true_peak_(std::move(true_peak)),
      channels_(static_cast<std::size_t>(layout.nb_channels)) {}

Result<SoundMeter> SoundMeter::create(std::uint32_t rate_hz, const AVChannelLayout& layout) {
  const auto n_channels = static_cast<std::uint32_t>(std::max(layout.nb_channels, 0));
  PREFLIGHT_TRY_VOID(check_sound(rate_hz, n_channels));
  // Layouts with names or spheres of their own count as unstated; the others own no memory.
  const bool stated = layout.order == AV_CHANNEL_ORDER_NATIVE;
  const AVChannelLayout place = stated ? layout : usual_layout(n_channels);
  const SourcePtr source(av_buffersrc_parameters_alloc());
  if (!source) return fail(ErrorCode::kOutOfMemory, "could not be measured: no memory");
  source->format = AV_SAMPLE_FMT_FLT;
  source->sample_rate = static_cast<int>(rate_hz);
  source->time_base = {1, static_cast<int>(rate_hz)};
  source->ch_layout = place;
  PREFLIGHT_TRY(FilterChain levels,
                FilterChain::create(AVMEDIA_TYPE_AUDIO, *source, levels_filters(rate_hz, place)));
  PREFLIGHT_TRY(FilterChain true_peak,
                FilterChain::create(AVMEDIA_TYPE_AUDIO, *source, true_peak_filters(rate_hz)));
  return SoundMeter(rate_hz, place, std::move(levels), std::move(true_peak));
}

Result<FramePtr> SoundMeter::frame_of(std::span<const float> interleaved) const {
  FramePtr frame(av_frame_alloc());
  if (!frame) return fail(ErrorCode::kOutOfMemory, "could not be measured: no memory");
  frame->format = AV_SAMPLE_FMT_FLT;
  frame->sample_rate = static_cast<int>(rate_hz_);
  frame->ch_layout = layout_;
  frame->nb_samples = static_cast<int>(interleaved.size() / channels_.size());
  frame->pts = static_cast<std::int64_t>(n_samples_);
  if (av_frame_get_buffer(frame.get(), 0) < 0) {
    return fail(ErrorCode::kOutOfMemory, "could not be measured: no memory");
  }
  std::memcpy(frame->data[0], interleaved.data(), interleaved.size_bytes());
  return frame;
}

Result<void> SoundMeter::measure(FramePtr frame) {
  FramePtr again(av_frame_clone(frame.get()));
  if (!again) return fail(ErrorCode::kOutOfMemory, "could not be measured: no memory");
  PREFLIGHT_TRY_VOID(
      levels_.push(std::move(frame), [this](const AVFrame& one) { read_levels(one); }));
  return true_peak_.push(std::move(again), [this](const AVFrame& one) { read_true_peak(one); });
}

Result<void> SoundMeter::push(std::span<const float> interleaved) {
  const std::size_t n_channels = channels_.size();
  clean_.assign(interleaved.begin(), interleaved.end());
  clean_.resize(clean_.size() / n_channels * n_channels);
  if (clean_.empty()) return {};
  for (std::size_t i = 0; i < clean_.size(); ++i) {
    float& sample = clean_[i];
    if (!std::isfinite(sample)) {
      sample = 0.0f;
      ++n_not_numbers_;
    }
    watch_clipping(channels_[i % n_channels], sample);
    identical_ = identical_ && sample == clean_[i / n_channels * n_channels];
  }
  PREFLIGHT_TRY(FramePtr frame, frame_of(clean_));
  n_samples_ += clean_.size() / n_channels;
  return measure(std::move(frame));
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
    ++facts_.clipped_runs;
    facts_.clipped_samples += channel.run;
  }
  channel.run = 0;
}

void SoundMeter::read_levels(const AVFrame& frame) {
  raise(facts_.momentary_max_lufs, measured(frame, "lavfi.r128.M"));
  raise(facts_.short_term_max_lufs, measured(frame, "lavfi.r128.S"));
  // The filter says -70 LUFS and 0 LU as long as nothing has passed the gate.
  if (facts_.momentary_max_lufs) {
    if (const auto i = measured(frame, "lavfi.r128.I")) facts_.integrated_lufs = i;
  }
  if (facts_.short_term_max_lufs) {
    if (const auto range = measured(frame, "lavfi.r128.LRA")) facts_.loudness_range_lu = range;
  }
  facts_.dc_offset = measured(frame, "lavfi.astats.Overall.DC_offset");
  facts_.sample_peak_dbfs = if_finite(measured(frame, "lavfi.astats.Overall.Peak_level"));
  left_db_ = measured(frame, "lavfi.astats.1.RMS_level");
  right_db_ = measured(frame, "lavfi.astats.2.RMS_level");
  // A frame is shorter than a silence: where both are on it, the start comes first.
  if (const auto start_s = measured(frame, "lavfi.silence_start")) silent_since_s_ = start_s;
  if (const auto end_s = measured(frame, "lavfi.silence_end")) end_silence(*end_s);
}

void SoundMeter::read_true_peak(const AVFrame& frame) {
  facts_.true_peak_dbtp = if_finite(measured(frame, "lavfi.astats.Overall.Peak_level"));
}

void SoundMeter::end_silence(double end_s) {
  if (silent_since_s_) facts_.silences.push_back({.start_s = *silent_since_s_, .end_s = end_s});
  silent_since_s_.reset();
}

Result<SoundFacts> SoundMeter::finish(double start_s) {
  if (n_samples_ == 0) return SoundFacts{};
  for (Channel& channel : channels_) end_run(channel);
  PREFLIGHT_TRY_VOID(levels_.finish([this](const AVFrame& one) { read_levels(one); }));
  PREFLIGHT_TRY_VOID(true_peak_.finish([this](const AVFrame& one) { read_true_peak(one); }));
  end_silence(static_cast<double>(n_samples_) / rate_hz_);
  if (left_db_ && right_db_) {
    facts_.channel_difference_lu = std::max(*left_db_, kFloor_db) - std::max(*right_db_, kFloor_db);
  }
  if (channels_.size() == 2) facts_.channels_identical = identical_;
  for (TimeSpan& span : facts_.silences) {
    facts_.silent_s += span.end_s - span.start_s;
    span.start_s += start_s;
    span.end_s += start_s;
  }
  return std::move(facts_);
}

}  // namespace preflight::media
