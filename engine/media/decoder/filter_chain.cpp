#include "engine/media/decoder/filter_chain.h"

#include <cerrno>
#include <charconv>
#include <cmath>
#include <string_view>
#include <system_error>
#include <utility>

extern "C" {
#include <libavfilter/buffersink.h>
#include <libavutil/dict.h>
}

#include "engine/media/decoder/av_message.h"

namespace preflight::media {
namespace {

tl::unexpected<Error> no_memory() {
  return fail(ErrorCode::kOutOfMemory, "could not be measured: no memory");
}

tl::unexpected<Error> refused(int code) {
  if (code == AVERROR(ENOMEM)) return no_memory();
  return fail(ErrorCode::kUnsupported, "could not be measured: " + av_message(code));
}

struct FreeEnds {
  void operator()(AVFilterInOut* ends) const { avfilter_inout_free(&ends); }
};
using EndsPtr = std::unique_ptr<AVFilterInOut, FreeEnds>;

EndsPtr open_end(const char* name, AVFilterContext* filter) {
  EndsPtr end(avfilter_inout_alloc());
  if (!end) return end;
  end->name = av_strdup(name);
  end->filter_ctx = filter;
  return end;
}

}  // namespace

Result<FilterChain> FilterChain::create(AVMediaType type, AVBufferSrcParameters& source,
                                        const std::string& filters) {
  const bool pictures = type == AVMEDIA_TYPE_VIDEO;
  FilterChain chain;
  chain.graph_.reset(avfilter_graph_alloc());
  if (!chain.graph_) return no_memory();
  AVFilterGraph* graph = chain.graph_.get();
  graph->nb_threads = 1;

  chain.source_ = avfilter_graph_alloc_filter(
      graph, avfilter_get_by_name(pictures ? "buffer" : "abuffer"), "in");
  if (chain.source_ == nullptr) return no_memory();
  int done = av_buffersrc_parameters_set(chain.source_, &source);
  if (done >= 0) done = avfilter_init_str(chain.source_, nullptr);
  if (done >= 0) {
    // Sound of so many channels that their places have no names is measured too.
    done = avfilter_graph_create_filter(
        &chain.sink_, avfilter_get_by_name(pictures ? "buffersink" : "abuffersink"), "out",
        pictures ? nullptr : "all_channel_counts=1", nullptr, graph);
  }
  if (done < 0) return refused(done);

  // Names are seen from the text: its input is the source's output.
  EndsPtr before = open_end("in", chain.source_);
  EndsPtr after = open_end("out", chain.sink_);
  if (!before || !after) return no_memory();
  AVFilterInOut* inputs = after.release();
  AVFilterInOut* outputs = before.release();
  done = avfilter_graph_parse_ptr(graph, filters.c_str(), &inputs, &outputs, nullptr);
  after.reset(inputs);
  before.reset(outputs);
  if (done >= 0) done = avfilter_graph_config(graph, nullptr);
  if (done < 0) return refused(done);
  return chain;
}

Result<void> FilterChain::drain(const Take& take) {
  const FramePtr frame(av_frame_alloc());
  if (!frame) return no_memory();
  for (;;) {
    const int got = av_buffersink_get_frame(sink_, frame.get());
    if (got == AVERROR(EAGAIN) || got == AVERROR_EOF) return {};
    if (got < 0) return refused(got);
    take(*frame);
    av_frame_unref(frame.get());
  }
}

Result<void> FilterChain::push(FramePtr frame, const Take& take) {
  const int pushed = av_buffersrc_add_frame(source_, frame.get());
  if (pushed < 0) return refused(pushed);
  return drain(take);
}

Result<void> FilterChain::finish(const Take& take) {
  const int pushed = av_buffersrc_add_frame(source_, nullptr);
  if (pushed < 0) return refused(pushed);
  return drain(take);
}

std::optional<double> measured(const AVFrame& frame, const char* key) {
  const AVDictionaryEntry* entry = av_dict_get(frame.metadata, key, nullptr, 0);
  if (entry == nullptr) return std::nullopt;
  const std::string_view text(entry->value);
  double value = 0.0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc() || std::isnan(value)) return std::nullopt;
  return value;
}

}  // namespace preflight::media
