// How a command of qa-client ends: its exit status, and the sentence when it cannot go on.
#pragma once

#include <string>
#include <utility>

#include <tl/expected.hpp>

namespace preflight::client {

/// Exit statuses are interface: they never change meaning (README, "In scripts").
enum class Exit : int {
  kPass = 0,         ///< every row passed; for other commands: done
  kFail = 1,         ///< a row failed at or above --fail-on
  kUsage = 2,        ///< wrong use, or the bundle is not valid
  kUndecided = 3,    ///< nothing failed, but a row needs a human or was not checked
  kUnavailable = 4,  ///< the daemon cannot be reached, or its model is not ready
  kInternal = 5,     ///< something broke
  kStopped = 6,      ///< timed out or cancelled
};

struct Failure {
  Exit exit = Exit::kInternal;
  std::string message;  ///< one or more sentences for people; several lines where several are wrong
};

template <class T>
using Outcome = tl::expected<T, Failure>;

inline tl::unexpected<Failure> stop(Exit exit, std::string message) {
  return tl::unexpected<Failure>(Failure{exit, std::move(message)});
}

}  // namespace preflight::client
