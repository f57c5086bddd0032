#pragma once

#include <vector>

#include "engine/media/media.h"
#include "engine/run/request.h"
#include "vk/error.h"

namespace preflight::run {

/// A medium ready for the embedders.
struct LoadedMedium {
  std::vector<media::VideoFrame> frames;  ///< a picture: one, at time 0
  std::vector<media::AudioClip> clips;
};

/// Reads what `preflight-run preprocess` wrote in place of the medium itself:
///   picture  patches F32 [n, 6912], positions I32 [n, 2] (column, row) in raster order
///   film     the same for all frames one after another, frame_rows I32 [frames] (patches of each
///            frame, their sum is n), times F32 [frames] (seconds)
///   sound    frames F32 [n, 640]; more than 30 s are cut into clips like a sound file
/// A film's file holds no track, so `sound` is refused with it. Errors name file and tensor.
Result<LoadedMedium> read_preprocessed(const MediaSource& source);

}  // namespace preflight::run
