#include "daemon/upload.h"

#include <string>

#include <gtest/gtest.h>

#include "tests/daemon/temporary_folder.h"

namespace preflight::daemon {
namespace {

namespace fs = std::filesystem;

class UploadTest : public testing::Test {
 protected:
  struct Sent {
    std::unique_ptr<QuotaShare> share;
    std::unique_ptr<Upload> upload;
  };
  Sent begin(const BundleLimits& limits = {}) {
    Sent sent;
    sent.share = std::make_unique<QuotaShare>(quota_, 1);
    sent.upload = *Upload::begin(spool_, *sent.share, limits);
    return sent;
  }
  static Result<void> send(Upload& upload, const std::string& name, const std::string& filename,
                           const std::string& text) {
    PREFLIGHT_TRY_VOID(upload.begin_part({name, filename, !filename.empty()}));
    PREFLIGHT_TRY_VOID(upload.part_data(text));
    return upload.end_part();
  }
  static Result<void> send_bundle(Upload& upload, const std::string& text = R"({"id":"b1"})") {
    return send(upload, "bundle", "", text);
  }

  TemporaryFolder folder_;
  Spool spool_ = *Spool::open(folder_.path());
  Quota quota_{{.max_spool_bytes = 1000, .max_spool_bytes_per_user = 500}, {}};
};

TEST_F(UploadTest, LiesInTheSpoolAsItWasSent) {
  Sent sent = begin();
  ASSERT_TRUE(send(*sent.upload, "file", "v07/cut.mp4", "frames"));
  ASSERT_TRUE(send_bundle(*sent.upload));
  ASSERT_TRUE(sent.upload->seal());
  EXPECT_EQ(sent.upload->bundle_id(), "b1");
  EXPECT_EQ(sent.upload->bytes(), 17u);
  NewReview review;
  review.id = *make_review_id(1);
  review.digest = sent.upload->digest();
  ASSERT_TRUE(sent.upload->commit(review));
  sent.upload.reset();
  EXPECT_EQ(read_file(spool_.bundle_dir(review.id) / "v07/cut.mp4"), "frames");
  EXPECT_EQ(read_file(spool_.bundle_dir(review.id) / "bundle.json"), R"({"id":"b1"})");
  EXPECT_TRUE(fs::is_empty(spool_.work_dir(review.id)));
}

TEST_F(UploadTest, LeavesNothingBehindWhenItBreaksOff) {
  {
    Sent sent = begin();
    ASSERT_TRUE(sent.upload->begin_part({"file", "a/b", true}));
    ASSERT_TRUE(sent.upload->part_data("half"));
    EXPECT_EQ(quota_.used_bytes(), 4u);
  }
  EXPECT_TRUE(fs::is_empty(folder_.path()));
  EXPECT_EQ(quota_.used_bytes(), 0u);
}

TEST_F(UploadTest, TheDigestIsOfNamesAndContentNotOfOrder) {
  const auto digest = [&](std::vector<std::pair<std::string, std::string>> files) {
    Sent sent = begin();
    for (const auto& [name, text] : files) EXPECT_TRUE(send(*sent.upload, "file", name, text));
    return sent.upload->digest();
  };
  const std::string first = digest({{"a", "1"}, {"b", "2"}});
  EXPECT_EQ(first, digest({{"b", "2"}, {"a", "1"}}));
  EXPECT_NE(first, digest({{"a", "2"}, {"b", "1"}}));
  EXPECT_NE(first, digest({{"a", "1"}}));
}

TEST_F(UploadTest, RefusesWithStatusAndField) {
  const auto refused = [&](int status, const std::string& code, auto&& act,
                           const BundleLimits& limits = {}) {
    Sent sent = begin(limits);
    EXPECT_FALSE(act(*sent.upload)) << code;
    EXPECT_EQ(sent.upload->refusal().status, status);
    EXPECT_EQ(sent.upload->refusal().code, code);
    EXPECT_FALSE(sent.upload->refusal().message.empty());
  };
  refused(400, "bad_multipart", [](Upload& u) { return u.seal(); });
  refused(400, "bad_multipart", [](Upload& u) { return send(u, "other", "", "x"); });
  refused(400, "bad_multipart", [](Upload& u) { return send(u, "file", "", "x"); });
  refused(400, "bad_path", [](Upload& u) { return send(u, "file", "../x", "x"); });
  refused(400, "bad_path", [](Upload& u) { return send(u, "file", "/etc/x", "x"); });
  refused(400, "bad_multipart", [](Upload& u) {
    EXPECT_TRUE(send_bundle(u));
    return send_bundle(u);
  });
  refused(400, "bad_path", [](Upload& u) {
    EXPECT_TRUE(send_bundle(u));
    return send(u, "file", "bundle.json", "{}");
  });
  for (const char* text : {"", "{", "[]", "7", "\xff"})
    refused(400, "bad_bundle", [&](Upload& u) {
      EXPECT_TRUE(send_bundle(u, text));
      return u.seal();
    });
  refused(413, "too_large", [](Upload& u) { return send_bundle(u, std::string(20, ' ')); },
          {.max_json_bytes = 19});
  refused(413, "too_large", [](Upload& u) { return send(u, "file", "a", std::string(20, ' ')); },
          {.max_bytes = 19});
  refused(413, "too_large",
          [](Upload& u) {
            EXPECT_TRUE(send(u, "file", "a", ""));
            return send(u, "file", "b", "");
          },
          {.max_files = 1});
  refused(413, "too_large", [](Upload& u) { return send(u, "file", "a", std::string(501, ' ')); });
  const Sent other = begin();
  ASSERT_TRUE(send(*other.upload, "file", "a", std::string(300, ' ')));
  refused(429, "spool_full", [](Upload& u) { return send(u, "file", "a", std::string(300, ' ')); });
}

}  // namespace
}  // namespace preflight::daemon
