#include "daemon/spool.h"

#include <set>

#include <gtest/gtest.h>

#include "tests/daemon/temporary_folder.h"

namespace preflight::daemon {
namespace {

namespace fs = std::filesystem;

TEST(ReviewId, IsAnIdAndDiffers) {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) ids.insert(*make_review_id(1'795'272'000'000));
  EXPECT_EQ(ids.size(), 1000u);
  for (const std::string& id : ids) EXPECT_TRUE(is_review_id(id)) << id;
  EXPECT_LT(*make_review_id(1'795'272'000'000), *make_review_id(1'795'272'000'001));
  EXPECT_FALSE(is_review_id("../../../../../../etc/pass"));
  EXPECT_FALSE(is_review_id(""));
}

TEST(Spool, SweepsAwayWhatNobodyKnows) {
  const TemporaryFolder folder;
  const Spool spool = *Spool::open(folder.path() / "spool");
  const fs::path upload = *spool.begin_upload();
  const std::string id = *make_review_id(1);
  write_file(folder.path() / "spool" / id / "bundle" / "a", "x");
  write_file(folder.path() / "spool" / "stray", "x");
  spool.sweep({id});
  EXPECT_FALSE(fs::exists(upload));
  EXPECT_FALSE(fs::exists(folder.path() / "spool" / "stray"));
  EXPECT_TRUE(spool.has(id));
}

TEST(Spool, SalvagesJobsButNoNonsense) {
  const TemporaryFolder folder;
  const Spool spool = *Spool::open(folder.path());
  NewReview review{.id = *make_review_id(5),
                   .uid = 1000,
                   .key = "k",
                   .digest = "sha256:0",
                   .bundle_id = "b",
                   .facts_only = true,
                   .bytes = 7,
                   .created_ms = 5};
  ASSERT_TRUE(spool.commit(*spool.begin_upload(), review));
  for (const std::string& text : {std::string("{"), std::string("{}"), std::string("[]"),
                                  std::string(R"({"id":"another","digest":"d","uid":1})")})
    write_file(folder.path() / *make_review_id(6) / "job.json", text);
  const std::vector<NewReview> found = spool.salvage();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].id, review.id);
  EXPECT_EQ(found[0].uid, review.uid);
  EXPECT_EQ(found[0].key, review.key);
  EXPECT_EQ(found[0].bytes, review.bytes);
  EXPECT_TRUE(found[0].facts_only);
}

}  // namespace
}  // namespace preflight::daemon
