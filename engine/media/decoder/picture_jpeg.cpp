#include <csetjmp>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <jpeglib.h>

#include "engine/media/decoder/exif.h"
#include "engine/media/decoder/picture.h"

namespace preflight::media {
namespace {

constexpr int kMarkerExif = JPEG_APP0 + 1;
/// Warnings that say that picture data is missing or wrong; the others are about sloppy headers.
enum class Warning { kNone, kCutShort, kDamaged };

/// Everything that libjpeg's callbacks need. Errors leave through `escape`.
struct JpegState {
  jpeg_decompress_struct jpeg = {};
  jpeg_error_mgr errors = {};
  std::jmp_buf escape = {};
  Warning warning = Warning::kNone;
  std::string error;
  std::vector<std::uint8_t> file;
  std::vector<std::uint8_t> row;  ///< of a CMYK picture
  StoredPicture out;
};

JpegState& state_of(j_common_ptr jpeg) { return *static_cast<JpegState*>(jpeg->client_data); }

void on_error(j_common_ptr jpeg) {
  JpegState& state = state_of(jpeg);
  char text[JMSG_LENGTH_MAX] = {};
  jpeg->err->format_message(jpeg, text);
  state.error = text;
  std::longjmp(state.escape, 1);
}

void on_message(j_common_ptr jpeg, int level) {
  if (level >= 0) return;
  JpegState& state = state_of(jpeg);
  const int code = jpeg->err->msg_code;
  if (code < 0 || code > jpeg->err->last_jpeg_message) return;
  const std::string_view text = jpeg->err->jpeg_message_table[code];
  if (text.find("remature end of JPEG file") != std::string_view::npos) {
    state.warning = Warning::kCutShort;
  } else if (text.find("Corrupt JPEG data") != std::string_view::npos &&
             text.find("extraneous bytes") == std::string_view::npos &&
             state.warning == Warning::kNone) {
    state.warning = Warning::kDamaged;
  }
}

void no_output(j_common_ptr) {}

/// Inks are stored inverted by common agreement: a stored byte is 255 minus the ink.
void cmyk_row_to_rgb(const std::uint8_t* from, std::size_t n, std::uint8_t* to) {
  for (std::size_t i = 0; i < n; ++i, from += 4) {
    for (std::size_t c = 0; c < 3; ++c) {
      *to++ = static_cast<std::uint8_t>((unsigned{from[c]} * from[3] + 127) / 255);
    }
  }
}

/// What an error of libjpeg leaves by a jump: nothing with a destructor lives across a call of it.
[[gnu::noinline]] bool decode_rows(JpegState& state, std::uint64_t max_pixels,
                                   Result<void>& size_check) {
  jpeg_decompress_struct& jpeg = state.jpeg;
  jpeg_create_decompress(&jpeg);
  jpeg_mem_src(&jpeg, state.file.data(), state.file.size());
  jpeg_save_markers(&jpeg, kMarkerExif, 0xffff);
  (void)jpeg_read_header(&jpeg, TRUE);  // suspension is not possible with a memory source
  size_check = check_picture_size(jpeg.image_width, jpeg.image_height, max_pixels);
  if (!size_check.has_value()) return true;

  for (jpeg_saved_marker_ptr m = jpeg.marker_list; m != nullptr; m = m->next) {
    if (m->marker == kMarkerExif && m->data_length > 6 && state.out.orientation == 1) {
      state.out.orientation = exif_orientation({m->data, m->data_length});
    }
  }
  const bool inks = jpeg.jpeg_color_space == JCS_CMYK || jpeg.jpeg_color_space == JCS_YCCK;
  jpeg.out_color_space = inks ? JCS_CMYK : JCS_RGB;
  (void)jpeg_start_decompress(&jpeg);
  RgbImage& picture = state.out.picture;
  picture.width = jpeg.output_width;
  picture.height = jpeg.output_height;
  picture.pixels.resize(std::size_t{3} * picture.width * picture.height);
  if (inks) state.row.resize(std::size_t{4} * picture.width);
  while (jpeg.output_scanline < jpeg.output_height) {
    std::uint8_t* to =
        picture.pixels.data() + std::size_t{3} * picture.width * jpeg.output_scanline;
    JSAMPROW row = inks ? state.row.data() : to;
    if (jpeg_read_scanlines(&jpeg, &row, 1) != 1) return false;
    if (inks) cmyk_row_to_rgb(state.row.data(), picture.width, to);
  }
  (void)jpeg_finish_decompress(&jpeg);
  return true;
}

/// Where that jump ends. The frame holds the call alone, so that nothing in it can be clobbered.
bool decode(JpegState& state, std::uint64_t max_pixels, Result<void>& size_check) {
  if (setjmp(state.escape) != 0) return false;
  return decode_rows(state, max_pixels, size_check);
}

}  // namespace

Result<StoredPicture> read_jpeg(const Input& input, std::uint64_t max_pixels) {
  JpegState state;
  PREFLIGHT_TRY(state.file, input.read_all());
  state.jpeg.client_data = &state;
  state.jpeg.err = jpeg_std_error(&state.errors);
  state.errors.error_exit = on_error;
  state.errors.emit_message = on_message;
  state.errors.output_message = no_output;
  Result<void> size_check;
  const bool decoded = decode(state, max_pixels, size_check);
  jpeg_destroy_decompress(&state.jpeg);
  if (!size_check.has_value()) return tl::unexpected(std::move(size_check).error());
  if (state.warning == Warning::kCutShort) {
    return fail(ErrorCode::kInvalidInput, "is a damaged JPEG picture: the file breaks off");
  }
  if (!decoded) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("is a damaged JPEG picture: {}", state.error));
  }
  if (state.warning == Warning::kDamaged) {
    return fail(ErrorCode::kInvalidInput, "is a damaged JPEG picture: its data is corrupt");
  }
  return std::move(state.out);
}

}  // namespace preflight::media
