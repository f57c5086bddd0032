#include "daemon/store.h"

#include <fstream>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/daemon/temporary_folder.h"

namespace preflight::daemon {
namespace {

namespace fs = std::filesystem;
using protocol::ReviewState;

class StoreTest : public testing::Test {
 protected:
  std::unique_ptr<Store> open() {
    Result<std::unique_ptr<Store>> store = Store::open(path_);
    EXPECT_TRUE(store) << store.error().message;
    return store ? *std::move(store) : nullptr;
  }
  static NewReview review(const std::string& id, uid_t uid = 1, const std::string& key = "") {
    return {.id = id,
            .uid = uid,
            .key = key,
            .digest = "sha256:a",
            .bundle_id = "b",
            .facts_only = false,
            .bytes = 10,
            .created_ms = 100};
  }

  TemporaryFolder folder_;
  fs::path path_ = folder_.path() / "preflight.db";
};

TEST_F(StoreTest, AKeyStandsForOneReviewOfOneUser) {
  const auto store = open();
  EXPECT_EQ(store->insert(review("r1", 1, "k"))->taken, Store::Taken::kNew);
  NewReview again = review("r2", 1, "k");
  EXPECT_EQ(store->insert(again)->taken, Store::Taken::kSame);
  EXPECT_EQ(store->insert(again)->id, "r1");
  again.digest = "sha256:b";
  EXPECT_EQ(store->insert(again)->taken, Store::Taken::kConflict);
  EXPECT_EQ(store->insert(review("r3", 2, "k"))->taken, Store::Taken::kNew);
  EXPECT_EQ(store->insert(review("r4"))->taken, Store::Taken::kNew);
  EXPECT_EQ(store->insert(review("r5"))->taken, Store::Taken::kNew);
  EXPECT_TRUE(*store->knows_key(1, "k"));
  EXPECT_FALSE(*store->knows_key(3, "k"));
  EXPECT_EQ(store->list(1)->size(), 3u);
}

TEST_F(StoreTest, WorksThroughTheQueueInOrder) {
  const auto store = open();
  for (const char* id : {"r1", "r2", "r3"}) ASSERT_TRUE(store->insert(review(id)));
  EXPECT_EQ((*store->find(1, "r3"))->ahead, 2u);
  EXPECT_EQ((*store->start_next(200))->id, "r1");
  EXPECT_EQ((*store->start_next(200))->id, "r2");
  ASSERT_TRUE(store->finish("r1", ReviewState::kDone, "", R"({"x":1.5})", 300));
  const auto done = *store->find(1, "r1");
  EXPECT_EQ(done->state, ReviewState::kDone);
  EXPECT_EQ(done->report.dump(), R"({"x":1.5})");
  EXPECT_EQ(done->finished_ms, 300);
  EXPECT_EQ((*store->find(1, "r3"))->ahead, 1u);
  EXPECT_FALSE(store->find(2, "r1")->has_value());
  EXPECT_EQ(store->counts()->queued, 1u);
  EXPECT_EQ(store->counts()->running, 1u);
}

TEST_F(StoreTest, TheThirdDeathEndsAReview) {
  ASSERT_TRUE(open()->insert(review("r1")));
  for (std::uint32_t attempt = 1; attempt <= kMaxAttempts; ++attempt) {
    const auto store = open();  // as after a crash: nothing was finished
    EXPECT_TRUE(store->recover(1)->empty());
    const auto job = *store->start_next(1);
    ASSERT_TRUE(job);
    EXPECT_EQ(job->attempt, attempt);
  }
  const auto store = open();
  EXPECT_EQ(store->recover(1)->size(), 1u);
  const auto status = *store->find(1, "r1");
  EXPECT_EQ(status->state, ReviewState::kFailed);
  EXPECT_NE(status->reason.find("3 times"), std::string::npos);
  EXPECT_FALSE(store->start_next(1)->has_value());
  EXPECT_EQ(store->events_after("r1", 0, 99)->back().name, "failed");
}

TEST_F(StoreTest, AnOrderlyStopCostsNoAttempt) {
  const auto store = open();
  ASSERT_TRUE(store->insert(review("r1")));
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ((*store->start_next(1))->attempt, 1u);
    ASSERT_TRUE(store->requeue("r1", /*count=*/false));
  }
  ASSERT_EQ((*store->start_next(1))->attempt, 1u);
  ASSERT_TRUE(store->requeue("r1", /*count=*/true));
  EXPECT_EQ((*store->start_next(1))->attempt, 2u);
}

TEST_F(StoreTest, CancelsAndErases) {
  const auto store = open();
  ASSERT_TRUE(store->insert(review("r1")));
  ASSERT_TRUE(store->insert(review("r2")));
  EXPECT_EQ(*store->cancel(2, "r1", 1), Store::Cancelled::kNone);
  ASSERT_TRUE(store->start_next(1));
  EXPECT_EQ(*store->cancel(1, "r1", 1), Store::Cancelled::kSoon);
  EXPECT_EQ(*store->cancel(1, "r2", 1), Store::Cancelled::kNow);
  EXPECT_TRUE((*store->find(1, "r1"))->cancelling);
  EXPECT_FALSE(*store->erase(1, "r1"));  // still running
  EXPECT_FALSE(*store->is_over("r1"));
  EXPECT_EQ(store->recover(2)->size(), 1u);  // died before it could stop
  EXPECT_EQ((*store->find(1, "r1"))->state, ReviewState::kCancelled);
  EXPECT_FALSE(*store->erase(2, "r1"));
  EXPECT_TRUE(*store->erase(1, "r1"));
  EXPECT_TRUE(*store->is_over("r1"));
  EXPECT_TRUE(store->events_after("r1", 0, 99)->empty());
}

TEST_F(StoreTest, EventsAreNumberedAndProgressReplacesItself) {
  const auto store = open();
  ASSERT_TRUE(store->insert(review("r1")));
  for (const char* name : {"decoding", "prefill", "prefill", "row", "prefill", "row"})
    ASSERT_TRUE(store->append_event("r1", name, "{}"));
  std::string names;
  std::uint64_t last = 0;
  const auto events = store->events_after("r1", 0, 99);
  ASSERT_TRUE(events);
  for (const protocol::Event& event : *events) {
    names += event.name + " ";
    EXPECT_GT(event.seq, last);
    last = event.seq;
  }
  EXPECT_EQ(names, "decoding row prefill row ");
  EXPECT_EQ(store->events_after("r1", last - 1, 99)->size(), 1u);
  EXPECT_EQ(store->events_after("r1", 0, 2)->size(), 2u);
}

TEST_F(StoreTest, PrunesWhatEndedLongAgo) {
  const auto store = open();
  for (const char* id : {"r1", "r2", "r3"}) ASSERT_TRUE(store->insert(review(id)));
  ASSERT_TRUE(store->start_next(1));
  ASSERT_TRUE(store->finish("r1", ReviewState::kDone, "", "{}", 50));
  ASSERT_TRUE(store->finish("r2", ReviewState::kFailed, "x", "", 150));
  EXPECT_EQ(*store->prune(100), 1);
  EXPECT_EQ(store->list(1)->size(), 2u);
}

TEST_F(StoreTest, ABrokenFileIsMovedAside) {
  {
    const auto store = open();
    for (int i = 0; i < 200; ++i)
      ASSERT_TRUE(store->insert(review(fmt::format("r{}", i), 1, fmt::format("{:0>200}", i))));
  }
  const std::string sound = read_file(path_);
  ASSERT_GT(sound.size(), 40'000u);
  const auto broken = {
      std::string(8192, 'x'),             // no database at all
      sound.substr(0, sound.size() / 2),  // cut off
      sound.substr(0, 20'000) + std::string(9'000, '\x5a') + sound.substr(29'000),  // overwritten
  };
  for (const std::string& content : broken) {
    for (const char* part : {"", "-wal", "-shm"}) fs::remove(path_.string() + part);
    write_file(path_, content);
    const auto store = open();
    ASSERT_TRUE(store);
    EXPECT_NE(store->moved_aside().find(".corrupt-"), std::string::npos);
    EXPECT_TRUE(store->list(1)->empty());
    EXPECT_TRUE(store->insert(review("new")));
    for (const auto& entry : fs::directory_iterator(folder_.path()))
      if (entry.path().string().find(".corrupt-") != std::string::npos) fs::remove(entry.path());
  }
}

TEST_F(StoreTest, AForeignDatabaseIsMovedAsideAndANewerOneRefused) {
  {
    Database foreign = *Database::open(path_);
    ASSERT_TRUE(foreign.run("CREATE TABLE notes (text)"));
  }
  EXPECT_FALSE(open()->moved_aside().empty());
  {
    Database newer = *Database::open(path_);
    ASSERT_TRUE(newer.run("PRAGMA user_version = 99"));
  }
  const auto refused = Store::open(path_);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("version 99"), std::string::npos);
}

TEST_F(StoreTest, AnEmptyFileIsAFreshDatabase) {
  write_file(path_, "");
  const auto store = open();
  EXPECT_TRUE(store->moved_aside().empty());
  EXPECT_TRUE(store->insert(review("r1")));
}

}  // namespace
}  // namespace preflight::daemon
