#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include <tl/expected.hpp>

namespace preflight {

/// What the caller can do about a failure.
enum class ErrorCode {
  kInvalidInput,  ///< the thing given is wrong: name it, refuse it
  kUnsupported,   ///< well formed, but outside what this build reads
  kNotFound,      ///< no such file, device, key
  kOutOfMemory,   ///< host or device memory; the message names what was asked and what was free
  kDeviceLost,    ///< the device must be built again and the work replayed
  kIo,            ///< the system refused a read, write or start
  kLimit,         ///< a stated limit (size, time, count) was passed
  kCancelled,     ///< the caller asked to stop
  kInternal,      ///< a promise between our own parts was broken
};

/// A failure with its whole story: which thing, what was found, what was expected.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
};

template <class T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(ErrorCode code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message)});
}

[[noreturn]] inline void assertion_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: broken promise: %s\n", file, line, condition);
  std::abort();
}

}  // namespace preflight

#define PREFLIGHT_CONCAT_INNER(a, b) a##b
#define PREFLIGHT_CONCAT(a, b) PREFLIGHT_CONCAT_INNER(a, b)

/// `PREFLIGHT_TRY(auto file, File::open(path));` binds the value or returns the error.
#define PREFLIGHT_TRY(declaration, ...) \
  PREFLIGHT_TRY_IMPL(PREFLIGHT_CONCAT(preflight_try_, __LINE__), declaration, __VA_ARGS__)
#define PREFLIGHT_TRY_IMPL(temporary, declaration, ...)                            \
  auto temporary = (__VA_ARGS__);                                                  \
  if (!temporary.has_value()) return tl::unexpected(std::move(temporary).error()); \
  declaration = std::move(temporary).value()

/// The same for a Result<void>.
#define PREFLIGHT_TRY_VOID(...)                                       \
  do {                                                                \
    auto preflight_try_result = (__VA_ARGS__);                        \
    if (!preflight_try_result.has_value())                            \
      return tl::unexpected(std::move(preflight_try_result).error()); \
  } while (false)

/// A bug, not an input: on in every build, the service manager starts us again.
#define PREFLIGHT_ASSERT(condition)   \
  ((condition) ? static_cast<void>(0) \
               : ::preflight::assertion_failed(#condition, __FILE__, __LINE__))
