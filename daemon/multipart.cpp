#include "daemon/multipart.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <utility>

#include <fmt/format.h>

namespace preflight::daemon {

namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

tl::unexpected<Error> invalid(std::string message) {
  return fail(ErrorCode::kInvalidInput, std::move(message));
}

/// One "name=value" of a header's parameters; the value quoted or a plain token.
struct Parameter {
  std::string name, value;
};

/// Takes the next parameter off `rest`, which begins behind the last one; none at the end.
Result<std::optional<Parameter>> take_parameter(std::string_view& rest) {
  rest = trimmed(rest);
  if (rest.empty()) return std::optional<Parameter>();
  if (rest.front() != ';') return invalid("parameters are not separated by semicolons");
  rest = trimmed(rest.substr(1));
  if (rest.empty()) return std::optional<Parameter>();
  const std::size_t equals = rest.find('=');
  if (equals == std::string_view::npos) return invalid("a parameter has no value");
  Parameter out{std::string(trimmed(rest.substr(0, equals))), {}};
  rest = trimmed(rest.substr(equals + 1));
  if (rest.empty() || rest.front() != '"') {
    const std::size_t end = std::min(rest.find(';'), rest.size());
    out.value = trimmed(rest.substr(0, end));
    rest.remove_prefix(end);
    return out;
  }
  std::size_t i = 1;
  for (; i < rest.size() && rest[i] != '"'; ++i) {
    // A backslash quotes a quote or itself; elsewhere it is meant (and refused by the path check).
    if (rest[i] == '\\' && i + 1 < rest.size() && (rest[i + 1] == '"' || rest[i + 1] == '\\')) ++i;
    out.value.push_back(rest[i]);
  }
  if (i == rest.size()) return invalid("a quoted value does not end");
  rest.remove_prefix(i + 1);
  return out;
}

/// Clients write a quote inside a name as %22; no other escape is defined, so none is undone.
std::string undo_quote_escape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escaped = text.substr(i, 3) == "%22";
    out.push_back(escaped ? '"' : text[i]);
    if (escaped) i += 2;
  }
  return out;
}

}  // namespace

Result<std::string> MultipartParser::boundary(std::string_view content_type) {
  const std::size_t end = std::min(content_type.find(';'), content_type.size());
  if (!same_word(trimmed(content_type.substr(0, end)), "multipart/form-data"))
    return invalid("the content type is not multipart/form-data");
  std::string_view rest = content_type.substr(end);
  for (;;) {
    PREFLIGHT_TRY(const std::optional<Parameter> parameter, take_parameter(rest));
    if (!parameter) return invalid("the content type names no boundary");
    if (!same_word(parameter->name, "boundary")) continue;
    const std::string& value = parameter->value;
    if (value.empty() || value.size() > 70)
      return invalid(fmt::format("the boundary has {} characters, expected 1 to 70", value.size()));
    const bool allowed = std::all_of(value.begin(), value.end(), [](unsigned char c) {
      return std::isalnum(c) ||
             std::string_view("'()+_,-./:=? ").find(static_cast<char>(c)) != std::string_view::npos;
    });
    if (!allowed || value.back() == ' ')
      return invalid("the boundary has characters that are not allowed in one");
    return value;
  }
}

Result<PartHeader> parse_part_header(std::string_view block) {
  std::optional<PartHeader> header;
  while (!block.empty()) {
    const std::size_t end = block.find("\r\n");
    if (end == std::string_view::npos) return invalid("a header line does not end with CR LF");
    const std::string_view line = block.substr(0, end);
    block.remove_prefix(end + 2);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0)
      return invalid("a header line has no name and colon");
    const std::string_view name = line.substr(0, colon);
    std::string_view rest = trimmed(line.substr(colon + 1));
    if (same_word(name, "content-transfer-encoding") && !same_word(rest, "binary") &&
        !same_word(rest, "8bit") && !same_word(rest, "7bit"))
      return invalid("the part has a transfer encoding; parts are sent as they are");
    if (!same_word(name, "content-disposition")) continue;
    if (header) return invalid("the part has two Content-Disposition lines");
    header.emplace();
    const std::size_t kind_end = std::min(rest.find(';'), rest.size());
    if (!same_word(trimmed(rest.substr(0, kind_end)), "form-data"))
      return invalid("the part's disposition is not form-data");
    rest.remove_prefix(kind_end);
    for (;;) {
      PREFLIGHT_TRY(std::optional<Parameter> parameter, take_parameter(rest));
      if (!parameter) break;
      if (same_word(parameter->name, "name")) {
        header->name = undo_quote_escape(parameter->value);
      } else if (same_word(parameter->name, "filename")) {
        if (header->has_filename) return invalid("the part has two file names");
        header->filename = undo_quote_escape(parameter->value);
        header->has_filename = true;
      } else if (same_word(parameter->name, "filename*")) {
        return invalid("the part names its file by \"filename*\"; use \"filename\" in UTF-8");
      }
    }
  }
  if (!header) return invalid("the part has no Content-Disposition line");
  return *std::move(header);
}

