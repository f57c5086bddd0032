#include "engine/media/film.h"

#include <gtest/gtest.h>

namespace preflight::media {
namespace {

std::vector<double> steady(std::size_t n, double frames_per_s) {
  std::vector<double> times_s;
  for (std::size_t i = 0; i < n; ++i) times_s.push_back(static_cast<double>(i) / frames_per_s);
  return times_s;
}

TEST(Film, SpreadsThirtyTwoFramesLikeTheReference) {
  const std::vector<std::uint64_t> expected = {
      0,   11,  22,  33,  45,  56,  67,  78,  90,  101, 112, 123, 135, 146, 157, 168,
      180, 191, 202, 213, 225, 236, 247, 258, 270, 281, 292, 303, 315, 326, 337, 348};
  EXPECT_EQ(pick_evenly(360, 32), expected);
  std::vector<std::string> stamps;
  stamps.reserve(expected.size());
  for (const std::uint64_t index : expected) {
    stamps.push_back(frame_stamp(static_cast<double>(index) / 24.0));
  }
  EXPECT_EQ(stamps[0], "00:00");
  EXPECT_EQ(stamps[2], "00:00");
  EXPECT_EQ(stamps[3], "00:01");
  EXPECT_EQ(stamps[4], "00:01");
  EXPECT_EQ(stamps[5], "00:02");
  EXPECT_EQ(stamps[31], "00:14");
}

TEST(Film, TakesAllFramesWhereThereAreFewer) {
  EXPECT_EQ(pick_evenly(3, 32), (std::vector<std::uint64_t>{0, 1, 2}));
  EXPECT_EQ(pick_evenly(0, 32), (std::vector<std::uint64_t>{}));
  EXPECT_EQ(pick_evenly(42, 30).size(), 30u);
}

TEST(Film, PicksByTimeTheFrameThatIsShown) {
  const std::vector<double> times_s = {0.0, 0.5, 2.0, 2.1};
  const std::vector<double> wanted = {-1.0, 0.0, 0.49, 0.5, 1.9, 2.05, 99.0};
  EXPECT_EQ(pick_at_times(times_s, wanted), (std::vector<std::uint64_t>{0, 1, 2, 3}));
}

TEST(Film, ShortFilmsAreSpreadLongOnesTakenOncePerSecond) {
  const auto short_times = steady(360, 24.0);
  EXPECT_EQ(pick_default({.times_s = short_times, .duration_s = 15.0}), pick_evenly(360, 32));
  const auto long_times = steady(1200, 30.0);
  const auto picked = pick_default({.times_s = long_times, .duration_s = 40.0});
  ASSERT_EQ(picked.size(), 40u);
  for (std::size_t i = 0; i < picked.size(); ++i) EXPECT_EQ(picked[i], i * 30);
}

TEST(Film, MoreThanAMinuteIsCoveredToItsEndWithSixtyFrames) {
  const auto times_s = steady(3600, 30.0);
  const auto picked = pick_default({.times_s = times_s, .duration_s = 120.0});
  EXPECT_EQ(picked, pick_evenly(3600, 60));
}

TEST(Film, AnUnsteadyFilmIsSpreadByTime) {
  // 20 frames in the first second, then one a second for 9 seconds.
  std::vector<double> times_s = steady(20, 20.0);
  times_s.reserve(29);
  for (int second = 1; second < 10; ++second) times_s.push_back(second);
  const auto picked =
      pick_spread({.times_s = times_s, .duration_s = 10.0, .constant_rate = false}, 10);
  ASSERT_EQ(picked.size(), 10u);
  EXPECT_EQ(picked[0], 0u);
  for (std::size_t i = 1; i < picked.size(); ++i) EXPECT_EQ(picked[i], 19 + i);
}

TEST(Film, StampsAreTruncatedAndNeverWrapToHours) {
  EXPECT_EQ(frame_stamp(0.999), "00:00");
  EXPECT_EQ(frame_stamp(67.9), "01:07");
  EXPECT_EQ(frame_stamp(75 * 60 + 3), "75:03");
  EXPECT_EQ(frame_stamp(6000), "100:00");
}

}  // namespace
}  // namespace preflight::media
