#include "client/http_parser.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <utility>

#include <fmt/format.h>

namespace preflight::client {
namespace {

// A number and nothing else: no sign, no space.
bool parse_number(std::string_view text, int base, std::uint64_t& value) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, base);
  return error == std::errc() && stop == end;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool is_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

}  // namespace

std::string_view Response::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

bool AnswerParser::bad(std::string message) {
  error_ = std::move(message);
  return false;
}

bool AnswerParser::feed(std::string_view bytes) {
  while (!bytes.empty() && state_ != State::kDone) {
    if (state_ == State::kBody || state_ == State::kChunk) {
      const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(left_bytes_, bytes.size()));
      left_bytes_ -= n;
      const bool go_on = sink_(bytes.substr(0, n));
      bytes.remove_prefix(n);
      if (!go_on || (left_bytes_ == 0 && state_ == State::kBody)) {
        state_ = State::kDone;
      } else if (left_bytes_ == 0) {
        state_ = State::kChunkEnd;
      }
      continue;
    }
    const char c = bytes.front();
    bytes.remove_prefix(1);
    if (++head_bytes_ > kMaxHeadBytes) {
      return bad(fmt::format("more than {} bytes of headers", kMaxHeadBytes));
    }
    if (c != '\n') {
      line_ += c;
      continue;
    }
    if (line_.empty() || line_.back() != '\r') return bad("a line that does not end in CR LF");
    line_.pop_back();
    if (!take_line(std::exchange(line_, {}))) return false;
  }
  return true;
}

bool AnswerParser::take_line(std::string_view line) {
  switch (state_) {
    case State::kStatus: {
      std::uint64_t status = 0;
      if (line.size() < 12 || line.substr(0, 9) != "HTTP/1.1 " ||
          !parse_number(line.substr(9, 3), 10, status) || status < 100 || status > 599 ||
          (line.size() > 12 && line[12] != ' ')) {
        return bad("a first line that is no HTTP/1.1 status");
      }
      response_.status = static_cast<int>(status);
      state_ = State::kHeader;
      return true;
    }
    case State::kHeader:
      return line.empty() ? head_complete() : take_header(line);
    case State::kChunkSize:
      return take_chunk_size(line);
    case State::kChunkEnd:
      if (!line.empty()) return bad("a chunk longer than it said");
      head_bytes_ = 0;
      state_ = State::kChunkSize;
      return true;
    case State::kTrailer:
      if (line.empty()) state_ = State::kDone;
      return true;
    case State::kBody:
    case State::kChunk:
    case State::kDone:
      break;
  }
  return bad("a line where a body was expected");
}

bool AnswerParser::take_header(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_name(line.substr(0, colon))) {
    return bad("a header line without a name");
  }
  std::string name(line.substr(0, colon));
  std::transform(name.begin(), name.end(), name.begin(), [](char c) {
    return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  });
  const bool frames_body = name == "content-length" || name == "transfer-encoding";
  if (frames_body && !response_.header(name).empty()) return bad(fmt::format("two {} lines", name));
  response_.headers.emplace_back(std::move(name), trimmed(line.substr(colon + 1)));
  return true;
}

bool AnswerParser::head_complete() {
  head_bytes_ = 0;
  if (response_.status < 200) {  // an interim answer: the real one follows
    response_.headers.clear();
    state_ = State::kStatus;
    return true;
  }
  const std::string_view length = response_.header("content-length");
  const std::string_view coding = response_.header("transfer-encoding");
  if (response_.status == 204 || response_.status == 304) {
    state_ = State::kDone;
  } else if (!coding.empty()) {
    if (coding != "chunked" || !length.empty()) {
      return bad(fmt::format("a body that is framed as \"{}\"", coding));
    }
    state_ = State::kChunkSize;
  } else if (!parse_number(length, 10, left_bytes_)) {
    return bad("a body without a length");
  } else {
    state_ = left_bytes_ == 0 ? State::kDone : State::kBody;
  }
  return true;
}

bool AnswerParser::take_chunk_size(std::string_view line) {
  const std::string_view size = trimmed(line.substr(0, line.find(';')));
  if (size.empty() || size.size() > 15 || !parse_number(size, 16, left_bytes_)) {
    return bad("a chunk without a size");
  }
  head_bytes_ = 0;
  state_ = left_bytes_ == 0 ? State::kTrailer : State::kChunk;
  return true;
}

}  // namespace preflight::client
