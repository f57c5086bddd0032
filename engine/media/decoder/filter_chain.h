#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

extern "C" {
#include <libavfilter/avfilter.h>
#include <libavfilter/buffersrc.h>
#include <libavutil/mem.h>
}

#include "engine/media/decoder/av_frame.h"
#include "vk/error.h"

namespace preflight::media {

struct FreeSource {
  void operator()(AVBufferSrcParameters* source) const { av_free(source); }
};
/// What the frames that go into a chain are like: all the same.
using SourcePtr = std::unique_ptr<AVBufferSrcParameters, FreeSource>;

/// A line of libavfilter filters that measure: frames go in at one end and come out at the other
/// with what was found as metadata. One thread.
class FilterChain {
 public:
  using Take = std::function<void(const AVFrame& measured)>;

  /// `filters` as the filter language has it: "silencedetect=d=0.25,ebur128=metadata=1".
  /// Errors: kUnsupported where no conversion leads from the frames to the filters.
  static Result<FilterChain> create(AVMediaType type, AVBufferSrcParameters& source,
                                    const std::string& filters);

  /// Gives one frame and calls `take` for every frame that comes out.
  Result<void> push(FramePtr frame, const Take& take);
  /// No frame follows: calls `take` for what the filters still hold.
  Result<void> finish(const Take& take);

 private:
  struct FreeGraph {
    void operator()(AVFilterGraph* graph) const { avfilter_graph_free(&graph); }
  };

  FilterChain() = default;
  Result<void> drain(const Take& take);

  std::unique_ptr<AVFilterGraph, FreeGraph> graph_;
  AVFilterContext* source_ = nullptr;  ///< of graph_
  AVFilterContext* sink_ = nullptr;    ///< of graph_
};

/// The number that a filter left on a frame; empty without one. Silence has levels of minus
/// infinity.
std::optional<double> measured(const AVFrame& frame, const char* key);

}  // namespace preflight::media
