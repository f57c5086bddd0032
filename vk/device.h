#pragma once

// The device: which ones there are, which one is taken and why, and what the rest of vk builds on.
//
// A Device and everything made from it belong to one thread at a time. Buffers, pipelines, lists
// and submitters keep a pointer into the Device: it outlives them, but may itself be moved.

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <vulkan/vulkan.h>

#include "vk/error.h"

namespace preflight::vk {

/// What the kernels may use of a device. A tier is a set of capabilities, not a vendor.
enum class Tier {
  kBase,     ///< float32 arithmetic, 32-bit storage, subgroup operations of any width: every 1.3
             ///< device
  kF16,      ///< 16-bit storage buffers and float16 arithmetic; sums stay float32
  kDot,      ///< products of prompts on packed 4x8 integer dot products, with activations rounded
             ///< to 8 bit in blocks; the rest as kF16, or kBase on a device without float16
  kCoopmat,  ///< and KHR cooperative matrices of float16 with float32 sums
};
[[nodiscard]] std::string_view name(Tier tier);  ///< "base", "f16", "dot", "coopmat"
[[nodiscard]] std::optional<Tier> tier_named(std::string_view name);

enum class DeviceType { kDiscrete, kIntegrated, kVirtual, kOther, kCpu };
[[nodiscard]] std::string_view name(DeviceType type);  ///< "discrete", "integrated", ...

/// A fragment of a product of cooperative matrices, [m, k] x [k, n]; all 0: there is none.
struct CoopmatShape {
  std::uint32_t m = 0, n = 0, k = 0;
};

struct DeviceOptions {
  std::string name_contains = {};  ///< only devices whose name has this in it, in any letter case
  bool validation = false;         ///< also on with PREFLIGHT_VALIDATION=1 in the environment
  std::filesystem::path cache_dir = {};  ///< pipeline cache; empty: none on disk. Made if missing
  bool pipeline_statistics = false;      ///< have the driver keep them, where it can
  /// See no more than this through one binding, as a device with a smaller limit would; 0: what
  /// the device can. For tests of what is cut in parts.
  VkDeviceSize most_binding_bytes = 0;
};

/// One physical device as a person and the planner want to know it.
struct DeviceDescription {
  std::string name, driver_name, driver_version;
  std::uint32_t api_version = 0;  ///< VK_API_VERSION_* packing
  std::uint32_t vendor_id = 0, device_id = 0;
  std::array<std::uint8_t, 16> uuid{};         ///< of the device, stable across starts
  std::array<std::uint8_t, 16> driver_uuid{};  ///< of this build of the driver
  DeviceType type = DeviceType::kOther;
  bool software = false;  ///< runs on the CPU (lavapipe, SwiftShader)

  std::uint32_t subgroup_size = 0, min_subgroup_size = 0, max_subgroup_size = 0;
  std::uint32_t max_workgroup_invocations = 0, max_shared_bytes = 0, max_push_constant_bytes = 0;
  std::array<std::uint32_t, 3> max_workgroup_size{}, max_grid{};  ///< x, y, z
  std::uint32_t max_storage_buffers = 0;                          ///< in one binding set
  VkDeviceSize max_storage_buffer_range = 0;  ///< bytes that one binding can see
  VkDeviceSize max_allocation_bytes = 0;      ///< of one Buffer
  VkDeviceSize min_storage_offset_alignment = 0;
  VkDeviceSize max_texels = 0;  ///< that a binding of a uniform texel buffer can see
  VkDeviceSize min_texel_offset_alignment = 0;
  bool buffer_addresses =
      false;  ///< shaders may read through addresses; asked of CPU devices alone
  bool storage_16bit = false, shader_f16 = false;
  bool int_dot = false;  ///< has dot products of four signed bytes packed in a word,
  bool int_dot_accelerated =
      false;                    ///< and they are faster than the multiplications they stand for
  CoopmatShape coopmat;         ///< of tier kCoopmat
  bool unified_memory = false;  ///< the device-local heap is host visible: no staging for writes
  bool shares_system_memory = false;  ///< software or integrated: its memory is the machine's

  VkDeviceSize memory_bytes = 0;  ///< heap of kDevice buffers; integrated: all heaps
  /// What may still be allocated. The driver's figure (VK_EXT_memory_budget, else the heap); where
  /// the memory is the machine's, the smaller of that and the system's (MemAvailable and control
  /// group limits). A software device's heap sizes are not believed: the system's figure alone.
  VkDeviceSize budget_bytes = 0;

  Tier best_tier = Tier::kBase;  ///< kDot only where integer dot products are accelerated
  std::string refused;           ///< empty: usable; else the sentence why not
  bool chosen = false;
  std::string reason;  ///< why it was chosen or passed over, a sentence
};

/// Mesa's CPU driver of Vulkan (lavapipe).
[[nodiscard]] bool is_llvmpipe(const DeviceDescription& device);
/// The major version in what a Mesa driver says of itself; 0: it names none.
[[nodiscard]] std::uint32_t mesa_version(const DeviceDescription& device);

/// All devices of all drivers, in the drivers' order, with the choice that `Device::create` makes
/// of them. Errors: kNotFound when there is no Vulkan driver at all.
[[nodiscard]] Result<std::vector<DeviceDescription>> list_devices(const DeviceOptions& options);

class Allocator;
struct DeviceState;

/// A logical device with one compute queue. Move-only; owns the instance and the pipeline cache.
class Device {
 public:
  /// Takes the best usable device: discrete before integrated, virtual, other, cpu. Usable is
  /// Vulkan 1.3 with the limits that the base tier needs.
  /// Errors: kNotFound (no driver, no device of that name), kUnsupported (all refused; says why).
  [[nodiscard]] static Result<Device> create(const DeviceOptions& options);
  Device(Device&& other) noexcept;
  Device& operator=(Device&& other) noexcept;
  ~Device();  ///< writes the pipeline cache

  [[nodiscard]] const DeviceDescription& description() const;
  [[nodiscard]] VkDevice handle() const;
  [[nodiscard]] VkQueue queue() const;
  [[nodiscard]] std::uint32_t queue_family() const;

  /// Bytes of device memory held by Buffers now, and the most there ever was.
  [[nodiscard]] std::uint64_t allocated_bytes() const;
  [[nodiscard]] std::uint64_t peak_allocated_bytes() const;
  /// Bytes that the driver was asked for: Buffers share blocks, so some more.
  [[nodiscard]] std::uint64_t reserved_bytes() const;
  /// What may still be allocated, asked anew (see DeviceDescription::budget_bytes).
  [[nodiscard]] VkDeviceSize free_bytes() const;

  /// Warnings and errors of the validation layer since creation; they also go to stderr.
  [[nodiscard]] std::uint64_t validation_messages() const;
  [[nodiscard]] std::string first_validation_message() const;  ///< empty: none

  /// A submission failed: everything made from this Device must be made again from a new one.
  [[nodiscard]] bool lost() const;

  /// Writes the pipeline cache now (a new file put in place of the old one). Nothing without a
  /// cache_dir. Errors: kIo.
  [[nodiscard]] Result<void> save_pipeline_cache() const;
  [[nodiscard]] std::filesystem::path pipeline_cache_file() const;  ///< empty without a cache_dir
  [[nodiscard]] bool pipeline_cache_loaded() const;                 ///< an earlier file was taken

  [[nodiscard]] DeviceState& state() const { return *state_; }  ///< for the other parts of vk

 private:
  explicit Device(std::unique_ptr<DeviceState> state);
  std::unique_ptr<DeviceState> state_;
};

}  // namespace preflight::vk
