#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <span>

#include "vk/commands.h"
#include "vk/device.h"
#include "vk/error.h"

namespace preflight::vk {

struct SubmitterState;

/// Runs command lists and waits for them. The Device outlives it.
class Submitter {
 public:
  [[nodiscard]] static Result<Submitter> create(
      Device& device, std::chrono::milliseconds timeout = std::chrono::seconds(60));
  Submitter(Submitter&& other) noexcept;
  Submitter& operator=(Submitter&& other) noexcept;
  ~Submitter();

  /// One submission: the lists in order, then a copy of a fresh serial into a sentinel that the
  /// host checks after the wait. Returns the host's time from submission to end in milliseconds.
  /// After it everything the lists wrote is visible to later submissions and to the host. Errors:
  /// kDeviceLost for a lost device, a wrong sentinel or no end within the timeout; the Device is
  /// then lost() and every later run fails at once. kInternal: a list that is not ready.
  [[nodiscard]] Result<double> run(std::span<const CommandList* const> lists);

  /// What all runs have taken so far, in milliseconds.
  [[nodiscard]] double total_ms() const;

  /// Called while a run waits, at least every 500 ms; must not touch the device.
  void set_heartbeat(std::function<void()> heartbeat);

 private:
  explicit Submitter(std::unique_ptr<SubmitterState> state);
  std::unique_ptr<SubmitterState> state_;
};

}  // namespace preflight::vk
