#include "daemon/protocol/api_error.h"

#include "daemon/protocol/json_fields.h"

namespace preflight::protocol {

using nlohmann::json;

std::string to_json(const ApiError& error) {
  const json body = {
      {"error", {{"code", error.code}, {"message", error.message}, {"field", error.field}}}};
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

Decoded<ApiError> parse_api_error(std::string_view body) {
  const Decoded<json> value = parse_object(body, "the error body");
  if (!value) return tl::unexpected(value.error());
  ObjectReader top(*value, "");
  ObjectReader fields(top.child("error"), "/error");
  ApiError error;
  fields.need("code", error.code);
  fields.need("message", error.message);
  fields.take("field", error.field);
  if (!top.good()) return tl::unexpected(top.error());
  if (!fields.good()) return tl::unexpected(fields.error());
  return error;
}

}  // namespace preflight::protocol
