#include "client/http_parser.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <limits>
#include <utility>

#include <boost/beast/http/basic_parser.hpp>
#include <fmt/format.h>

namespace preflight::client {

namespace http = boost::beast::http;
using boost::beast::error_code;
using boost::beast::string_view;

std::string_view Response::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

/// One message, an interim answer or the real one; the library calls back what it finds.
class AnswerParser::Message : public http::basic_parser<false> {
 public:
  Message(Response& response, const std::function<bool(std::string_view)>& sink)
      : response_(response), sink_(sink) {
    eager(true);
    header_limit(kMaxHeadBytes);
    body_limit(std::numeric_limits<std::uint64_t>::max());  // the sink says when it is too much
  }

  [[nodiscard]] bool ended() const { return ended_ || is_done(); }

 private:
  void on_request_impl(http::verb, string_view, string_view, int, error_code& error) override {
    error = http::error::bad_version;
  }
  void on_response_impl(int status, string_view, int version, error_code& error) override {
    if (version != 11) error = http::error::bad_version;
    response_.status = status;
  }
  void on_field_impl(http::field, string_view name, string_view value, error_code&) override {
    std::string lower(name);
    std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
      return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    });
    response_.headers.emplace_back(std::move(lower), std::string(value));
  }
  // A body that only the end of the connection ends could be cut short unseen.
  void on_header_impl(error_code& error) override {
    if (response_.status >= 200 && need_eof()) error = http::error::bad_content_length;
  }
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(string_view body, error_code&) override { return take(body); }
  void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, string_view body, error_code&) override {
    return take(body);
  }
  void on_finish_impl(error_code&) override {}

  std::size_t take(string_view body) {
    if (!ended_ && !sink_({body.data(), body.size()})) ended_ = true;
    return body.size();
  }

  Response& response_;
  const std::function<bool(std::string_view)>& sink_;
  bool ended_ = false;  ///< by the sink
};

AnswerParser::AnswerParser(Response& response, std::function<bool(std::string_view)> sink)
    : response_(response),
      sink_(std::move(sink)),
      message_(std::make_unique<Message>(response_, sink_)) {}

AnswerParser::~AnswerParser() = default;

bool AnswerParser::done() const { return error_.empty() && message_->ended(); }

bool AnswerParser::feed(std::string_view bytes) {
  unread_ += bytes;
  std::string_view left = unread_;
  while (!left.empty() && !message_->ended()) {
    error_code error;
    const std::size_t n_read = message_->put({left.data(), left.size()}, error);
    left.remove_prefix(n_read);
    if (error == http::error::need_more) break;
    if (error) {
      error_ = fmt::format("something that is no HTTP/1.1: {}", error.message());
      return false;
    }
    if (message_->ended() && response_.status < 200) {  // an interim answer: the real one follows
      response_ = {};
      message_ = std::make_unique<Message>(response_, sink_);
    }
  }
  unread_.erase(0, unread_.size() - left.size());
  return true;
}

}  // namespace preflight::client
