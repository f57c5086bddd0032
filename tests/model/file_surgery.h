#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <unistd.h>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/model/model_file.h"

/// Takes model files apart and puts them together wrongly.
namespace preflight::model::surgery {

inline const std::filesystem::path kGolden = std::filesystem::path(PREFLIGHT_TEST_DATA) / "golden";

inline ModelFile open_model(const std::filesystem::path& model,
                            const std::filesystem::path& mmproj = {}) {
  auto file = ModelFile::open(model, mmproj);
  if (!file.has_value()) {
    ADD_FAILURE() << file.error().message;
    std::abort();
  }
  return std::move(file).value();
}

/// The sentence of a refusal must hold every one of `parts`.
inline void expect_parts(const Error& error, ErrorCode code,
                         const std::vector<std::string>& parts) {
  EXPECT_EQ(error.code, code) << error.message;
  for (const std::string& part : parts)
    EXPECT_NE(error.message.find(part), std::string::npos)
        << "no \"" << part << "\" in: " << error.message;
}

/// A directory of this test alone, gone with the object.
class ScratchDirectory {
 public:
  ScratchDirectory() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    std::string name =
        fmt::format("preflight-{}-{}-{}", info->test_suite_name(), info->name(), getpid());
    for (char& c : name)
      if (c == '/') c = '-';
    path_ = std::filesystem::temp_directory_path() / name;
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  ~ScratchDirectory() { std::filesystem::remove_all(path_); }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_bytes(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  EXPECT_TRUE(out.good()) << path;
}

/// Where `text` stands for the first time; it must.
inline std::size_t place_of(std::string_view bytes, std::string_view text) {
  const std::size_t at = bytes.find(text);
  EXPECT_NE(at, std::string_view::npos) << text;
  return at == std::string_view::npos ? 0 : at;
}

template <class T>
void put(std::string& bytes, std::size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof(T));
}

/// Replaces the value of a 4-byte key of a GGUF file.
template <class T>
void set_key(std::string& gguf, std::string_view key, T value) {
  static_assert(sizeof(T) == 4);
  // After the key stands the number of its type.
  put(gguf, place_of(gguf, key) + key.size() + 4, value);
}

/// Replaces a text by one of the same length.
inline void replace(std::string& bytes, std::string_view from, std::string_view to) {
  ASSERT_EQ(from.size(), to.size());
  bytes.replace(place_of(bytes, from), from.size(), to);
}

/// A safetensors file as its header and the bytes of each tensor.
struct Safetensors {
  nlohmann::json header;
  std::string data;

  static Safetensors read(const std::filesystem::path& path) {
    const std::string bytes = read_bytes(path);
    std::uint64_t n = 0;
    std::memcpy(&n, bytes.data(), sizeof(n));
    return {nlohmann::json::parse(bytes.substr(8, n)), bytes.substr(8 + n)};
  }
  void write(const std::filesystem::path& path) const {
    const std::string text = header.dump();
    std::string bytes(8, '\0');
    put(bytes, 0, std::uint64_t{text.size()});
    write_bytes(path, bytes + text + data);
  }
  void add(const std::string& name, const std::vector<std::uint64_t>& shape) {
    std::uint64_t n = 2;
    for (const std::uint64_t size : shape) n *= size;
    header[name] = {
        {"dtype", "BF16"}, {"shape", shape}, {"data_offsets", {data.size(), data.size() + n}}};
    data.append(n, '\0');
  }
  void rename(const std::string& from, const std::string& to) {
    nlohmann::json entry = header.at(from);
    header.erase(from);
    header[to] = std::move(entry);
  }
};

using JsonEdit = std::function<void(nlohmann::json&)>;
using TensorEdit = std::function<void(Safetensors&)>;

/// Copies a golden directory, with its config.json and its tensors changed on the way.
inline void copy_checkpoint(std::string_view name, const std::filesystem::path& to,
                            const JsonEdit& edit_config, const TensorEdit& edit_tensors = {}) {
  const std::filesystem::path from = kGolden / "models" / name;
  std::filesystem::create_directories(to);
  for (const char* file : {"generation_config.json", "tokenizer.json"})
    write_bytes(to / file, read_bytes(from / file));
  nlohmann::json config = nlohmann::json::parse(read_bytes(from / "config.json"));
  if (edit_config) edit_config(config);
  write_bytes(to / "config.json", config.dump());
  Safetensors tensors = Safetensors::read(from / "model.safetensors");
  if (edit_tensors) edit_tensors(tensors);
  tensors.write(to / "model.safetensors");
}

}  // namespace preflight::model::surgery
