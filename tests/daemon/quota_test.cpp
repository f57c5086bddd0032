#include "daemon/quota.h"

#include <limits>

#include <gtest/gtest.h>

namespace preflight::daemon {
namespace {

constexpr QuotaLimits kLimits{.max_reviews = 4,
                              .max_reviews_per_user = 3,
                              .max_spool_bytes = 100,
                              .max_spool_bytes_per_user = 60};

TEST(Quota, CountsReviewsPerUserAndInAll) {
  Quota quota(kLimits, {{.uid = 1, .reviews = 2, .bytes = 10}});
  EXPECT_FALSE(quota.take_review(1));
  const auto own = quota.take_review(1);
  ASSERT_TRUE(own);
  EXPECT_STREQ(own->setting, "queue.max_reviews_per_user");
  EXPECT_FALSE(quota.take_review(2));
  const auto all = quota.take_review(2);
  ASSERT_TRUE(all);
  EXPECT_STREQ(all->setting, "queue.max_reviews");
  quota.release(1, 1, 10);
  EXPECT_FALSE(quota.take_review(2));
}

TEST(Quota, CountsBytesPerUserAndInAll) {
  Quota quota(kLimits, {});
  EXPECT_FALSE(quota.take_bytes(1, 60));
  EXPECT_STREQ(quota.take_bytes(1, 1)->setting, "spool.max_mib_per_user");
  EXPECT_STREQ(quota.take_bytes(2, 41)->setting, "spool.max_mib");
  EXPECT_TRUE(quota.take_bytes(2, std::numeric_limits<std::uint64_t>::max()));
  EXPECT_FALSE(quota.take_bytes(2, 40));
  EXPECT_EQ(quota.used_bytes(), 100u);
}

TEST(Quota, AShareIsGivenBackUnlessKept) {
  Quota quota(kLimits, {});
  {
    QuotaShare share(quota, 1);
    EXPECT_FALSE(share.take_review());
    EXPECT_FALSE(share.take_bytes(50));
  }
  EXPECT_EQ(quota.used_bytes(), 0u);
  {
    QuotaShare share(quota, 1);
    EXPECT_FALSE(share.take_bytes(50));
    share.keep();  // takes the place in the queue that was not asked for
  }
  EXPECT_EQ(quota.used_bytes(), 50u);
  quota.release(1, 1, 50);
  EXPECT_EQ(quota.used_bytes(), 0u);
}

}  // namespace
}  // namespace preflight::daemon
