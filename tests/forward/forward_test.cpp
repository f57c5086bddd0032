#include "tests/forward/forward_test.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>

#include "engine/forward/tuning.h"
#include "engine/forward/wide_products.h"
#include "engine/model/half.h"

namespace preflight::forward {
namespace {

struct Shared {
  vk::Device device = must(vk::Device::create({.validation = true}));
  vk::Submitter submitter = must(vk::Submitter::create(device));
  vk::Uploader uploader = must(vk::Uploader::create(device, 1u << 20));
  std::map<std::string, Kernels> kernels;  ///< by the variant's name
};
std::unique_ptr<Shared> shared;

/// Holds the device as long as the program's tests run; at the end nothing of it may be left.
class DeviceEnvironment : public testing::Environment {
 public:
  void SetUp() override {
    shared = std::make_unique<Shared>();
    const vk::DeviceDescription& d = shared->device.description();
    testing::Test::RecordProperty("device", d.name);
    std::printf("device: %s, %s %s\n", d.name.c_str(), d.driver_name.c_str(),
                d.driver_version.c_str());
  }
  void TearDown() override {
    shared->kernels.clear();
    EXPECT_EQ(shared->device.validation_messages(), 0u)
        << shared->device.first_validation_message();
    shared.reset();
  }
};
const testing::Environment* const environment =
    testing::AddGlobalTestEnvironment(new DeviceEnvironment);

}  // namespace

std::string Variant::name() const {
  return std::string(act16 ? "Act16" : "Act32") + (kv16 ? "Kv16" : "Kv32") +
         (wide ? "Wide" : "Own") + (tiles ? "Tiles" : "") + (coopmat ? "Coopmat" : "") +
         (dot ? "Dot" : "") + (narrow ? "Narrow" : "") + (passed ? "Passed" : "") +
         (shuffled ? "Shuffled" : "") + (texels ? "Texels" : "") + (addresses ? "Addresses" : "");
}

void ForwardTest::SetUp() { messages_before_ = device().validation_messages(); }

void ForwardTest::TearDown() {
  EXPECT_EQ(device().validation_messages(), messages_before_)
      << device().first_validation_message();
}

vk::Device& ForwardTest::device() { return shared->device; }
vk::Submitter& ForwardTest::submitter() { return shared->submitter; }
vk::Uploader& ForwardTest::uploader() { return shared->uploader; }

bool ForwardTest::can_run(const Variant& variant) {
  const vk::DeviceDescription& d = device().description();
  if (variant.addresses && (!d.buffer_addresses || (d.subgroup_size != 8 && d.subgroup_size != 16)))
    return false;
  return !variant.coopmat || coopmat_tile(d, tuning_for(d)).has_value();
}

Kernels& ForwardTest::kernels(const Variant& variant) {
  auto found = shared->kernels.find(variant.name());
  if (found == shared->kernels.end()) {
    vk::DeviceDescription description = device().description();
    if (variant.wide) {  // what the table gives a card with subgroups of 32
      description.software = false;
      description.subgroup_size = 32;
    }
    KernelOptions options{.tuning = tuning_for(description),
                          .act16 = variant.act16,
                          .kv16 = variant.kv16,
                          .dot = variant.dot,
                          .coopmat = variant.coopmat};
    options.tuning.prefill_tiles = variant.tiles ? 2 : 1;
    options.tuning.activation_loads =
        static_cast<std::uint32_t>(variant.shuffled ? ActivationLoads::kShuffle
                                   : variant.passed ? ActivationLoads::kBroadcast
                                                    : ActivationLoads::kEach);
    options.tuning.plane_loads =
        static_cast<std::uint32_t>(variant.addresses ? PlaneLoads::kAddresses
                                   : variant.texels  ? PlaneLoads::kTexelsWithAttention
                                                     : PlaneLoads::kStorage);
    if (variant.narrow) {
      options.tuning.narrow_threads = 4 * options.tuning.weight_lanes;
      options.tuning.narrow_columns = 16;
    }
    // The compiler of the older llvmpipe takes minutes for many sums of a card's kernels, and most
    // of them for lanes beyond its vectors.
    const bool slow = tuning_report(device().description()).row == "llvmpipe before 24";
    if (slow && variant.narrow) options.tuning.narrow_columns = 4;
    if (slow && (variant.wide || variant.addresses)) options.tuning.narrow_columns = 2;
    found = shared->kernels.emplace(variant.name(), must(Kernels::create(device(), options))).first;
    if (variant.addresses && can_run(variant)) {
      EXPECT_EQ(found->second.plane_loads(), PlaneLoads::kAddresses);
    }
  }
  return found->second;
}

vk::Buffer ForwardTest::upload_bytes(std::span<const std::byte> bytes) {
  vk::Buffer buffer = must(vk::Buffer::create(device(), std::max<std::size_t>(bytes.size(), 16),
                                              vk::Residency::kDevice, "test input"));
  if (!bytes.empty()) must(uploader().write(buffer, 0, bytes));
  return buffer;
}

vk::Buffer ForwardTest::upload_values(std::span<const float> values, bool half) {
  if (!half) return upload(values);
  std::vector<std::uint16_t> halves(values.size());
  std::ranges::transform(values, halves.begin(), model::half_from_float);
  return upload(halves);
}

vk::Buffer ForwardTest::untouched(std::size_t n, bool half) {
  return upload(std::vector<std::uint32_t>(half ? (n + 1) / 2 : n, 0xffffffffu));
}

std::vector<float> ForwardTest::read_values(const vk::Buffer& buffer, std::size_t n, bool half) {
  std::vector<float> values(n);
  if (!half) {
    must(uploader().read(buffer, 0, std::as_writable_bytes(std::span(values))));
    return values;
  }
  std::vector<std::uint16_t> halves(n);
  must(uploader().read(buffer, 0, std::as_writable_bytes(std::span(halves))));
  std::ranges::transform(halves, values.begin(), model::float_from_half);
  return values;
}

void ForwardTest::run(const std::function<void(vk::CommandList&)>& record) {
  vk::CommandList list = must(vk::CommandList::create(device()));
  list.begin();
  record(list);
  must(list.end());
  const vk::CommandList* const lists[] = {&list};
  EXPECT_GE(must(submitter().run(lists)), 0.0);
}

std::vector<float> rounded(std::vector<float> values, bool half) {
  if (half)
    for (float& value : values) value = model::float_from_half(model::half_from_float(value));
  return values;
}

testing::AssertionResult near(std::span<const float> got, std::span<const float> want,
                              const std::function<double(std::size_t)>& tolerance) {
  if (got.size() != want.size())
    return testing::AssertionFailure() << got.size() << " values, expected " << want.size();
  double worst = 0;  // as a share of the tolerance, for the message
  std::size_t n_wrong = 0;
  std::size_t at = 0;
  for (std::size_t i = 0; i < got.size(); i++) {
    double share = 0;
    if (std::isnan(want[i]) || std::isnan(got[i])) {
      share = std::isnan(want[i]) && std::isnan(got[i]) ? 0 : HUGE_VAL;
    } else {
      share = std::abs(double{got[i]} - want[i]) / tolerance(i);
    }
    if (share > 1) n_wrong++;
    if (share > worst) {
      worst = share;
      at = i;
    }
  }
  if (n_wrong == 0) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << n_wrong << " of " << got.size() << " values differ; worst is " << at << ": " << got[at]
         << ", expected " << want[at] << " within " << tolerance(at);
}

testing::AssertionResult near(std::span<const float> got, std::span<const float> want,
                              double tolerance) {
  return near(got, want, [tolerance](std::size_t) { return tolerance; });
}

testing::AssertionResult same(std::span<const float> got, std::span<const float> want) {
  if (got.size() != want.size())
    return testing::AssertionFailure() << got.size() << " values, expected " << want.size();
  for (std::size_t i = 0; i < got.size(); i++)
    if (std::memcmp(&got[i], &want[i], sizeof(float)) != 0)
      return testing::AssertionFailure()
             << "value " << i << " is " << got[i] << ", expected " << want[i];
  return testing::AssertionSuccess();
}

void expect_equal_in_company(const ProductsOf& products, std::uint32_t n_rows,
                             std::uint32_t n_outputs, const std::vector<std::uint32_t>& counts) {
  const auto all = products(0, n_rows);
  const std::size_t stride = padded(n_outputs);
  for (const std::uint32_t n : counts)
    for (const std::uint32_t first : {0u, 1u, std::min(14u, n_rows - n), n_rows - n}) {
      const auto some = products(first, n);
      EXPECT_TRUE(same(some.first, std::span(all.first).subspan(std::size_t{first} * n_outputs,
                                                                some.first.size())))
          << n << " rows from " << first;
      for (std::uint32_t c = 0; c < n; c++)
        EXPECT_TRUE(same(std::span(some.second).subspan(c * stride, n_outputs),
                         std::span(all.second).subspan((first + c) * stride, n_outputs)))
            << "gate_up, row " << c << " of " << n << " from " << first;
    }
}

}  // namespace preflight::forward
