// A drafter beside the daemon's model: loaded, or refused by one sentence.

#include <chrono>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "daemon/protocol/health.h"
#include "tests/daemon/daemon_process.h"

namespace preflight::daemon {
namespace {

/// The health once the model is loaded or cannot be.
protocol::Health settled_health(const std::string& model) {
  const std::string golden = PREFLIGHT_TEST_DATA "/golden/";
  DaemonProcess daemon(
      fmt::format("[model]\npath = \"{0}{1}\"\ndrafter = \"{0}models/tiny-drafter\"\n"
                  "context_tokens = 1024\n",
                  golden, model));
  daemon.start();
  for (;;) {
    const auto health = protocol::parse_health(daemon.request("GET", "/v1/health").body);
    EXPECT_TRUE(health.has_value());
    if (!health || health->status != "starting") return health.value_or(protocol::Health{});
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

TEST(DaemonDrafter, IsLoadedBesideItsModel) {
  const protocol::Health health = settled_health("models/tiny");
  EXPECT_TRUE(health.model.loaded) << health.reason;
  EXPECT_TRUE(health.model.drafter);
}

TEST(DaemonDrafter, OfAnotherModelIsRefused) {
  const protocol::Health health = settled_health("models/wide");
  EXPECT_EQ(health.status, "degraded");
  EXPECT_FALSE(health.model.loaded);
  EXPECT_FALSE(health.model.drafter);
  EXPECT_NE(health.reason.find("tiny-drafter: the drafter does not fit the model: the width of the "
                               "target is 256, expected 64"),
            std::string::npos)
      << health.reason;
}

}  // namespace
}  // namespace preflight::daemon
