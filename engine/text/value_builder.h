#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/text/value.h"

namespace preflight::text {

/// Builds a Value out of a JSON parser's events (nlohmann::json::sax_parse). A reader that wants
/// some of them for itself overrides them. An event that returns false ends the parsing.
class ValueBuilder : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override;
  bool boolean(bool value) override;
  bool number_integer(number_integer_t value) override;
  bool number_unsigned(number_unsigned_t value) override;
  bool number_float(number_float_t value, const string_t& source) override;
  bool string(string_t& value) override;
  bool binary(binary_t& value) override;
  bool start_object(std::size_t elements) override;
  bool key(string_t& value) override;
  bool end_object() override;
  bool start_array(std::size_t elements) override;
  bool end_array() override;
  bool parse_error(std::size_t position, const std::string& token,
                   const nlohmann::detail::exception& error) override;

  Value take() { return std::move(root_); }
  /// Why the parsing ended early: "is not valid JSON at byte 6".
  const std::string& fault() const { return fault_; }

 protected:
  /// Arrays and objects that are open.
  std::size_t depth() const { return open_.size(); }
  /// Notes the reason; returns false, for the event that found it.
  bool fail(std::string fault);

 private:
  bool open(Value::Kind kind);
  bool close();
  bool add_number(std::string text);
  bool add(Value value);

  Value root_;
  std::vector<Value> open_;
  std::string fault_;
};

}  // namespace preflight::text
