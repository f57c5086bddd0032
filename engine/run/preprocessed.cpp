#include "engine/run/preprocessed.h"

#include <cmath>
#include <cstring>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "engine/media/sound.h"
#include "engine/model/safetensors_file.h"

namespace preflight::run {
namespace {

using text::PartKind;

class Reader {
 public:
  Reader(const MediaSource& source, const model::SafetensorsFile& file)
      : source_(source), file_(file) {}

  Result<LoadedMedium> read() const {
    if (source_.kind == PartKind::kAudio) return sound();
    PREFLIGHT_TRY(const model::SafeTensor* patches, tensor("patches", "F32", media::kPatchValues));
    PREFLIGHT_TRY(const model::SafeTensor* positions, tensor("positions", "I32", 2));
    const std::uint64_t n_patches = patches->shape[0];
    if (positions->shape[0] != n_patches || n_patches == 0) {
      return bad(fmt::format("has {} patches and {} positions", n_patches, positions->shape[0]));
    }
    const Pictures all{values<float>(*patches), values<std::int32_t>(*positions)};
    PREFLIGHT_TRY_VOID(check_range(all.patches, "patches"));
    if (source_.kind == PartKind::kImage) {
      if (file_.find("frame_rows") != nullptr) return bad("holds a film, expected a picture");
      LoadedMedium out;
      PREFLIGHT_TRY(media::ImagePatches image, picture(all, 0, n_patches));
      out.frames.push_back(media::VideoFrame{0, 0.0, std::move(image)});
      return out;
    }
    return film(all, n_patches);
  }

 private:
  struct Pictures {
    std::vector<float> patches;
    std::vector<std::int32_t> positions;
  };

  tl::unexpected<Error> bad(std::string_view what) const {
    return fail(ErrorCode::kInvalidInput, fmt::format("{} {}", source_.name, what));
  }

  /// A tensor [any, columns], or [any] for 0 columns.
  Result<const model::SafeTensor*> tensor(std::string_view name, std::string_view dtype,
                                          std::uint64_t columns) const {
    const model::SafeTensor* found = file_.find(name);
    if (found == nullptr) return bad(fmt::format("has no tensor {}", name));
    const std::size_t n_dims = columns == 0 ? 1 : 2;
    const bool fits = found->dtype == dtype && found->shape.size() == n_dims &&
                      (columns == 0 || found->shape[1] == columns);
    if (fits) return found;
    return bad(fmt::format("has {} as {} [{}], expected {} [n{}]", name, found->dtype,
                           fmt::join(found->shape, ", "), dtype,
                           columns == 0 ? "" : fmt::format(", {}", columns)));
  }

  template <class T>
  static std::vector<T> values(const model::SafeTensor& tensor) {
    std::vector<T> out(tensor.bytes.size() / sizeof(T));
    if (!out.empty()) std::memcpy(out.data(), tensor.bytes.data(), out.size() * sizeof(T));
    return out;
  }

  Result<void> check_range(const std::vector<float>& values, std::string_view name) const {
    for (const float value : values) {
      if (!std::isfinite(value)) {
        return bad(fmt::format("has a value in {} that is not finite", name));
      }
    }
    return {};
  }

  /// Patches [begin, begin + n) as one picture; their positions must fill a grid in raster order.
  Result<media::ImagePatches> picture(const Pictures& all, std::uint64_t begin,
                                      std::uint64_t n) const {
    if (source_.budget && n > *source_.budget) {
      return bad(
          fmt::format("holds a picture of {} soft tokens, the budget is {}", n, *source_.budget));
    }
    const std::int32_t* at = all.positions.data() + 2 * begin;
    const std::int32_t last_column = at[2 * (n - 1)];
    const auto columns = static_cast<std::uint64_t>(last_column) + 1;
    bool raster = last_column >= 0 && n % columns == 0 && n <= kMostPatches;
    for (std::uint64_t t = 0; raster && t < n; ++t) {
      raster = at[2 * t] == static_cast<std::int32_t>(t % columns) &&
               at[2 * t + 1] == static_cast<std::int32_t>(t / columns);
    }
    if (!raster) {
      return bad(
          fmt::format("has positions from patch {} on that are no picture in raster order", begin));
    }
    media::ImagePatches out;
    out.columns = static_cast<std::uint32_t>(columns);
    out.rows = static_cast<std::uint32_t>(n / columns);
    const auto first =
        all.patches.begin() + static_cast<std::ptrdiff_t>(begin * media::kPatchValues);
    out.patches.assign(first, first + static_cast<std::ptrdiff_t>(n * media::kPatchValues));
    out.source_width = out.columns * media::kPatchSide;
    out.source_height = out.rows * media::kPatchSide;
    return out;
  }

  Result<LoadedMedium> film(const Pictures& all, std::uint64_t n_patches) const {
    if (source_.sound) return bad("holds frames only, so it has no sound track to add");
    PREFLIGHT_TRY(const model::SafeTensor* rows, tensor("frame_rows", "I32", 0));
    PREFLIGHT_TRY(const model::SafeTensor* times, tensor("times", "F32", 0));
    const std::vector<std::int32_t> n_rows = values<std::int32_t>(*rows);
    const std::vector<float> time_s = values<float>(*times);
    if (n_rows.size() != time_s.size()) {
      return bad(fmt::format("has {} frames and {} times", n_rows.size(), time_s.size()));
    }
    if (source_.frames && n_rows.size() > *source_.frames) {
      return bad(
          fmt::format("holds {} frames, the request asks for {}", n_rows.size(), *source_.frames));
    }
    LoadedMedium out;
    std::uint64_t begin = 0;
    for (std::size_t i = 0; i < n_rows.size(); ++i) {
      const bool fits = n_rows[i] > 0 && static_cast<std::uint64_t>(n_rows[i]) <= n_patches - begin;
      if (!fits) return bad(fmt::format("has {} patches in frame {}", n_rows[i], i));
      const bool in_order = std::isfinite(time_s[i]) && time_s[i] >= 0 &&
                            time_s[i] < kMostSeconds && (i == 0 || time_s[i] >= time_s[i - 1]);
      if (!in_order) return bad(fmt::format("has the time {} at frame {}", time_s[i], i));
      const auto n = static_cast<std::uint64_t>(n_rows[i]);
      PREFLIGHT_TRY(media::ImagePatches image, picture(all, begin, n));
      out.frames.push_back(media::VideoFrame{i, static_cast<double>(time_s[i]), std::move(image)});
      begin += n;
    }
    if (begin != n_patches) {
      return bad(fmt::format("has {} patches, its frames name {}", n_patches, begin));
    }
    return out;
  }

  Result<LoadedMedium> sound() const {
    PREFLIGHT_TRY(const model::SafeTensor* frames, tensor("frames", "F32", media::kAudioFrame));
    const std::vector<float> samples = values<float>(*frames);
    if (samples.empty()) return bad("holds no sound: not a single frame");
    PREFLIGHT_TRY_VOID(check_range(samples, "frames"));
    LoadedMedium out;
    out.clips = media::split_sound(samples, media::request_split()).clips;
    return out;
  }

  static constexpr std::uint64_t kMostPatches = 1U << 20;
  static constexpr float kMostSeconds = 1e6F;

  const MediaSource& source_;
  const model::SafetensorsFile& file_;
};

}  // namespace

Result<LoadedMedium> read_preprocessed(const MediaSource& source) {
  PREFLIGHT_TRY(const model::SafetensorsFile file, model::SafetensorsFile::open(source.path));
  return Reader(source, file).read();
}

}  // namespace preflight::run
