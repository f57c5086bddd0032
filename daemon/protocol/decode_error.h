#pragma once

#include <string>

#include <tl/expected.hpp>

namespace preflight::protocol {

/// Why a text from the other side of the socket is not what the protocol says: the field by JSON
/// pointer, what was found, what was expected.
struct DecodeError {
  std::string message;
};

template <class T>
using Decoded = tl::expected<T, DecodeError>;

}  // namespace preflight::protocol
