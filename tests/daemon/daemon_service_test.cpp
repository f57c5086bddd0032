// The daemon as a service: sockets, notifications, settings.

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "tests/daemon/daemon_process.h"

namespace preflight::daemon {
namespace {

namespace fs = std::filesystem;

sockaddr_un address_of(const fs::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.native().copy(address.sun_path, sizeof(address.sun_path) - 1);
  return address;
}

int bound_socket(const fs::path& path, int type) {
  const sockaddr_un address = address_of(path);
  const int fd = ::socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  EXPECT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  return fd;
}

TEST(DaemonService, MakesItsSocketForOwnerAndGroupOnly) {
  DaemonProcess daemon;
  daemon.start();
  struct stat info {};
  ASSERT_EQ(stat(daemon.socket().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0660u);
  struct stat state {};
  ASSERT_EQ(stat((daemon.state() / "preflight.db").c_str(), &state), 0);
  EXPECT_EQ(state.st_mode & 0077, 0u);
}

TEST(DaemonService, ReplacesADeadSocketButNoLivingOne) {
  DaemonProcess daemon;
  close(bound_socket(daemon.socket(), SOCK_STREAM));
  daemon.start();

  DaemonProcess other;
  other.write_settings();
  std::vector<std::string> same_socket = other.arguments();
  same_socket.back() = daemon.socket().string();
  const Ran refused = run_program(same_socket);
  EXPECT_EQ(refused.status, 1);
  EXPECT_NE(refused.output.find("another process answers"), std::string::npos) << refused.output;

  std::vector<std::string> same_state = daemon.arguments();
  same_state.back() = other.socket().string();
  const Ran locked = run_program(same_state);
  EXPECT_EQ(locked.status, 1);
  EXPECT_NE(locked.output.find("in use by another"), std::string::npos) << locked.output;
  EXPECT_EQ(daemon.request("GET", "/v1/models").status, 200);
}

TEST(DaemonService, RefusesSocketPathsThatCannotBe) {
  DaemonProcess daemon;
  daemon.write_settings();
  std::vector<std::string> arguments = daemon.arguments();
  write_file(daemon.folder() / "file", "not a socket");
  arguments.back() = (daemon.folder() / "file").string();
  EXPECT_EQ(run_program(arguments).status, 1);
  EXPECT_EQ(read_file(daemon.folder() / "file"), "not a socket");
  arguments.back() = (daemon.folder() / std::string(120, 's')).string();
  const Ran too_long = run_program(arguments);
  EXPECT_EQ(too_long.status, 1);
  EXPECT_NE(too_long.output.find("at most 107"), std::string::npos) << too_long.output;
}

TEST(DaemonService, ServesASocketThatItIsGiven) {
  DaemonProcess daemon;
  const int fd = bound_socket(daemon.socket(), SOCK_STREAM);
  ASSERT_EQ(listen(fd, 16), 0);
  daemon.start([fd] {
    dup2(fd, 3);
    fcntl(3, F_SETFD, 0);  // it may have been 3 before, and close on exec
    setenv("LISTEN_FDS", "1", 1);
    setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
  });
  EXPECT_EQ(daemon.request("GET", "/v1/models").status, 200);
  daemon.end(SIGTERM);
  EXPECT_TRUE(fs::exists(daemon.socket()));  // not its own to remove
  close(fd);
}

TEST(DaemonService, TellsTheServiceManager) {
  DaemonProcess daemon;
  const fs::path notify = daemon.folder() / "notify";
  const int fd = bound_socket(notify, SOCK_DGRAM);
  daemon.start([&] {
    setenv("NOTIFY_SOCKET", notify.c_str(), 1);
    setenv("WATCHDOG_USEC", "3000000", 1);
    setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
  });
  std::string told;
  const auto wait_for = [&](const std::string& wanted) {
    while (told.find(wanted) == std::string::npos) {
      char piece[4096];
      const ssize_t n = recv(fd, piece, sizeof(piece), 0);
      ASSERT_GT(n, 0);
      told.append(piece, static_cast<std::size_t>(n)).append("\n");
    }
  };
  wait_for("READY=1");
  wait_for("STATUS=");
  wait_for("WATCHDOG=1");
  daemon.end(SIGTERM);
  wait_for("STOPPING=1");
  close(fd);
}

TEST(DaemonService, ARefusedSettingIsNamedByFileAndLine) {
  DaemonProcess daemon("[queue]\nmax_reviws = 1\n");
  daemon.write_settings();
  const Ran ran = run_program(daemon.arguments());
  EXPECT_EQ(ran.status, 1);
  EXPECT_NE(ran.output.find("preflight.toml:4: queue.max_reviws is no setting; did you mean "
                            "queue.max_reviews?"),
            std::string::npos)
      << ran.output;
}

TEST(DaemonService, CheckSaysWhatIsWrong) {
  DaemonProcess daemon;
  daemon.write_settings();
  std::vector<std::string> arguments = daemon.arguments();
  arguments.push_back("--check");
  arguments.push_back("--model");
  arguments.push_back((daemon.folder() / "none.gguf").string());
  const Ran ran = run_program(arguments);
  EXPECT_EQ(ran.status, 1);
  EXPECT_NE(ran.output.find("none.gguf: No such file"), std::string::npos) << ran.output;
  EXPECT_FALSE(fs::exists(daemon.state()));  // looking changes nothing
  EXPECT_EQ(run_program({arguments[0], "--sockt", "x"}).status, 2);
  EXPECT_EQ(run_program({arguments[0], "--version"}).output, "preflightd 0.1.0\n");
}

}  // namespace
}  // namespace preflight::daemon
