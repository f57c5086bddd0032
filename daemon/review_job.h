// The border between the daemon (queue, spool, sockets) and the review itself (daemon/review/).
//
// One thread, the review thread, calls start() once and then run() for one review after another.
// It is the engine thread: nothing else touches the device. A review is a pure function of its
// spool folder, the model file and the settings, so that doing it again after a crash is all a
// replay is.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "vk/error.h"

namespace preflight::daemon {

struct ReviewInput {
  std::filesystem::path spool_dir;  ///< the bundle exactly as uploaded: bundle.json and the assets
  std::filesystem::path work_dir;   ///< exists, empty at the first attempt; what is written here is
                                    ///< still there at the next one (a pass's text, so it resumes)
  bool facts_only = false;          ///< measured rows only
};

struct ReviewEvents {
  /// `event` is an object with a string "event": "decoding", "rows", "prefill" or "row" (fields in
  /// daemon/protocol/event.h). It is stored and sent to whoever listens. The daemon itself adds
  /// "started", "done", "failed" and "cancelled".
  std::function<void(const nlohmann::json& event)> emit;
  /// True when the owner cancelled or the daemon stops: return an Error of code kCancelled soon.
  /// Every call is also the heartbeat that the watchdog goes by, so ask at least every 2 s where
  /// work goes on in steps (between submissions, while waiting for a decoder).
  std::function<bool()> cancelled;
};

/// From the settings file; every path is absolute.
struct ReviewerSettings {
  std::filesystem::path rules_dir;   ///< placements.json, checks.json
  std::filesystem::path model;       ///< GGUF file or Hugging Face directory; empty: none
  std::filesystem::path mmproj;      ///< may be empty
  std::filesystem::path drafter;     ///< may be empty
  std::filesystem::path decoder;     ///< the preflight-decode program
  std::filesystem::path cache_dir;   ///< pipeline cache; may be deleted at any time
  std::string device;                ///< part of a device's name; empty: the best one
  std::string tier = "auto";         ///< "auto", "base", "f16", "dot", "coopmat"
  std::string kv = "auto";           ///< "auto", "f16", "f32": number format of the KV pages
  std::uint32_t context_tokens = 0;  ///< 0: what a review needs
  std::uint32_t bookmarks = 2;       ///< beginnings of prompts kept on the device for later reviews
  // Limits on hostile input (creative-review C.5); a bundle over one of them is refused by name.
  std::uint64_t max_bundle_bytes = std::uint64_t{4} << 30;
  std::uint32_t max_files = 256;
  std::uint64_t max_json_bytes = 1 << 20;
  std::uint64_t max_text_bytes = 256 << 10;
  std::uint64_t max_image_bytes = std::uint64_t{40} << 20;
  std::uint64_t max_image_pixels = 64'000'000;
  double max_video_s = 600.0;
  double max_audio_s = 600.0;
  double decode_timeout_s = 120.0;  ///< wall clock per asset
  std::uint64_t decode_memory_bytes = std::uint64_t{1} << 30;
};

/// What health and the list of models say of the engine.
struct EngineHealth {
  bool loaded = false;   ///< a model is on a device and its self-test passed: decoding works
  bool loading = false;  ///< start() is still at it
  std::string reason;    ///< why not loaded, or what is being done; one sentence
  std::string model_name, model_digest;
  bool drafter = false;      ///< one is loaded beside the model
  std::string weight_types;  ///< of the model's matrices
  std::string device, driver, vulkan, tier;
  bool software = false;
  // Since the model was loaded.
  std::uint64_t prefilled_tokens = 0, cached_tokens = 0, generated_tokens = 0, forced_tokens = 0;
  std::uint64_t saved_steps = 0, draft_saved_steps = 0;
  std::int64_t last_fault_ms = 0;  ///< wall clock, milliseconds since 1970; 0: none
  std::string last_fault;
  std::string decoder_fault;  ///< why no media file can be opened; empty: the decoder is there
};

/// Daemon-wide services of a review: rules folder, settings, engine access.
class Reviewer {
 public:
  virtual ~Reviewer() = default;

  /// Review thread, once, before the first run(). Loads the model; a missing model or device is no
  /// failure: health() says so and reviews give the measured rows. `heartbeat` is called where
  /// loading goes on in steps and returns true when the daemon stops: give up then.
  virtual void start(const std::function<bool()>& heartbeat) = 0;

  /// Review thread. The whole report (preflight.report/1), or an Error whose message is one
  /// sentence for the bundle's owner. kCancelled: it was asked for. kDeviceLost: worth another
  /// attempt, the next run() builds the device again. Anything else ends the review as failed.
  virtual Result<nlohmann::json> run(const ReviewInput& input, const ReviewEvents& events) = 0;

  /// Any thread, at any time; never waits for a review.
  virtual EngineHealth health() const = 0;
};

/// Reads the rules; the model waits for start(). Errors: rules missing or malformed, by file and
/// place.
Result<std::unique_ptr<Reviewer>> make_reviewer(const ReviewerSettings& settings);

/// For `preflightd --check`: one sentence on the rules that would be used. Errors as make_reviewer.
Result<std::string> check_rules(const std::filesystem::path& rules_dir);

}  // namespace preflight::daemon
