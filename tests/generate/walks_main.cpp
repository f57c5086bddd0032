// Prints answers of random walks over the sample schemas, one JSON text a line:
// {"schema": ..., "answer": "..."}.

#include <cstdio>
#include <random>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tests/generate/test_support.h"

int main() {
  using preflight::generate::kTastes;
  const auto vocabulary = preflight::generate::tiny_vocabulary();
  std::mt19937 random(99);
  for (const auto& [name, text] : preflight::generate::sample_schemas()) {
    const auto schema = preflight::generate::compile_or_die(text, vocabulary);
    for (std::size_t i = 0; i < 60; ++i) {
      const auto result = preflight::generate::walk(
          schema, *vocabulary, kTastes[i % std::size(kTastes)], /*force=*/i % 2 == 0, random);
      if (!result.error.empty()) {
        fmt::print(stderr, "{}: {}\n", name, result.error);
        return 1;
      }
      const nlohmann::ordered_json line = {{"schema", nlohmann::ordered_json::parse(text)},
                                           {"answer", result.text}};
      fmt::print("{}\n", line.dump());
    }
  }
  return 0;
}
