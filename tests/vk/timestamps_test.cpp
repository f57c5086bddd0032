#include "vk/timestamps.h"

#include "tests/vk/vk_test.h"

namespace preflight::vk {
namespace {

using TimestampsTest = DeviceTest;

TEST_F(TimestampsTest, TimeBetweenMarksLiesWithinTheSubmission) {
  Result<Timestamps> timestamps = Timestamps::create(device(), 3);
  if (!timestamps) {  // a queue may keep no time
    EXPECT_EQ(timestamps.error().code, ErrorCode::kUnsupported);
    return;
  }
  const Buffer from = must(Buffer::create(device(), 4u << 20, Residency::kDevice, "from"));
  const Buffer to = must(Buffer::create(device(), 4u << 20, Residency::kDevice, "to"));
  CommandList list = must(CommandList::create(device()));
  list.begin();
  timestamps->reset(list);
  timestamps->mark(list, 0);
  list.copy(whole(from), whole(to));
  timestamps->mark(list, 1);
  list.barrier();
  list.copy(whole(to), whole(from));
  timestamps->mark(list, 2);
  must(list.end());
  Submitter submitter = must(Submitter::create(device()));
  const CommandList* const lists[] = {&list};
  for (int round = 0; round < 2; ++round) {  // a list that is submitted again marks anew
    const double host_ms = must(submitter.run(lists));
    const double first_ms = must(timestamps->ms_between(0, 1));
    const double both_ms = must(timestamps->ms_between(0, 2));
    EXPECT_GT(first_ms, 0);
    EXPECT_GE(both_ms, first_ms);
    EXPECT_LE(both_ms, host_ms);
  }
}

}  // namespace
}  // namespace preflight::vk
