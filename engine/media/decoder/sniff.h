#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace preflight::media {

/// What a file is by its first bytes, whatever its name says.
enum class FileKind {
  kEmpty,
  kZeros,  ///< nothing but zero bytes as far as was looked
  kPng,
  kJpeg,
  kWebp,  // pictures that are read
  kWav,
  kFlac,
  kOgg,
  kMp3,  // sounds that are read
  kIsoMedia,
  kMatroska,  // films, and sound in a film's container
  kGif,
  kBmp,
  kTiff,
  kHeif,
  kAvif,
  kSvg,  // pictures that are not
  kAiff,
  kAac,
  kAmr,
  kMidi,
  kWma,  // sounds that are not
  kAvi,
  kMpegStream,
  kFlv,  // films that are not
  kPdf,
  kZip,
  kGzip,
  kRar,
  kSevenZip,
  kElf,
  kHtml,
  kJson,
  kText,
  kUnknown,
};

/// `head` is the beginning of the file, at least 64 KiB of it where there is that much.
FileKind sniff(std::span<const std::uint8_t> head);

/// With its article, to stand after "it is": "a PDF document", "text", "empty".
std::string_view describe(FileKind kind);

}  // namespace preflight::media
