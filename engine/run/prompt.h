#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "engine/engine.h"
#include "engine/run/engine_options.h"
#include "engine/run/expand.h"
#include "engine/run/load_media.h"
#include "engine/run/request.h"
#include "vk/error.h"

namespace preflight::run {

/// A request read, decoded and counted: everything that needs no device.
struct CountedRequest {
  Request request;
  std::vector<LoadedMedium> media;
  Expanded expanded;
};

/// Reads the request, decodes its media and expands it to ids. The model file is opened for its
/// vocabulary alone.
Result<CountedRequest> read_counted_request(const std::filesystem::path& path,
                                            const ModelOptions& model,
                                            media::DecoderOptions decoder_options = {});

/// The request as an engine's inputs. The soft rows belong to `soft` and move with it.
struct Prompt {
  std::vector<engine::SoftTokens> soft;
  std::vector<engine::Input> inputs;
};

/// Runs the embedders over the request's media.
Result<Prompt> embed(const CountedRequest& counted, engine::Engine& engine);

}  // namespace preflight::run
