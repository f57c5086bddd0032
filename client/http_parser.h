// Reads one HTTP/1.1 answer out of a stream of bytes that comes in pieces of any size (RFC 9112).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "client/http.h"

namespace preflight::client {

class AnswerParser {
 public:
  /// `sink` gets each stretch of the body; false from it ends the answer early.
  AnswerParser(Response& response, std::function<bool(std::string_view)> sink)
      : response_(response), sink_(std::move(sink)) {}

  /// False after an error, which error() tells.
  bool feed(std::string_view bytes);

  [[nodiscard]] bool done() const { return state_ == State::kDone; }
  [[nodiscard]] const std::string& error() const { return error_; }

  static constexpr std::size_t kMaxHeadBytes = 16 << 10;

 private:
  enum class State { kStatus, kHeader, kBody, kChunkSize, kChunk, kChunkEnd, kTrailer, kDone };

  bool take_line(std::string_view line);
  bool take_header(std::string_view line);
  bool take_chunk_size(std::string_view line);
  bool head_complete();
  bool bad(std::string message);

  Response& response_;
  std::function<bool(std::string_view)> sink_;
  State state_ = State::kStatus;
  std::string line_;
  std::size_t head_bytes_ = 0;
  std::uint64_t left_bytes_ = 0;  // of the body, or of the chunk
  std::string error_;
};

}  // namespace preflight::client
