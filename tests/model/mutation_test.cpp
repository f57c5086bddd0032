// Bytes of real files changed at random, and files cut anywhere: open() ends in a model or in a
// sentence. Run under the sanitizers, this is where a missed bound shows.

#include <random>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "engine/model/model_file.h"
#include "tests/model/file_surgery.h"

namespace preflight::model {
namespace {

using surgery::kGolden;

/// Opens and, where that works, touches what a loader would touch.
void open_and_read(const std::filesystem::path& model, const std::filesystem::path& mmproj) {
  const auto file = ModelFile::open(model, mmproj);
  if (!file.has_value()) {
    ASSERT_FALSE(file.error().message.empty());
    return;
  }
  const auto tokenizer = file->tokenizer_data();
  if (!tokenizer.has_value()) {
    ASSERT_FALSE(tokenizer.error().message.empty());
  }
  std::vector<std::string> names = {"token_embd.weight", "output_norm.weight",
                                    "v.patch_norm.2.bias", "v.position_embd.weight",
                                    "mm.a.input_projection.weight"};
  for (std::uint32_t layer = 0; layer < file->config().n_layers; ++layer)
    for (const char* part : {"attn_q", "attn_k", "ffn_down", "post_ffw_norm"})
      names.push_back(fmt::format("blk.{}.{}.weight", layer, part));
  for (const std::string& name : names)
    if (const Tensor* tensor = file->find(name)) {
      std::vector<float> row(tensor->cols);
      ASSERT_TRUE(read_rows(*tensor, tensor->rows - 1, 1, row).has_value());
    }
}

/// Changes one to three bytes of the first `header_bytes` of a file, `n` times, each time from the
/// original.
void mutate(const std::filesystem::path& path, std::size_t header_bytes, std::uint32_t seed, int n,
            const std::function<void()>& open) {
  const std::string original = surgery::read_bytes(path);
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_GE(descriptor, 0);
  std::mt19937 random(seed);
  constexpr unsigned char kNasty[] = {0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff, '"', '}'};
  for (int i = 0; i < n && !testing::Test::HasFatalFailure(); ++i) {
    std::vector<std::size_t> places;
    for (auto k = random() % 3 + 1; k > 0; --k) {
      // Half of the changes among the first bytes, where the counts and sizes are.
      const std::size_t range =
          random() % 2 == 0 ? std::min<std::size_t>(header_bytes, 2500) : header_bytes;
      const std::size_t at = random() % range;
      const unsigned char byte = random() % 2 == 0 ? kNasty[random() % std::size(kNasty)]
                                                   : static_cast<unsigned char>(random() & 0xff);
      ASSERT_EQ(pwrite(descriptor, &byte, 1, static_cast<off_t>(at)), 1);
      places.push_back(at);
    }
    SCOPED_TRACE(fmt::format("mutation {}", i));
    open();
    for (const std::size_t at : places)
      ASSERT_EQ(pwrite(descriptor, original.data() + at, 1, static_cast<off_t>(at)), 1);
  }
  ASSERT_EQ(::close(descriptor), 0);
}

/// The bytes before the tensor data of a GGUF file: up to the end of the last name and its entry.
std::size_t header_of(const std::string& gguf, std::string_view last_tensor) {
  return surgery::place_of(gguf, last_tensor) + last_tensor.size() + 40;
}

TEST(Mutation, GgufHeader) {
  const surgery::ScratchDirectory scratch;
  const std::filesystem::path path = scratch / "model.gguf";
  const std::string bytes = surgery::read_bytes(kGolden / "gguf/tiny-Q4_K_M.gguf");
  surgery::write_bytes(path, bytes);
  mutate(path, header_of(bytes, "blk.5.post_ffw_norm.weight"), 1, 1500,
         [&] { open_and_read(path, {}); });
}

TEST(Mutation, GgufTensorTable) {
  const surgery::ScratchDirectory scratch;
  const std::filesystem::path path = scratch / "model.gguf";
  const std::string bytes = surgery::read_bytes(kGolden / "gguf/tiny-Q4_K_M.gguf");
  const std::size_t begin = surgery::place_of(bytes, "output_norm.weight");
  const std::size_t end = header_of(bytes, "blk.5.post_ffw_norm.weight");
  std::mt19937 random(2);
  for (int i = 0; i < 500 && !HasFatalFailure(); ++i) {
    std::string damaged = bytes.substr(0, end);
    damaged[begin + random() % (end - begin)] = static_cast<char>(random() & 0xff);
    // The data is a hole: only the table matters here.
    surgery::write_bytes(path, damaged);
    std::filesystem::resize_file(path, bytes.size());
    SCOPED_TRACE(i);
    open_and_read(path, {});
  }
}

TEST(Mutation, MmprojHeader) {
  const surgery::ScratchDirectory scratch;
  const std::filesystem::path path = scratch / "mmproj.gguf";
  const std::string bytes = surgery::read_bytes(kGolden / "gguf/mmproj-tiny-bf16.gguf");
  surgery::write_bytes(path, bytes);
  mutate(path, header_of(bytes, "v.patch_norm.3.weight"), 3, 700,
         [&] { open_and_read(kGolden / "gguf/tiny-Q4_0.gguf", path); });
}

TEST(Mutation, CheckpointHeaderAndConfig) {
  const surgery::ScratchDirectory scratch;
  surgery::copy_checkpoint("wide", scratch / "m", {});
  const auto open = [&] { open_and_read(scratch / "m", {}); };
  const std::size_t header =
      surgery::Safetensors::read(scratch / "m/model.safetensors").header.dump().size();
  mutate(scratch / "m/model.safetensors", 8 + header, 4, 600, open);
  mutate(scratch / "m/config.json", std::filesystem::file_size(scratch / "m/config.json"), 5, 600,
         open);
  mutate(scratch / "m/generation_config.json",
         std::filesystem::file_size(scratch / "m/generation_config.json"), 6, 100, open);
}

TEST(Mutation, CutAnywhere) {
  const surgery::ScratchDirectory scratch;
  const std::string bytes = surgery::read_bytes(kGolden / "gguf/tiny-Q4_0.gguf");
  const std::size_t header = header_of(bytes, "blk.5.post_ffw_norm.weight");
  std::mt19937 random(7);
  surgery::write_bytes(scratch / "model.gguf", bytes);
  std::size_t length = bytes.size();
  for (int i = 0; i < 400 && !HasFatalFailure(); ++i) {
    // Down in random steps, finer and finer, through the data and then the header to nothing.
    length = length > header ? length - 1 - random() % (length / 8)
                             : length - std::min(length, 1 + random() % (length / 100 + 2));
    std::filesystem::resize_file(scratch / "model.gguf", length);
    SCOPED_TRACE(length);
    const auto file = ModelFile::open(scratch / "model.gguf", {});
    ASSERT_FALSE(file.has_value());
    ASSERT_NE(file.error().message.find("model.gguf"), std::string::npos) << file.error().message;
    if (length == 0) break;
  }
  surgery::copy_checkpoint("wide", scratch / "m", {});
  length = std::filesystem::file_size(scratch / "m/model.safetensors");
  while (length > 0 && !HasFatalFailure()) {
    length -= std::min(length, 1 + random() % (length / 10 + 2));
    std::filesystem::resize_file(scratch / "m/model.safetensors", length);
    ASSERT_FALSE(ModelFile::open(scratch / "m", {}).has_value()) << length;
  }
}

}  // namespace
}  // namespace preflight::model
