// Pipelines, bindings, command lists and submissions, on a kernel that multiplies and adds.

#include <cstring>
#include <vector>

#include "tests/vk/embedded.h"
#include "tests/vk/test_params.h"
#include "tests/vk/vk_test.h"

namespace preflight::vk {
namespace {

constexpr std::uint32_t kWords = 1000;

struct TexelShader {
  const char* name;
  BindingKind kind;
  VkDeviceSize bytes;
};
constexpr TexelShader kTexelShaders[] = {{"affine_texel1", BindingKind::kTexels1, 4},
                                         {"affine_texel2", BindingKind::kTexels2, 8},
                                         {"affine_texel4", BindingKind::kTexels4, 16}};

class DispatchTest : public DeviceTest {
 protected:
  void SetUp() override {
    DeviceTest::SetUp();
    pool_.emplace(must(BindingPool::create(device())));
    submitter_.emplace(must(Submitter::create(device())));
    x_.emplace(must(Buffer::create(device(), kWords * 4, Residency::kUpload, "x")));
    y_.emplace(must(Buffer::create(device(), kWords * 4, Residency::kReadback, "y")));
    std::memcpy(x_->host_view().data(), input_.data(), kWords * 4);
  }

  void TearDown() override {
    pool_.reset();
    submitter_.reset();
    x_.reset();
    y_.reset();
    DeviceTest::TearDown();
  }

  const BindingSet& bind(const Pipeline& pipeline, const Buffer& x, const Buffer& y) {
    const Slice slices[] = {whole(x), whole(y)};
    return *must(pool_->add(pipeline, slices));
  }

  /// A variant of the kernel that reads x in another way.
  Pipeline affine_of(const char* shader, BindingKind kind) {
    return must(Pipeline::create(device(), {.spirv = vk_test::spirv(shader),
                                            .n_bindings = 2,
                                            .binding_kinds = {kind},
                                            .push_bytes = sizeof(params::AffineParams),
                                            .constants = {64, 1},
                                            .label = shader}));
  }

  void run(std::initializer_list<const CommandList*> lists) {
    EXPECT_GE(must(submitter_->run(std::span(lists.begin(), lists.size()))), 0.0);
  }

  static std::vector<std::uint32_t> words(const Buffer& buffer) {
    std::vector<std::uint32_t> out(buffer.size_bytes() / 4);
    std::memcpy(out.data(), buffer.host_view().data(), buffer.size_bytes());
    return out;
  }

  static std::vector<std::uint32_t> expected(std::uint32_t factor, std::uint32_t addend) {
    auto out = test_words(kWords);
    for (std::uint32_t& word : out) word = word * factor + addend;
    return out;
  }

  static params::AffineParams push(std::uint32_t addend) {
    return {.n = kWords, .addend = addend, .unused = 0.5f};
  }

