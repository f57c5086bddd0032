// multipart/form-data (RFC 7578), read as a stream: bytes in pieces of any size, parts out, nothing
// but one part's header and less than one delimiter is ever held.
//
// Stricter than the RFCs where a client has no reason to be otherwise: no preamble, no nested
// multipart, no "filename*", nothing but a line break after the last delimiter.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "vk/error.h"

namespace preflight::daemon {

struct PartHeader {
  std::string name;
  std::string filename;  ///< quoted pairs and %22 undone, otherwise as sent; empty if there is none
  bool has_filename = false;
};

/// What the parser calls, in order: begin, data any number of times, end; for each part.
class PartHandler {
 public:
  virtual ~PartHandler() = default;
  virtual Result<void> begin_part(const PartHeader& header) = 0;
  virtual Result<void> part_data(std::string_view bytes) = 0;
  virtual Result<void> end_part() = 0;
};

class MultipartParser {
 public:
  static constexpr std::size_t kMaxPartHeaderBytes = 4096;

  /// The boundary of a Content-Type header. Errors: not multipart/form-data, boundary missing,
  /// longer than 70 characters, or of characters that RFC 2046 does not allow.
  static Result<std::string> boundary(std::string_view content_type);

  MultipartParser(std::string_view boundary, PartHandler& handler);

  /// Errors: a malformed body (kInvalidInput, naming the byte), or the handler's own error. After
  /// one, the parser must not be fed again.
  Result<void> feed(std::string_view bytes);
  /// Call after the last byte. Errors: the closing delimiter has not come.
  Result<void> finish() const;

 private:
  enum class State { kData, kAfterDelimiter, kPadding, kHeader, kEnd };

  Result<void> take_data(std::string_view& bytes);
  Result<void> take_after_delimiter(char c);
  Result<void> take_header(std::string_view& bytes);
  tl::unexpected<Error> malformed(std::string_view what) const;

  std::string delimiter_;  // CR LF "--" boundary
  PartHandler& handler_;
  State state_ = State::kData;
  std::size_t matched_ = 2;  // of the delimiter; the first one needs no line break before it
  bool in_part_ = false;
  std::string pending_;  // what was read after a delimiter, or of a part's header
  std::uint64_t position_bytes_ = 0;
};

/// Reads one part's header block (lines ended by CR LF). Errors: no or a malformed
/// Content-Disposition, a transfer encoding, an unknown form.
Result<PartHeader> parse_part_header(std::string_view block);

}  // namespace preflight::daemon
