#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/media/decoder.h"

/// Expected values of tests/data/golden/cases and the decoder that the tests start.
namespace preflight::media {

inline std::filesystem::path cases() {
  return std::filesystem::path(PREFLIGHT_TEST_DATA) / "golden" / "cases";
}
inline std::filesystem::path media_path(const std::string& name) {
  return cases() / "media" / name;
}

/// The tensors of one safetensors file.
class Golden {
 public:
  explicit Golden(const char* name) : Golden(cases() / (std::string(name) + ".safetensors")) {}
  explicit Golden(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::uint64_t header_bytes = 0;
    in.read(reinterpret_cast<char*>(&header_bytes), sizeof header_bytes);
    std::string header(header_bytes, ' ');
    in.read(header.data(), static_cast<std::streamsize>(header_bytes));
    header_ = nlohmann::json::parse(header, nullptr, false);
    data_.assign(std::istreambuf_iterator<char>(in), {});
    EXPECT_TRUE(header_.is_object()) << path;
  }

  std::vector<std::uint64_t> shape(const std::string& tensor) const {
    return header_.at(tensor).at("shape").get<std::vector<std::uint64_t>>();
  }
  template <class T>
  std::vector<T> get(const std::string& tensor) const {
    const auto offsets = header_.at(tensor).at("data_offsets").get<std::vector<std::size_t>>();
    std::vector<T> values((offsets.at(1) - offsets.at(0)) / sizeof(T));
    std::memcpy(values.data(), data_.data() + offsets.at(0), values.size() * sizeof(T));
    return values;
  }

 private:
  nlohmann::json header_;
  std::vector<char> data_;
};

inline Decoder test_decoder(DecoderOptions options = {}) {
  options.program = std::filesystem::path(PREFLIGHT_BIN) / "preflight-decode";
  auto decoder = Decoder::create(std::move(options));
  EXPECT_TRUE(decoder.has_value()) << decoder.error().message;
  return *decoder;
}

inline MediaFile open_or_fail(const std::filesystem::path& path) {
  auto file = MediaFile::open(path);
  EXPECT_TRUE(file.has_value()) << file.error().message;
  return std::move(*file);
}

}  // namespace preflight::media