  const std::vector<std::uint32_t> input_ = test_words(kWords);
  std::optional<BindingPool> pool_;
  std::optional<Submitter> submitter_;
  std::optional<Buffer> x_, y_;
};

TEST_F(DispatchTest, PushAndSpecializationConstantsReachTheKernel) {
  for (const std::uint32_t workgroup : {32u, 64u, 256u}) {
    const Pipeline pipeline = affine(3, workgroup);
    CommandList list = must(CommandList::create(device()));
    list.begin();
    list.dispatch(pipeline, bind(pipeline, *x_, *y_), push_bytes(push(17)),
                  (kWords + workgroup - 1) / workgroup);
    must(list.end());
    run({&list});
    EXPECT_EQ(words(*y_), expected(3, 17));
  }
}

TEST_F(DispatchTest, ARecordedListReadsWhatItsBuffersHoldNow) {
  const Pipeline pipeline = affine(5);
  CommandList list = must(CommandList::create(device()));
  list.begin();
  list.dispatch(pipeline, bind(pipeline, *x_, *y_), push_bytes(push(1)), 16);
  must(list.end());
  for (std::uint32_t round = 0; round < 20; ++round) {
    std::vector<std::uint32_t> in(kWords, round);
    std::memcpy(x_->host_view().data(), in.data(), kWords * 4);
    run({&list});
    EXPECT_EQ(words(*y_), std::vector<std::uint32_t>(kWords, 5 * round + 1));
  }
}

TEST_F(DispatchTest, ListsOfASubmissionRunInOrder) {
  const Pipeline pipeline = affine(1);
  const Pipeline backward = affine(1, 64, /*reversed=*/true);
  Buffer a = must(Buffer::create(device(), kWords * 4, Residency::kDevice, "a"));
  Buffer b = must(Buffer::create(device(), kWords * 4, Residency::kDevice, "b"));
  CommandList first = must(CommandList::create(device()));
  first.begin();
  first.dispatch(pipeline, bind(pipeline, *x_, a), push_bytes(push(1)), 16);
  must(first.end());
  CommandList second = must(CommandList::create(device()));
  second.begin();
  // A set made for one pipeline serves the other with bindings of the same kinds.
  second.dispatch(backward, bind(pipeline, a, b), push_bytes(push(10)), 16);
  second.barrier();
  second.dispatch(pipeline, bind(pipeline, b, *y_), push_bytes(push(100)), 16);
  must(second.end());
  run({&first, &second});
  EXPECT_EQ(words(*y_), expected(1, 111));
}

TEST_F(DispatchTest, CopyFillAndIndirectGrids) {
  const Pipeline pipeline = affine(2);
  Buffer grid = must(Buffer::create(device(), 16, Residency::kUpload, "grid"));
  const std::uint32_t groups[] = {99, 16, 1, 1};
  std::memcpy(grid.host_view().data(), groups, sizeof groups);
  Buffer middle = must(Buffer::create(device(), kWords * 4, Residency::kDevice, "middle"));
  CommandList list = must(CommandList::create(device()));
  list.begin();
  list.copy(whole(*x_), whole(middle));
  list.barrier();
  list.fill({&middle, 0, 40}, 7);
  list.barrier();
  list.dispatch_indirect(pipeline, bind(pipeline, middle, *y_), push_bytes(push(0)),
                         {&grid, 4, 12});
  must(list.end());
  run({&list});
  auto wanted = expected(2, 0);
  std::fill(wanted.begin(), wanted.begin() + 10, 14u);
  EXPECT_EQ(words(*y_), wanted);
}

TEST_F(DispatchTest, AnEmptySubmissionAndManyBindingSets) {
  run({});
  const Pipeline pipeline = affine(1);
  const BindingSet* first = &bind(pipeline, *x_, *y_);
  for (int i = 0; i < 1000; ++i) bind(pipeline, *x_, *y_);
  EXPECT_NE(first->handle(), bind(pipeline, *x_, *y_).handle());
  CommandList list = must(CommandList::create(device()));
  list.begin();
  list.dispatch(pipeline, *first, push_bytes(push(4)), 16);
  must(list.end());
  run({&list});
  EXPECT_EQ(words(*y_), expected(1, 4));
}

TEST_F(DispatchTest, TexelsAreTheWordsOfABuffer) {
  const VkDeviceSize alignment = device().description().min_texel_offset_alignment;
  for (const auto& [shader, kind, bytes] : kTexelShaders) {
    const Pipeline pipeline = affine_of(shader, kind);
    CommandList list = must(CommandList::create(device()));
    list.begin();
    const auto addend = static_cast<std::uint32_t>(bytes);  // another one for each shader
    list.dispatch(pipeline, bind(pipeline, *x_, *y_), push_bytes(push(addend)), 16);
    must(list.end());
    run({&list});
    EXPECT_EQ(words(*y_), expected(1, addend)) << shader;

    const Slice half[] = {{&*x_, 0, bytes + 2}, whole(*y_)};
    EXPECT_EQ(pool_->add(pipeline, half).error().code, ErrorCode::kInternal) << shader;
    if (alignment > 1) {
      const Slice skewed[] = {{&*x_, alignment + 1, bytes}, whole(*y_)};
      EXPECT_EQ(pool_->add(pipeline, skewed).error().code, ErrorCode::kLimit) << shader;
    }
  }
}

TEST_F(DispatchTest, MoreTexelsThanTheDeviceBindsAreRefused) {
  const VkDeviceSize most = device().description().max_texels;
  if (most > (1u << 20)) GTEST_SKIP() << "too many here; SwiftShader has 65,536";
  const Pipeline pipeline = affine_of("affine_texel1", BindingKind::kTexels1);
  Buffer large = must(Buffer::create(device(), 4 * most + 4, Residency::kDevice, "output.weight"));
  const Slice slices[] = {whole(large), whole(*y_)};
  const auto error = pool_->add(pipeline, slices).error();
  EXPECT_EQ(error.code, ErrorCode::kLimit);
  EXPECT_NE(error.message.find("output.weight"), std::string::npos) << error.message;
  const Slice part[] = {{&large, 0, 4 * most}, whole(*y_)};
  EXPECT_TRUE(pool_->add(pipeline, part).has_value());
}

TEST_F(DispatchTest, ABufferMayBeReadByItsAddress) {
  const PipelineOptions options{.spirv = vk_test::spirv("affine_address"),
                                .n_bindings = 2,
                                .binding_kinds = {BindingKind::kAddress},
                                .push_bytes = sizeof(params::AffineParams),
                                .constants = {64, 1},
                                .label = "affine_address"};
  auto made = Pipeline::create(device(), options);
  if (!device().description().buffer_addresses) {
    ASSERT_FALSE(made.has_value());
    EXPECT_EQ(made.error().code, ErrorCode::kUnsupported);
    EXPECT_NE(made.error().message.find("by their address"), std::string::npos);
    return;
  }
  const Pipeline pipeline = must(std::move(made));
  // x from its fifth word on, so that y's last four stay as they were.
  constexpr VkDeviceSize kSkipped = 16;
  const Slice behind[] = {{&*x_, kSkipped, kWords * 4 - kSkipped}, whole(*y_)};
  const BindingSet& set = *must(pool_->add(pipeline, behind));
  CommandList list = must(CommandList::create(device()));
  list.begin();
  list.fill(whole(*y_), 7);
  list.barrier();
  list.dispatch(pipeline, set, push_bytes(params::AffineParams{kWords - 4, 9, 0}), 16);
  must(list.end());
  run({&list});
  auto want = expected(1, 9);
  want.erase(want.begin(), want.begin() + 4);
  want.insert(want.end(), 4, 7);
  EXPECT_EQ(words(*y_), want);

  const Slice skewed[] = {{&*x_, 8, 16}, whole(*y_)};
  EXPECT_EQ(pool_->add(pipeline, skewed).error().code, ErrorCode::kInternal);
  const Slice outside[] = {{&*x_, kSkipped, kWords * 4}, whole(*y_)};
  EXPECT_EQ(pool_->add(pipeline, outside).error().code, ErrorCode::kInternal);
  // Addresses count as push constants.
  PipelineOptions large = options;
  large.push_bytes = device().description().max_push_constant_bytes / 4 * 4;
  EXPECT_EQ(Pipeline::create(device(), large).error().code, ErrorCode::kUnsupported);
  // A set of storage buffers carries no address.
  const Pipeline plain = affine(1);
  const BindingSet& storage = bind(plain, *x_, *y_);
  list.begin();
  list.dispatch(pipeline, storage, push_bytes(push(0)), 16);
  EXPECT_FALSE(list.end().has_value());
}

TEST_F(DispatchTest, KindsOfMoreBindingsThanThereAreAreRefused) {
  const auto made =
      Pipeline::create(device(), {.spirv = vk_test::spirv("affine"),
                                  .n_bindings = 2,
                                  .binding_kinds = std::vector(3, BindingKind::kStorage),
                                  .push_bytes = sizeof(params::AffineParams),
                                  .constants = {64, 1},
                                  .label = "affine"});
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().message, "pipeline \"affine\" has 2 bindings, and kinds for 3");
}

TEST_F(DispatchTest, BindingsBeyondTheDevicesLimitsAreRefused) {
  const Pipeline pipeline = affine(1);
  const VkDeviceSize alignment = device().description().min_storage_offset_alignment;
  const Slice one[] = {whole(*x_)};
  EXPECT_EQ(pool_->add(pipeline, one).error().message, "\"affine\" has 2 bindings, 1 were given");
  const Slice outside[] = {whole(*x_), {&*y_, 0, kWords * 4 + 1}};
  EXPECT_EQ(pool_->add(pipeline, outside).error().code, ErrorCode::kInternal);
  if (alignment > 1) {
    const Slice skewed[] = {whole(*x_), {&*y_, alignment + 1, 4}};
    const auto error = pool_->add(pipeline, skewed).error();
    EXPECT_EQ(error.code, ErrorCode::kLimit);
    EXPECT_NE(error.message.find("binding 1 of \"affine\""), std::string::npos) << error.message;
  }
}

TEST_F(DispatchTest, ARangeAboveTheDevicesIsRefused) {
  const DeviceDescription& d = device().description();
  const VkDeviceSize range = d.max_storage_buffer_range;
  if (range > (VkDeviceSize{1} << 28) || range + 4 > d.max_allocation_bytes)
    return;  // too big here
  const Pipeline pipeline = affine(1);
  Buffer large = must(Buffer::create(device(), range + 4, Residency::kDevice, "output.weight"));
  const Slice slices[] = {whole(large), whole(*y_)};
  const auto error = pool_->add(pipeline, slices).error();
  EXPECT_EQ(error.code, ErrorCode::kLimit);
  EXPECT_NE(error.message.find("output.weight"), std::string::npos) << error.message;
  const Slice part[] = {{&large, 0, range}, whole(*y_)};
  EXPECT_TRUE(pool_->add(pipeline, part).has_value());
}

TEST_F(DispatchTest, MistakesOfRecordingComeOutOfEnd) {
  const Pipeline pipeline = affine(1);
  const BindingSet& set = bind(pipeline, *x_, *y_);
  const auto mistake = [&](auto record) {
    CommandList list = must(CommandList::create(device()));
    list.begin();
    record(list);
    list.dispatch(pipeline, set, push_bytes(push(0)), 0);  // a later one does not hide the first
    const auto ended = list.end();
    EXPECT_FALSE(ended.has_value());
    EXPECT_FALSE(list.ready());
    const CommandList* lists[] = {&list};
    EXPECT_FALSE(submitter_->run(lists).has_value());
    return ended.has_value() ? std::string() : ended.error().message;
  };
  const auto p = push(0);
  const auto contains = [](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  contains(mistake([&](CommandList& l) {
             l.dispatch(pipeline, set, push_bytes(p), device().description().max_grid[1],
                        device().description().max_grid[1] + 1);
           }),
           "\"affine\" on a grid of");
  contains(mistake([&](CommandList& l) { l.dispatch(pipeline, set, push_bytes(p).first(8), 1); }),
           "takes 12 bytes of push constants, 8 were given");
  const Pipeline texels = affine_of("affine_texel1", BindingKind::kTexels1);
  contains(mistake([&](CommandList& l) { l.dispatch(texels, set, push_bytes(p), 1); }),
           "\"affine_texel1\" has bindings of other kinds than the set");
  const BindingSet& words_set = bind(texels, *x_, *y_);
  const Pipeline quads = affine_of("affine_texel4", BindingKind::kTexels4);
  contains(mistake([&](CommandList& l) { l.dispatch(quads, words_set, push_bytes(p), 1); }),
           "\"affine_texel4\" has bindings of other kinds than the set");
  contains(mistake([&](CommandList& l) {
             l.copy(whole(*x_), {&*y_, 0, 8});
           }),
           "copy of 4000 bytes");
  contains(mistake([&](CommandList& l) { l.copy({&*y_, 0, 8}, {&*y_, 4, 8}); }), "overlap");
  contains(mistake([&](CommandList& l) { l.fill({&*y_, 2, 8}, 0); }), "multiples of 4");
  contains(mistake([&](CommandList& l) {
             l.fill({&*y_, 0, kWords * 4 + 4}, 0);
           }),
           "do not lie in \"y\"");
  contains(mistake([&](CommandList& l) {
             l.dispatch_indirect(pipeline, set, push_bytes(p), {&*x_, 0, 8});
           }),
           "grid of \"affine\"");
  contains(mistake([&](CommandList&) {}), "on a grid of 0 x 1 x 1");

  CommandList never = must(CommandList::create(device()));
  EXPECT_FALSE(never.end().has_value());
  never.begin();
  EXPECT_TRUE(never.end().has_value());  // begin() forgets earlier mistakes
}

TEST_F(DispatchTest, PipelinesOutsideTheLimitsAreRefused) {
  const auto message = [&](PipelineOptions options) {
    options.label = "odd";
    const auto pipeline = Pipeline::create(device(), options);
    EXPECT_FALSE(pipeline.has_value());
    return pipeline.has_value() ? std::string() : pipeline.error().message;
  };
  const DeviceDescription& d = device().description();
  EXPECT_EQ(message({.spirv = vk_test::spirv("no such shader")}),
            "pipeline \"odd\": its shader is not in this build");
  const auto spirv = vk_test::spirv("affine");
  EXPECT_NE(message({.spirv = spirv, .n_bindings = 2, .push_bytes = d.max_push_constant_bytes + 4})
                .find("pushes"),
            std::string::npos);
  EXPECT_NE(message({.spirv = spirv,
                     .n_bindings = 2,
                     .push_bytes = 12,
                     .required_subgroup_size = d.max_subgroup_size * 2})
                .find("needs subgroups of"),
            std::string::npos);
}

TEST_F(DispatchTest, ASubgroupSizeOfTheDeviceIsAccepted) {
  const std::uint32_t width = device().description().subgroup_size;
  const Pipeline pipeline =
      must(Pipeline::create(device(), {.spirv = vk_test::spirv("affine"),
                                       .n_bindings = 2,
                                       .push_bytes = sizeof(params::AffineParams),
                                       .constants = {width, 9},
                                       .required_subgroup_size = width,
                                       .label = "width asked"}));
  CommandList list = must(CommandList::create(device()));
  list.begin();
  list.dispatch(pipeline, bind(pipeline, *x_, *y_), push_bytes(push(2)),
                (kWords + width - 1) / width);
  must(list.end());
  run({&list});
  EXPECT_EQ(words(*y_), expected(9, 2));
}

}  // namespace
}  // namespace preflight::vk
