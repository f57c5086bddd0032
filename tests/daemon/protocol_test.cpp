#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "daemon/protocol/api_error.h"
#include "daemon/protocol/event.h"
#include "daemon/protocol/health.h"
#include "daemon/protocol/review_status.h"

namespace preflight::protocol {
namespace {

TEST(Protocol, AnErrorComesBackAsItWent) {
  const ApiError sent{"queue_full", "64 reviews \"wait\"\n", "queue.max_reviews"};
  const Decoded<ApiError> got = parse_api_error(to_json(sent));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->code, sent.code);
  EXPECT_EQ(got->message, sent.message);
  EXPECT_EQ(got->field, sent.field);
}

TEST(Protocol, AStatusComesBackAsItWent) {
  ReviewStatus sent;
  sent.id = "0mb3x9k2v7q4c1d8f5g6h0j2k4";
  sent.bundle_id = "brewa-v07";
  sent.state = ReviewState::kFailed;
  sent.facts_only = true;
  sent.attempts = 3;
  sent.bundle_bytes = 1ull << 40;
  sent.created_ms = 1;
  sent.started_ms = 2;
  sent.finished_ms = 3;
  sent.reason = "died";
  const Decoded<ReviewStatus> got = parse_review_status(to_json(sent).dump());
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(to_json(*got), to_json(sent));
  const Decoded<std::vector<ReviewStatus>> list = parse_review_list(to_json({sent, sent}));
  ASSERT_TRUE(list);
  ASSERT_EQ(list->size(), 2u);
  EXPECT_EQ(to_json((*list)[1]), to_json(sent));
}

TEST(Protocol, AHealthComesBackAsItWent) {
  Health sent;
  sent.status = "degraded";
  sent.reason = "no model";
  sent.device.software = true;
  sent.queue.limit = 64;
  sent.last_fault = {5, "device lost"};
  const Decoded<Health> got = parse_health(to_json(sent));
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(to_json(*got), to_json(sent));
}

TEST(Protocol, AWrongBodyIsRefusedByField) {
  for (const char* body :
       {"", "[]", "{", "{}", R"({"id":1,"state":"done"})", R"({"id":"a","state":"dome"})",
        R"({"id":"a","state":"done","attempts":-1})",
        R"({"id":"a","state":"done","attempts":4294967296})",
        R"({"id":"a","state":"done","created_ms":9223372036854775808})"}) {
    const Decoded<ReviewStatus> got = parse_review_status(body);
    ASSERT_FALSE(got) << body;
    EXPECT_FALSE(got.error().message.empty());
  }
  EXPECT_EQ(parse_review_status(R"({"id":"a","state":"dome"})").error().message,
            "/state is \"dome\", expected one of queued, running, done, failed, cancelled");
  EXPECT_FALSE(parse_review_list(R"({"reviews":[1]})"));
  EXPECT_FALSE(parse_review_list(R"({"reviews":{}})"));
  EXPECT_FALSE(parse_health(R"({"status":"ok","model":7})"));
  EXPECT_FALSE(parse_api_error(R"({"error":"x"})"));
}

TEST(SseParser, ReadsWhatWasWrittenHoweverItIsCut) {
  const std::vector<Event> sent = {{1, "started", {{"event", "started"}, {"attempt", 1}}},
                                   {9, "rows", {{"event", "rows"}, {"text", "a\nb: \"ü\""}}}};
  const std::string wire = ": still here\n\n" + to_sse(sent[0]) + to_sse(sent[1]);
  for (std::size_t cut = 0; cut <= wire.size(); ++cut) {
    SseParser parser;
    std::vector<Event> got;
    for (const std::string& piece : {wire.substr(0, cut), wire.substr(cut)}) {
      Decoded<std::vector<Event>> events = parser.feed(piece);
      ASSERT_TRUE(events);
      got.insert(got.end(), events->begin(), events->end());
    }
    ASSERT_EQ(got.size(), 2u) << cut;
    for (std::size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(got[i].seq, sent[i].seq);
      EXPECT_EQ(got[i].name, sent[i].name);
      EXPECT_EQ(got[i].data, sent[i].data);
    }
  }
}

TEST(SseParser, TakesEveryLineEnd) {
  SseParser parser;
  const auto events =
      parser.feed("id: 3\r\nevent: row\r\ndata: {\r\ndata: }\r\n\r\nid:4\rdata:{}\r\r");
  ASSERT_TRUE(events);
  ASSERT_EQ(events->size(), 2u);
  EXPECT_EQ((*events)[0].name, "row");
  EXPECT_EQ((*events)[1].seq, 4u);
}

TEST(SseParser, RefusesWhatIsNoEventOfOurs) {
  EXPECT_FALSE(SseParser().feed("data: x\n\n"));
  EXPECT_FALSE(SseParser().feed("id: seven\n\n"));
  EXPECT_FALSE(SseParser().feed("data: " + std::string(SseParser::kMaxEventBytes, 'x')));
}

}  // namespace
}  // namespace preflight::protocol
