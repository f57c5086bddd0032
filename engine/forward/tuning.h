#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vk/device.h"

namespace preflight::forward {

/// Sizes that depend on the device and never on the model. Results depend on them only where a
/// reduction is spread over lanes (norms, narrow products), never on the step's shape. A new size
/// is a member here, a line of kFields and, where a device wants another value, lines in that
/// device's row.
struct Tuning {
  std::uint32_t weight_lanes = 0;  ///< rows of a weight group: lanes of a product's workgroup
  /// Invocations of a workgroup in the products of Phase::kGenerate, in teams of weight_lanes that
  /// share the blocks of a weight row (shaders/matvec.comp). One team: they run as a prompt's do.
  std::uint32_t narrow_threads = 0;
  std::uint32_t narrow_columns = 0;  ///< activation rows that one workgroup of these serves at most
  std::uint32_t narrow_piece = 0;    ///< groups of 4 weights that a lane of these holds decoded
  std::uint32_t activation_loads = 0;   ///< of products of one lane to a row: an ActivationLoads
  std::uint32_t plane_loads = 0;        ///< of kernels of CPU devices: a PlaneLoads
  std::uint32_t norm_lanes = 0;         ///< invocations that reduce one residual row
  std::uint32_t attention_lanes = 0;    ///< invocations that serve one query head
  std::uint32_t attention_queries = 0;  ///< 16: tiles and split key ranges; 4: one walk over all
  std::uint32_t argmax_lanes = 0;
  std::uint32_t chunk_rows = 0;     ///< prefill rows of one step, where time allows
  std::uint32_t prefill_tiles = 0;  ///< products of prefill: 1 lane by lane, 2 in tiles
  std::uint32_t coopmat_tile = 0;   ///< rows and columns of a workgroup's tile on matrix units
  std::uint32_t submission_ms = 0;  ///< longest submission aimed at
  vk::Tier tier = vk::Tier::kBase;  ///< taken when nobody asks for another
};

/// How the lanes of a product get the activations of a block, which all of them multiply
/// (shaders/include/product.glsl). Passed on needs subgroups of 8 or 16, shuffles need texels;
/// by addresses all lanes load all.
enum class ActivationLoads : std::uint32_t {
  kEach = 1,       ///< every lane loads all
  kBroadcast = 2,  ///< each loads some and they are passed on from a constant lane
  kShuffle = 3,    ///< the same by shuffles
};

/// How kernels of CPU devices read what they only read (shaders/include/plane.glsl).
/// Kernels::plane_loads() says what of it a device and a tier allow.
enum class PlaneLoads : std::uint32_t {
  kStorage = 1,              ///< out of storage buffers
  kTexels = 2,               ///< products: weights and activations as texels
  kTexelsWithAttention = 3,  ///< and the queries and KV pages of attention.comp
  kAddresses = 4,  ///< products: weights, which then lie word by word, and activations by address
};

/// In a row of the table: the device's own subgroup size.
inline constexpr std::uint32_t kSubgroupSize = 0;

/// One size, and what it is for devices that have no line of their own.
struct TuningField {
  std::string_view name;
  std::uint32_t Tuning::*member;
  std::uint32_t least, most;  ///< what kernels and host code can work with
  bool power_of_two;
  std::uint32_t value;
  std::string_view reason;
  std::array<std::uint32_t, 5> candidates{};  ///< worth measuring; 0: no more
};
[[nodiscard]] std::span<const TuningField> tuning_fields();
[[nodiscard]] const TuningField* find_tuning_field(std::string_view name);  ///< null: none

enum class TuningOrigin {
  kDefault,  ///< as for a device that nothing is known about
  kTable,    ///< the device's row has a line for it
  kTuned,    ///< measured on this device
};
[[nodiscard]] std::string_view name(TuningOrigin origin);  ///< "default", "table", "tuned"

/// A value that was measured on this device and stands before the table's.
struct TunedValue {
  std::string field;
  std::uint32_t value = 0;
};

/// One line of what a person is told.
struct TuningChoice {
  std::string_view field;
  std::uint32_t value;
  TuningOrigin origin;
  std::string_view reason;
};

/// The sizes for a device, with who decided each.
struct TuningReport {
  std::string_view row;  ///< name of the table's row
  Tuning tuning;
  std::string_view tier_reason;
  std::vector<TuningChoice> choices;  ///< in the order of tuning_fields()
};

/// There is a row for every device. Values out of a field's range are brought into it and into what
/// the device can run; of `tuned`, names that are no field are passed over.
[[nodiscard]] TuningReport tuning_report(const vk::DeviceDescription& device,
                                         std::span<const TunedValue> tuned = {});
[[nodiscard]] Tuning tuning_for(const vk::DeviceDescription& device,
                                std::span<const TunedValue> tuned = {});

}  // namespace preflight::forward
