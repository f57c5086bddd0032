#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "vk/error.h"

namespace preflight::model {

/// Parses a JSON object strictly: duplicate keys, nesting deeper than 64 and trailing text are
/// errors. `file` opens every message.
[[nodiscard]] Result<nlohmann::json> parse_json_object(std::string_view text,
                                                       std::string_view file);

/// One object of a JSON file with its place, so that every complaint names file and key.
/// Borrows the document.
class JsonView {
 public:
  /// `object` must be a JSON object.
  JsonView(const nlohmann::json& object, std::string file, std::string path = "");

  /// Absent and null are the same to all getters: an empty optional, or an error of the required
  /// ones.
  [[nodiscard]] bool has(std::string_view key) const;
  [[nodiscard]] Result<std::optional<JsonView>> find_object(std::string_view key) const;
  [[nodiscard]] Result<JsonView> object(std::string_view key) const;
  [[nodiscard]] Result<std::optional<std::uint32_t>> find_uint(std::string_view key) const;
  [[nodiscard]] Result<std::uint32_t> uint(std::string_view key) const;
  /// Within the range of f32.
  [[nodiscard]] Result<std::optional<double>> find_number(std::string_view key) const;
  [[nodiscard]] Result<double> number(std::string_view key) const;
  [[nodiscard]] Result<std::optional<bool>> find_boolean(std::string_view key) const;
  [[nodiscard]] Result<bool> boolean(std::string_view key) const;
  [[nodiscard]] Result<std::optional<std::string>> find_text(std::string_view key) const;
  [[nodiscard]] Result<std::string> text(std::string_view key) const;
  [[nodiscard]] Result<std::vector<std::string>> texts(std::string_view key) const;
  /// One integer or a list of them; empty when absent.
  [[nodiscard]] Result<std::vector<std::int32_t>> ids(std::string_view key) const;

  /// "config.json: key text_config.head_dim: <rest>"
  [[nodiscard]] tl::unexpected<Error> wrong(ErrorCode code, std::string_view key,
                                            std::string_view rest) const;
  [[nodiscard]] const nlohmann::json& raw() const { return *object_; }
  [[nodiscard]] const std::string& file() const { return file_; }

 private:
  [[nodiscard]] const nlohmann::json* find(std::string_view key) const;
  [[nodiscard]] tl::unexpected<Error> missing(std::string_view key) const;
  [[nodiscard]] tl::unexpected<Error> mistyped(std::string_view key, const nlohmann::json& found,
                                               std::string_view expected) const;
  const nlohmann::json* object_;
  std::string file_;
  std::string path_;
};

}  // namespace preflight::model
