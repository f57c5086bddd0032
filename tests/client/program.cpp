#include "tests/client/program.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace preflight::client {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kTick{20};

std::string content(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace

Program::Program(const fs::path& folder, const std::string& name,
                 const std::vector<std::string>& arguments)
    : out_(folder / (name + ".out")), err_(folder / (name + ".err")) {
  posix_spawn_file_actions_t actions;
  EXPECT_EQ(posix_spawn_file_actions_init(&actions), 0);
  const int flags = O_WRONLY | O_CREAT | O_TRUNC;
  EXPECT_EQ(posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0), 0);
  EXPECT_EQ(posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out_.c_str(), flags, 0600),
            0);
  EXPECT_EQ(posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err_.c_str(), flags, 0600),
            0);
  std::vector<std::string> copies = arguments;
  std::vector<char*> argv;
  for (std::string& argument : copies) argv.push_back(argument.data());
  argv.push_back(nullptr);
  EXPECT_EQ(posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ), 0) << argv[0];
  EXPECT_EQ(posix_spawn_file_actions_destroy(&actions), 0);
}

Program::~Program() {
  if (!running()) return;
  signal(SIGKILL);
  static_cast<void>(wait());
}

bool Program::running() {
  if (pid_ <= 0) return false;
  int status = 0;
  pid_t ended = 0;
  do {
    ended = ::waitpid(pid_, &status, WNOHANG);
  } while (ended < 0 && errno == EINTR);
  if (ended == 0) return true;
  status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  pid_ = -1;
  return false;
}

int Program::wait(std::chrono::seconds limit) {
  const auto until = Clock::now() + limit;
  while (running()) {
    if (Clock::now() > until) {
      signal(SIGKILL);
      while (running()) std::this_thread::sleep_for(kTick);
      return -1;
    }
    std::this_thread::sleep_for(kTick);
  }
  return status_;
}

void Program::signal(int number) {
  if (pid_ <= 0) return;
  EXPECT_EQ(::kill(pid_, number), 0);
}

bool Program::says(const std::string& text, std::chrono::seconds limit) {
  const auto until = Clock::now() + limit;
  for (;;) {
    const bool alive = running();
    if (err().find(text) != std::string::npos) return true;
    if (!alive || Clock::now() > until) return false;
    std::this_thread::sleep_for(kTick);
  }
}

std::string Program::out() const { return content(out_); }
std::string Program::err() const { return content(err_); }

Folder::Folder() {
  std::string name = (fs::temp_directory_path() / "preflight-test-XXXXXX").string();
  EXPECT_NE(::mkdtemp(name.data()), nullptr);
  path_ = name;
}

Folder::~Folder() {
  std::error_code error;
  fs::remove_all(path_, error);
  EXPECT_FALSE(error) << error.message();
}

}  // namespace preflight::client
