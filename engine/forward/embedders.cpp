#include "engine/forward/embedders.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <fmt/format.h>

#include "shaders/params/norm.h"

namespace preflight::forward {
namespace {

constexpr float kLayerNormEpsilon = 1e-5f;  // the reference's default, whatever rms_norm_eps says
constexpr std::uint32_t kPatch = model::kPatchValues;

/// Row, column, channel to channel, row, column: the order that a GGUF file's weights expect.
void to_channel_major(std::span<const float> patch, std::span<float> out) {
  constexpr std::uint32_t kPixels = kPatch / 3;
  for (std::uint32_t i = 0; i < kPixels; i++)
    for (std::uint32_t c = 0; c < 3; c++) out[c * kPixels + i] = patch[3 * i + c];
}

}  // namespace

std::uint64_t Embedders::scratch_bytes(const model::ModelConfig& config, bool act16) {
  const std::uint64_t act = act16 ? 2 : 4;
  std::uint64_t values = 0;
  std::uint64_t bytes = 0;
  if (config.has_vision()) {
    const std::uint64_t dim = padded(config.vision_embed_dim);
    values += kPatch + dim + config.model_dim;
    bytes += kBatchRows * (padded(kPatch) + dim) * act;
  }
  if (config.has_audio()) {
    values += config.audio_frame + config.model_dim;
    bytes += kBatchRows * std::uint64_t{padded(config.audio_frame)} * act;
  }
  return bytes + kBatchRows * values * 4;
}

Result<std::unique_ptr<Embedders>> Embedders::create(vk::Device& device, vk::Submitter& submitter,
                                                     vk::Uploader& uploader, Kernels& kernels,
                                                     const model::ModelConfig& config,
                                                     const ModelWeights& weights) {
  std::unique_ptr<Embedders> made(new Embedders(device, submitter, uploader, config));
  if (weights.vision) PREFLIGHT_TRY_VOID(made->make_vision(kernels, *weights.vision));
  if (weights.audio) PREFLIGHT_TRY_VOID(made->make_audio(kernels, *weights.audio));
  return made;
}

Result<void> Embedders::make_vision(Kernels& kernels, const VisionWeights& w) {
  const std::uint32_t dim = config_.vision_embed_dim;
  const std::uint32_t stride = padded(dim);
  const std::uint32_t lanes = kernels.options().tuning.norm_lanes;
  const std::uint64_t act = kernels.act_bytes();
  using enum vk::Residency;
  const auto make = [&](std::uint64_t row_bytes, vk::Residency residency, const char* label) {
    return vk::Buffer::create(device_, kBatchRows * row_bytes, residency, label);
  };
  PREFLIGHT_TRY(vk::Buffer input, make(kPatch * 4, kUpload, "patches"));
  PREFLIGHT_TRY(vk::Buffer normed, make(padded(kPatch) * act, kDevice, "normed patches"));
  PREFLIGHT_TRY(vk::Buffer features, make(std::uint64_t{stride} * 4, kDevice, "patch features"));
  PREFLIGHT_TRY(vk::Buffer middle_normed, make(stride * act, kDevice, "normed features"));
  PREFLIGHT_TRY(vk::Buffer output,
                make(std::uint64_t{config_.model_dim} * 4, kDevice, "image soft tokens"));

  vision_.emplace(Path{.input = std::move(input),
                       .normed = std::move(normed),
                       .output = std::move(output),
                       .norm = {},
                       .projection = {}});
  middle_.emplace(VisionMiddle{.features = std::move(features),
                               .normed = std::move(middle_normed),
                               .dense = {},
                               .position = {},
                               .channel_major = w.channel_major});

  PREFLIGHT_TRY(const vk::Pipeline* patch_norm,
                kernels.pipeline("patch_norm" + kernels.act_suffix(), params::kPatchNormBindings,
                                 sizeof(params::PatchNormParams), {lanes}));
  const std::array<vk::Slice, params::kPatchNormBindings> norm_slices = {
      vk::whole(vision_->input), vk::whole(w.norm1_weight), vk::whole(w.norm1_bias),
      vk::whole(vision_->normed)};
  PREFLIGHT_TRY(const vk::BindingSet* norm_bindings, kernels.bind(*patch_norm, norm_slices));
  vision_->norm = RowOp::of(patch_norm, norm_bindings,
                            params::PatchNormParams{.row_size = kPatch,
                                                    .x_stride = kPatch,
                                                    .y_stride_vec4 = padded(kPatch) / 4,
                                                    .epsilon = kLayerNormEpsilon});
  const vk::Slice bias = vk::whole(w.dense_bias);
  PREFLIGHT_TRY(middle_->dense, make_product(kernels, w.dense,
                                             {.x = vk::whole(vision_->normed),
                                              .y = vk::whole(middle_->features),
                                              .x_stride = padded(kPatch),
                                              .y_stride = stride,
                                              .bias = &bias}));
  PREFLIGHT_TRY(
      const vk::Pipeline* position,
      kernels.pipeline("patch_position" + kernels.act_suffix(), params::kPatchPositionBindings,
                       sizeof(params::PatchPositionParams), {lanes}));
  const std::array<vk::Slice, params::kPatchPositionBindings> position_slices = {
      vk::whole(middle_->features), vk::whole(w.norm2_weight), vk::whole(w.norm2_bias),
      vk::whole(w.positions),       vk::whole(w.norm3_weight), vk::whole(w.norm3_bias),
      vk::whole(middle_->normed)};
  PREFLIGHT_TRY(const vk::BindingSet* position_bindings, kernels.bind(*position, position_slices));
  middle_->position =
      RowOp::of(position, position_bindings,
                params::PatchPositionParams{
                    .row_size = dim,
                    .x_stride = stride,
                    .y_stride_vec4 = stride / 4,
                    .columns = 1,
                    .table_stride = w.positions_axis_major ? dim : 2 * dim,
                    .table_y_offset = w.positions_axis_major ? config_.vision_positions * dim : dim,
                    .epsilon = kLayerNormEpsilon,
                    .rms_epsilon = config_.vision_rms_norm_eps,
                    .first_patch = 0});
  PREFLIGHT_TRY(vision_->projection, make_product(kernels, w.projection,
                                                  {.x = vk::whole(middle_->normed),
                                                   .y = vk::whole(vision_->output),
                                                   .x_stride = stride,
                                                   .y_stride = config_.model_dim}));
  return {};
}

Result<void> Embedders::make_audio(Kernels& kernels, const WeightMatrix& projection) {
  const std::uint32_t frame = config_.audio_frame;
  using enum vk::Residency;
  const auto make = [&](std::uint64_t row_bytes, vk::Residency residency, const char* label) {
    return vk::Buffer::create(device_, kBatchRows * row_bytes, residency, label);
  };
  PREFLIGHT_TRY(vk::Buffer input, make(std::uint64_t{frame} * 4, kUpload, "audio frames"));
  PREFLIGHT_TRY(vk::Buffer normed, make(std::uint64_t{padded(frame)} * kernels.act_bytes(), kDevice,
                                        "normed audio frames"));
  PREFLIGHT_TRY(vk::Buffer output,
                make(std::uint64_t{config_.model_dim} * 4, kDevice, "audio soft tokens"));
  audio_.emplace(Path{.input = std::move(input),
                      .normed = std::move(normed),
                      .output = std::move(output),
                      .norm = {},
                      .projection = {}});
  PREFLIGHT_TRY(const vk::Pipeline* norm,
                kernels.pipeline("rms_norm" + kernels.act_suffix(), params::kRmsNormBindings,
                                 sizeof(params::RmsNormParams),
                                 {kernels.options().tuning.norm_lanes, /*weighted=*/0}));
  const std::array<vk::Slice, params::kRmsNormBindings> slices = {
      vk::whole(audio_->input), vk::whole(audio_->input), vk::whole(audio_->normed)};
  PREFLIGHT_TRY(const vk::BindingSet* bindings, kernels.bind(*norm, slices));
  audio_->norm = RowOp::of(norm, bindings,
                           params::RmsNormParams{.row_size = frame,
                                                 .x_stride = frame,
                                                 .y_stride_vec4 = padded(frame) / 4,
                                                 .epsilon = config_.audio_rms_norm_eps});
  PREFLIGHT_TRY(audio_->projection, make_product(kernels, projection,
                                                 {.x = vk::whole(audio_->normed),
                                                  .y = vk::whole(audio_->output),
                                                  .x_stride = padded(frame),
                                                  .y_stride = config_.model_dim}));
  return {};
}

Result<void> Embedders::run_batch(Path& path, std::uint32_t n_rows, std::uint32_t columns,
                                  std::uint32_t first_patch, std::span<float> out) {
  PREFLIGHT_TRY(vk::CommandList list, vk::CommandList::create(device_));
  list.begin();
  path.norm.record(list, n_rows);
  list.barrier();
  if (vision_ && &path == &*vision_) {
    middle_->dense.record(list, n_rows, Phase::kPrefill);
    list.barrier();
    params::PatchPositionParams push;
    std::memcpy(&push, middle_->position.push.data(), sizeof push);
    push.columns = columns;
    push.first_patch = first_patch;
    RowOp::of(middle_->position.pipeline, middle_->position.bindings, push).record(list, n_rows);
    list.barrier();
  }
  path.projection.record(list, n_rows, Phase::kPrefill);
  PREFLIGHT_TRY_VOID(list.end());
  const vk::CommandList* const lists[] = {&list};
  PREFLIGHT_TRY([[maybe_unused]] const double ms, submitter_.run(lists));
  return uploader_.read(path.output, 0, std::as_writable_bytes(out));
}

Result<std::vector<float>> Embedders::image(std::span<const float> patches, std::uint32_t columns) {
  if (!vision_)
    return fail(ErrorCode::kUnsupported,
                "the model was loaded without an image part; give its mmproj file");
  const auto n = static_cast<std::uint32_t>(patches.size() / kPatch);
  PREFLIGHT_ASSERT(n > 0 && patches.size() == std::size_t{n} * kPatch && columns > 0);
  const std::uint32_t rows = (n + columns - 1) / columns;
  if (std::max(columns, rows) > config_.vision_positions)
    return fail(ErrorCode::kInvalidInput,
                fmt::format("an image of {} x {} patches passes the model's {} positions", columns,
                            rows, config_.vision_positions));
  std::vector<float> out(std::size_t{n} * config_.model_dim);
  const auto input = vision_->input.host_view();
  std::vector<float> turned(kPatch);
  for (std::uint32_t first = 0; first < n; first += kBatchRows) {
    const std::uint32_t batch = std::min(kBatchRows, n - first);
    for (std::uint32_t i = 0; i < batch; i++) {
      const auto patch = patches.subspan(std::size_t{first + i} * kPatch, kPatch);
      const float* from = patch.data();
      if (middle_->channel_major) {
        to_channel_major(patch, turned);
        from = turned.data();
      }
      std::memcpy(input.data() + std::size_t{i} * kPatch * 4, from, kPatch * sizeof(float));
    }
    PREFLIGHT_TRY_VOID(run_batch(*vision_, batch, columns, first,
                                 std::span(out).subspan(std::size_t{first} * config_.model_dim,
                                                        std::size_t{batch} * config_.model_dim)));
  }
  return out;
}

Result<std::vector<float>> Embedders::audio(std::span<const float> samples) {
  if (!audio_)
    return fail(ErrorCode::kUnsupported,
                "the model was loaded without a sound part; give its mmproj file");
  if (samples.empty()) return fail(ErrorCode::kInvalidInput, "a sound without samples");
  const std::uint32_t frame = config_.audio_frame;
  const auto n = static_cast<std::uint32_t>((samples.size() + frame - 1) / frame);
  std::vector<float> out(std::size_t{n} * config_.model_dim);
  const auto input = audio_->input.host_view();
  for (std::uint32_t first = 0; first < n; first += kBatchRows) {
    const std::uint32_t batch = std::min(kBatchRows, n - first);
    const auto piece = samples.subspan(std::size_t{first} * frame);
    const std::size_t n_samples = std::min<std::size_t>(piece.size(), std::size_t{batch} * frame);
    std::memset(input.data(), 0, std::size_t{batch} * frame * sizeof(float));
    std::memcpy(input.data(), piece.data(), n_samples * sizeof(float));
    PREFLIGHT_TRY_VOID(run_batch(*audio_, batch, 1, 0,
                                 std::span(out).subspan(std::size_t{first} * config_.model_dim,
                                                        std::size_t{batch} * config_.model_dim)));
  }
  return out;
}

}  // namespace preflight::forward
