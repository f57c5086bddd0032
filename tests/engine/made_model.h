#pragma once

#include <filesystem>
#include <system_error>

#include <unistd.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/model/make_model.h"

namespace preflight::engine {

/// A file of random weights that goes with the test.
class MadeModel {
 public:
  explicit MadeModel(const model::MakeModelOptions& options)
      : path_(std::filesystem::temp_directory_path() /
              fmt::format("preflight-made-{}-{}.gguf", ::getpid(), n_made_++)) {
    const auto made = model::make_model(options, path_);
    EXPECT_TRUE(made.has_value()) << made.error().message;
  }
  ~MadeModel() {
    std::error_code ignored;  // the folder is the system's temporary one
    std::filesystem::remove(path_, ignored);
  }
  MadeModel(const MadeModel&) = delete;
  MadeModel& operator=(const MadeModel&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  static inline int n_made_ = 0;
  std::filesystem::path path_;
};

}  // namespace preflight::engine
