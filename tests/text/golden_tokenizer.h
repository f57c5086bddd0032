#pragma once

#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "engine/text/tokenizer.h"
#include "engine/text/tokenizer_json.h"

namespace preflight::text {

inline std::string read_test_file(const std::string& below_data) {
  std::ifstream file(PREFLIGHT_TEST_DATA "/" + below_data, std::ios::binary);
  EXPECT_TRUE(file.good()) << below_data;
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

/// The tokenizer of the golden model `tiny`.
inline Tokenizer golden_tokenizer() {
  auto data = read_tokenizer_json(read_test_file("golden/models/tiny/tokenizer.json"));
  EXPECT_TRUE(data.has_value()) << data.error().message;
  auto tokenizer = Tokenizer::create(std::move(*data));
  EXPECT_TRUE(tokenizer.has_value()) << tokenizer.error().message;
  return std::move(*tokenizer);
}

}  // namespace preflight::text
