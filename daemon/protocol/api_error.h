// The body of every answer with a status of 400 and above: {"error":{"code","message","field"}}.
#pragma once

#include <string>
#include <string_view>

#include "daemon/protocol/decode_error.h"

namespace preflight::protocol {

struct ApiError {
  std::string
      code;  ///< stable word for programs: "not_found", "queue_full", ... (docs/protocol.md)
  std::string message;  ///< one sentence for people
  std::string field;    ///< the header, part or setting that is meant; may be empty
};

std::string to_json(const ApiError& error);

/// Reads an error body. Errors: not JSON, or not of this form.
Decoded<ApiError> parse_api_error(std::string_view body);

}  // namespace preflight::protocol