MultipartParser::MultipartParser(std::string_view boundary, PartHandler& handler)
    : delimiter_(fmt::format("\r\n--{}", boundary)), handler_(handler) {}

tl::unexpected<Error> MultipartParser::malformed(std::string_view what) const {
  return invalid(fmt::format("multipart body, byte {}: {}", position_bytes_, what));
}

Result<void> MultipartParser::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t before = bytes.size();
    if (state_ == State::kData) {
      PREFLIGHT_TRY_VOID(take_data(bytes));
    } else if (state_ == State::kHeader) {
      PREFLIGHT_TRY_VOID(take_header(bytes));
    } else {
      PREFLIGHT_TRY_VOID(take_after_delimiter(bytes.front()));
      bytes.remove_prefix(1);
    }
    position_bytes_ += before - bytes.size();
  }
  return {};
}

Result<void> MultipartParser::finish() const {
  if (state_ == State::kEnd) return {};
  return malformed("the body ends before the closing delimiter");
}

// The delimiter begins with CR and has no other, so a failed match can only start again at the byte
// that broke it: what was matched is data, and nothing needs to be looked at twice.
Result<void> MultipartParser::take_data(std::string_view& bytes) {
  if (matched_ == 0) {
    const std::size_t cr = std::min(bytes.find('\r'), bytes.size());
    if (cr > 0) {
      PREFLIGHT_TRY_VOID(handler_.part_data(bytes.substr(0, cr)));
      bytes.remove_prefix(cr);
      return {};
    }
  }
  std::size_t used = 0;
  while (used < bytes.size() && matched_ < delimiter_.size() &&
         bytes[used] == delimiter_[matched_]) {
    ++used;
    ++matched_;
  }
  bytes.remove_prefix(used);
  if (matched_ == delimiter_.size()) {
    matched_ = 0;
    pending_.clear();
    state_ = State::kAfterDelimiter;
    if (in_part_) {
      in_part_ = false;
      return handler_.end_part();
    }
    return {};
  }
  if (bytes.empty()) return {};
  if (!in_part_) return malformed("the body does not begin with the boundary");
  PREFLIGHT_TRY_VOID(handler_.part_data(std::string_view(delimiter_).substr(0, matched_)));
  matched_ = 0;
  return {};
}

Result<void> MultipartParser::take_after_delimiter(char c) {
  switch (state_) {
    case State::kAfterDelimiter:  // "--" closes the body; CR LF begins a part
      pending_.push_back(c);
      if (pending_ == "--") {
        state_ = State::kEnd;
        pending_.clear();
      } else if (pending_ == "\r\n") {
        state_ = State::kHeader;
        pending_.clear();
      } else if (pending_ == " " || pending_ == "\t") {
        state_ = State::kPadding;
      } else if (pending_.size() == 2 || (c != '-' && c != '\r')) {
        return malformed("after a delimiter, expected a line break or \"--\"");
      }
      return {};
    case State::kPadding:  // white space that a transport may have put there
      pending_.push_back(c);
      if (pending_.ends_with("\r\n")) {
        state_ = State::kHeader;
        pending_.clear();
      } else if (pending_.size() > 64 || (c != ' ' && c != '\t' && c != '\r')) {
        return malformed("after a delimiter, expected a line break");
      }
      return {};
    default:  // behind the end
      pending_.push_back(c);
      if (!std::string_view("\r\n").starts_with(pending_))
        return malformed("there is something behind the closing delimiter");
      return {};
  }
}

Result<void> MultipartParser::take_header(std::string_view& bytes) {
  // The block ends with an empty line; it may be empty itself.
  while (!bytes.empty()) {
    pending_.push_back(bytes.front());
    bytes.remove_prefix(1);
    if (pending_ == "\r\n" || pending_.ends_with("\r\n\r\n")) {
      pending_.resize(pending_.size() - 2);
      Result<PartHeader> header = parse_part_header(pending_);
      if (!header) return malformed(header.error().message);
      pending_.clear();
      PREFLIGHT_TRY_VOID(handler_.begin_part(*header));
      in_part_ = true;
      state_ = State::kData;
      matched_ = 0;
      return {};
    }
    if (pending_.size() >= kMaxPartHeaderBytes)
      return malformed(fmt::format("a part's header passes {} bytes", kMaxPartHeaderBytes));
  }
  return {};
}

}  // namespace preflight::daemon
