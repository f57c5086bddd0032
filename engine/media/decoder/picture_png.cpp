#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <png.h>

#include "engine/media/decoder/exif.h"
#include "engine/media/decoder/picture.h"

namespace preflight::media {
namespace {

constexpr std::uint64_t kSignatureBytes = 8;
constexpr std::uint32_t kMaxExifBytes = 1 << 20;
constexpr png_alloc_size_t kMaxChunkBytes = 8 << 20;

std::uint32_t big_endian(const std::uint8_t* bytes) {
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 |
         std::uint32_t{bytes[2]} << 8 | bytes[3];
}

/// Looks through the chunks for what libpng does not tell: EXIF orientation wherever it stands, and
/// the frames of an animation.
void read_extras(const Input& input, StoredPicture& out) {
  std::uint64_t at = kSignatureBytes;
  std::uint8_t head[12] = {};
  while (input.read(at, {head, 12}) >= 8) {
    const std::uint32_t length = big_endian(head);
    if (std::memcmp(head + 4, "acTL", 4) == 0) {
      out.n_frames = std::max<std::uint64_t>(big_endian(head + 8), 1);
    } else if (std::memcmp(head + 4, "eXIf", 4) == 0 && length <= kMaxExifBytes) {
      std::vector<std::uint8_t> exif(length);
      if (input.read(at + 8, exif) == std::int64_t{length})
        out.orientation = exif_orientation(exif);
    } else if (std::memcmp(head + 4, "IEND", 4) == 0) {
      return;
    }
    at += std::uint64_t{12} + length;
  }
}

/// Everything that libpng's callbacks need. Errors leave through libpng's own jump buffer.
struct PngState {
  const Input* input = nullptr;
  std::uint64_t offset = 0;
  bool cut_short = false;
  std::string error;
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::vector<png_bytep> rows;
  StoredPicture out;
};

void on_error(png_structp png, png_const_charp text) {
  static_cast<PngState*>(png_get_error_ptr(png))->error = text;
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp png, png_bytep to, std::size_t n) {
  auto& state = *static_cast<PngState*>(png_get_io_ptr(png));
  const std::int64_t n_read = state.input->read(state.offset, {to, n});
  if (n_read < 0 || static_cast<std::size_t>(n_read) < n) {
    state.cut_short = true;
    png_error(png, "the file breaks off");
  }
  state.offset += n;
}

/// What an error of libpng leaves by a jump: nothing with a destructor lives across a call of it.
[[gnu::noinline]] bool decode_rows(PngState& state, std::uint64_t max_pixels,
                                   Result<void>& size_check) {
  png_structp png = state.png;
  png_set_read_fn(png, &state, on_read);
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_chunk_malloc_max(png, kMaxChunkBytes);
  png_read_info(png, state.info);
  const png_uint_32 width = png_get_image_width(png, state.info);
  const png_uint_32 height = png_get_image_height(png, state.info);
  size_check = check_picture_size(width, height, max_pixels);
  if (!size_check.has_value()) return true;

  const png_byte color = png_get_color_type(png, state.info);
  state.out.had_alpha =
      (color & PNG_COLOR_MASK_ALPHA) != 0 || png_get_valid(png, state.info, PNG_INFO_tRNS) != 0;
  png_set_scale_16(png);
  if (color == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
  if ((color & PNG_COLOR_MASK_COLOR) == 0) {
    png_set_expand_gray_1_2_4_to_8(png);
    png_set_gray_to_rgb(png);
  }
  png_set_strip_alpha(png);
  (void)png_set_interlace_handling(png);
  png_read_update_info(png, state.info);
  const std::size_t row_bytes = png_get_rowbytes(png, state.info);
  if (row_bytes != std::size_t{3} * width) png_error(png, "unexpected row size");

  RgbImage& picture = state.out.picture;
  picture.width = width;
  picture.height = height;
  picture.pixels.resize(row_bytes * height);
  state.rows.resize(height);
  for (std::size_t y = 0; y < height; ++y) state.rows[y] = picture.pixels.data() + y * row_bytes;
  png_read_image(png, state.rows.data());
  png_read_end(png, nullptr);
  return true;
}

/// Where that jump ends. The frame holds the call alone, so that nothing in it can be clobbered.
bool decode(PngState& state, std::uint64_t max_pixels, Result<void>& size_check) {
  if (setjmp(png_jmpbuf(state.png)) != 0) return false;
  return decode_rows(state, max_pixels, size_check);
}

}  // namespace

Result<StoredPicture> read_png(const Input& input, std::uint64_t max_pixels) {
  PngState state;
  state.input = &input;
  state.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &state, on_error, on_warning);
  state.info = state.png != nullptr ? png_create_info_struct(state.png) : nullptr;
  Result<void> size_check;
  bool decoded = false;
  if (state.info != nullptr) {
    decoded = decode(state, max_pixels, size_check);
  } else {
    state.error = "no memory for the decoder";
  }
  png_destroy_read_struct(&state.png, &state.info, nullptr);
  if (!size_check.has_value()) return tl::unexpected(std::move(size_check).error());
  if (!decoded) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("is a damaged PNG picture: {}",
                            state.cut_short ? "the file breaks off" : state.error));
  }
  read_extras(input, state.out);
  return std::move(state.out);
}

}  // namespace preflight::media
