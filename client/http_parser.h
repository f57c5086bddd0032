// Reads one HTTP/1.1 answer out of a stream of bytes that comes in pieces of any size (RFC 9112).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "client/http.h"

namespace preflight::client {

class AnswerParser {
 public:
  /// `sink` gets each stretch of the body; false from it ends the answer early.
  AnswerParser(Response& response, std::function<bool(std::string_view)> sink);
  ~AnswerParser();

  /// False after an error, which error() tells.
  bool feed(std::string_view bytes);

  [[nodiscard]] bool done() const;
  [[nodiscard]] const std::string& error() const { return error_; }

  static constexpr std::size_t kMaxHeadBytes = 16 << 10;

 private:
  class Message;

  Response& response_;
  std::function<bool(std::string_view)> sink_;
  std::unique_ptr<Message> message_;
  std::string unread_;  ///< the begin of a line whose end has not come
  std::string error_;
};

}  // namespace preflight::client
