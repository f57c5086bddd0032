// What is seen on standard error while a review runs: lasting lines, and on a terminal one line
// that is written over.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/protocol/event.h"

namespace preflight::client {

class Progress {
 public:
  struct Options {
    bool terminal = false;
    bool colours = false;
  };
  explicit Progress(Options options) : options_(options) {}
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void line(std::string_view text);
  void show(const protocol::Event& event);

 private:
  void status(std::string_view text);
  void clear();
  [[nodiscard]] std::string elapsed() const;
  void show_measured(const nlohmann::json& rows);
  void show_prefill(const nlohmann::json& event);

  Options options_;
  bool status_shown_ = false;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::string pass_;             // the one whose tokens are counted now
  std::uint64_t next_done_ = 0;  // without a terminal: the count from which it is worth a line
};

}  // namespace preflight::client
