#include "engine/media/decoder/sniff.h"

#include <algorithm>
#include <string>

namespace preflight::media {
namespace {

bool has_at(std::span<const std::uint8_t> head, std::size_t offset, std::string_view bytes) {
  if (head.size() < offset + bytes.size()) return false;
  return std::equal(bytes.begin(), bytes.end(), head.begin() + static_cast<std::ptrdiff_t>(offset),
                    [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; });
}

struct Signature {
  std::size_t offset;
  std::string_view bytes;
  FileKind kind;
};

using namespace std::string_view_literals;

constexpr Signature kSignatures[] = {
    {0, "\x89PNG\r\n\x1a\n"sv, FileKind::kPng},
    {0, "\xff\xd8\xff"sv, FileKind::kJpeg},
    {8, "WEBP"sv, FileKind::kWebp},
    {8, "WAVE"sv, FileKind::kWav},
    {8, "AVI "sv, FileKind::kAvi},
    {0, "fLaC"sv, FileKind::kFlac},
    {0, "OggS"sv, FileKind::kOgg},
    {0, "ID3"sv, FileKind::kMp3},
    {4, "ftypheic"sv, FileKind::kHeif},
    {4, "ftypheix"sv, FileKind::kHeif},
    {4, "ftypmif1"sv, FileKind::kHeif},
    {4, "ftypmsf1"sv, FileKind::kHeif},
    {4, "ftypavif"sv, FileKind::kAvif},
    {4, "ftypavis"sv, FileKind::kAvif},
    {4, "ftyp"sv, FileKind::kIsoMedia},
    {4, "moov"sv, FileKind::kIsoMedia},
    {4, "mdat"sv, FileKind::kIsoMedia},
    {4, "wide"sv, FileKind::kIsoMedia},
    {4, "free"sv, FileKind::kIsoMedia},
    {4, "skip"sv, FileKind::kIsoMedia},
    {0, "\x1a\x45\xdf\xa3"sv, FileKind::kMatroska},
    {0, "GIF8"sv, FileKind::kGif},
    {0, "BM"sv, FileKind::kBmp},
    {0, "II*\0"sv, FileKind::kTiff},
    {0, "MM\0*"sv, FileKind::kTiff},
    {8, "AIFF"sv, FileKind::kAiff},
    {8, "AIFC"sv, FileKind::kAiff},
    {0, "#!AMR"sv, FileKind::kAmr},
    {0, "MThd"sv, FileKind::kMidi},
    {0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11"sv, FileKind::kWma},
    {0, "\0\0\1\xba"sv, FileKind::kMpegStream},
    {0, "\0\0\1\xb3"sv, FileKind::kMpegStream},
    {0, "FLV\1"sv, FileKind::kFlv},
    {0, "%PDF-"sv, FileKind::kPdf},
    {0, "PK\3\4"sv, FileKind::kZip},
    {0, "PK\5\6"sv, FileKind::kZip},
    {0, "\x1f\x8b"sv, FileKind::kGzip},
    {0, "Rar!"sv, FileKind::kRar},
    {0, "7z\xbc\xaf\x27\x1c"sv, FileKind::kSevenZip},
    {0,
     "\x7f"
     "ELF"sv,
     FileKind::kElf},
};

/// A frame header of MPEG audio layer III without an ID3 tag before it.
bool is_mp3_frame(std::span<const std::uint8_t> head) {
  return head.size() >= 4 && head[0] == 0xff && (head[1] & 0xe6) == 0xe2 &&
         (head[1] & 0x18) != 0x08 && (head[2] & 0xf0) != 0xf0 && (head[2] & 0xf0) != 0 &&
         (head[2] & 0x0c) != 0x0c;
}

bool is_adts_frame(std::span<const std::uint8_t> head) {
  return head.size() >= 4 && head[0] == 0xff && (head[1] & 0xf6) == 0xf0;
}

/// UTF-8 (or 7-bit) without control characters other than white space.
bool is_text(std::span<const std::uint8_t> head) {
  std::size_t i = 0;
  while (i < head.size()) {
    const std::uint8_t c = head[i];
    std::size_t follow = 0;
    if (c < 0x80) {
      if (c < 0x20 && c != '\n' && c != '\r' && c != '\t' && c != '\f') return false;
    } else if (c >= 0xc2 && c <= 0xdf) {
      follow = 1;
    } else if ((c & 0xf0) == 0xe0) {
      follow = 2;
    } else if (c >= 0xf0 && c <= 0xf4) {
      follow = 3;
    } else {
      return false;
    }
    for (std::size_t k = 1; k <= follow && i + k < head.size(); ++k) {
      if ((head[i + k] & 0xc0) != 0x80) return false;
    }
    i += follow + 1;
  }
  return true;
}

FileKind kind_of_text(std::span<const std::uint8_t> head) {
  std::string start;
  for (std::size_t i = 0; i < head.size() && start.size() < 512; ++i) {
    const auto c = static_cast<char>(head[i]);
    start.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
  }
  if (start.starts_with("\xef\xbb\xbf")) start.erase(0, 3);
  start.erase(0, std::min(start.find_first_not_of(" \t\r\n"), start.size()));
  if (start.starts_with("<!doctype html") || start.starts_with("<html")) return FileKind::kHtml;
  if (start.find("<svg") != std::string::npos) return FileKind::kSvg;
  if (start.starts_with("{") || start.starts_with("[")) return FileKind::kJson;
  return FileKind::kText;
}

}  // namespace

FileKind sniff(std::span<const std::uint8_t> head) {
  if (head.empty()) return FileKind::kEmpty;
  for (const Signature& s : kSignatures) {
    if (!has_at(head, s.offset, s.bytes)) continue;
    // "RIFF" names the family of what stands at 8; "BM" alone could begin a text.
    if (s.offset == 8 && !has_at(head, 0, "RIFF") && !has_at(head, 0, "RF64") &&
        !has_at(head, 0, "FORM")) {
      continue;
    }
    if (s.kind == FileKind::kBmp && is_text(head)) continue;
    return s.kind;
  }
  if (is_adts_frame(head)) return FileKind::kAac;
  if (is_mp3_frame(head)) return FileKind::kMp3;
  if (std::all_of(head.begin(), head.end(), [](std::uint8_t b) { return b == 0; })) {
    return FileKind::kZeros;
  }
  return is_text(head) ? kind_of_text(head) : FileKind::kUnknown;
}

std::string_view describe(FileKind kind) {
  switch (kind) {
    case FileKind::kEmpty:
      return "empty";
    case FileKind::kZeros:
      return "nothing but zero bytes";
    case FileKind::kPng:
      return "a PNG picture";
    case FileKind::kJpeg:
      return "a JPEG picture";
    case FileKind::kWebp:
      return "a WebP picture";
    case FileKind::kWav:
      return "a WAV sound";
    case FileKind::kFlac:
      return "a FLAC sound";
    case FileKind::kOgg:
      return "an OGG sound";
    case FileKind::kMp3:
      return "an MP3 sound";
    case FileKind::kIsoMedia:
      return "an MP4 or MOV file";
    case FileKind::kMatroska:
      return "a WebM or Matroska file";
    case FileKind::kGif:
      return "a GIF picture";
    case FileKind::kBmp:
      return "a BMP picture";
    case FileKind::kTiff:
      return "a TIFF picture";
    case FileKind::kHeif:
      return "a HEIF picture";
    case FileKind::kAvif:
      return "an AVIF picture";
    case FileKind::kSvg:
      return "an SVG drawing";
    case FileKind::kAiff:
      return "an AIFF sound";
    case FileKind::kAac:
      return "a bare AAC stream";
    case FileKind::kAmr:
      return "an AMR sound";
    case FileKind::kMidi:
      return "a MIDI file";
    case FileKind::kWma:
      return "a Windows Media file";
    case FileKind::kAvi:
      return "an AVI film";
    case FileKind::kMpegStream:
      return "an MPEG-1 or MPEG-2 stream";
    case FileKind::kFlv:
      return "a Flash film";
    case FileKind::kPdf:
      return "a PDF document";
    case FileKind::kZip:
      return "a ZIP archive (or an office document)";
    case FileKind::kGzip:
      return "a gzip archive";
    case FileKind::kRar:
      return "a RAR archive";
    case FileKind::kSevenZip:
      return "a 7z archive";
    case FileKind::kElf:
      return "a program";
    case FileKind::kHtml:
      return "an HTML page";
    case FileKind::kJson:
      return "JSON text";
    case FileKind::kText:
      return "text";
    case FileKind::kUnknown:
      return "of no known format";
  }
  return "of no known format";
}

}  // namespace preflight::media
