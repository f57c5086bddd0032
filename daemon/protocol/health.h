// The answer of GET /v1/health: 200 when `status` is "ok", else 503 with the same body.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/protocol/decode_error.h"

namespace preflight::protocol {

struct Health {
  std::string
      status;  ///< "ok": decoding works; "starting": model is loading; "degraded": see reason
  std::string reason;  ///< empty when ok
  std::string version;
  struct Model {
    std::string name, digest;  ///< empty without a model
    bool loaded = false;
    bool drafter = false;  ///< loaded beside the model
  } model;
  struct Device {
    std::string name, driver, tier;  ///< empty without a device
    bool software = false;           ///< a CPU behind a Vulkan driver
  } device;
  /// The model's work since it was loaded.
  struct Work {
    std::uint64_t prefilled_tokens = 0;
    std::uint64_t cached_tokens = 0;  ///< that did not have to be prefilled again
    std::uint64_t generated_tokens = 0, forced_tokens = 0;
    std::uint64_t saved_steps = 0;        ///< of decoding, by text that a schema forces
    std::uint64_t draft_saved_steps = 0;  ///< of decoding besides, by accepted drafts
  } work;
  struct Queue {
    std::uint64_t queued = 0, running = 0, limit = 0;
  } queue;
  struct Spool {
    std::uint64_t used_bytes = 0, limit_bytes = 0, free_disk_bytes = 0;
  } spool;
  std::string database;  ///< "ok", or what had to be done at the start
  struct Fault {
    std::int64_t at_ms = 0;  ///< wall clock, milliseconds since 1970; 0: none since the start
    std::string message;
  } last_fault;
};

std::string to_json(const Health& health);
Decoded<Health> parse_health(std::string_view body);

}  // namespace preflight::protocol
