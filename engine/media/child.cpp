#include "engine/media/child.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {
#include <sys/pidfd.h>  // glibc 2.36 declares its functions without saying that they are C
}

#include <fmt/format.h>

#include "engine/media/decoder/protocol.h"

namespace preflight::media {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kFirstFreeFd = 16;  // above the numbers that the child gives a meaning to
constexpr std::chrono::milliseconds kCancelPoll{100};

class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

tl::unexpected<Error> system_failure(std::string_view what) {
  return fail(ErrorCode::kIo,
              fmt::format("could not be decoded: {}: {}", what, std::strerror(errno)));
}

/// A copy with a number that no dup2 of the child's set-up can hit.
Result<Fd> lifted(int fd) {
  Fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, kFirstFreeFd));
  if (copy.get() < 0) return system_failure("cannot copy a descriptor");
  return copy;
}

/// The environment of the child: nothing of ours but what sanitizers are steered with.
std::vector<std::string> child_environment() {
  std::vector<std::string> environment = {"LC_ALL=C"};
  for (const char* name : {"ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name); value != nullptr) {
      environment.push_back(fmt::format("{}={}", name, value));
    }
  }
  return environment;
}

/// A started process; ended and reaped at the latest with this object.
class Process {
 public:
  static Result<Process> spawn(const std::filesystem::path& program, int input, int memory,
                               int control);
  Process(Process&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)) {}
  Process& operator=(Process&&) = delete;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() {
    if (pid_ > 0) {
      kill();
      (void)wait();
    }
  }

  int pidfd() const { return pidfd_.get(); }
  void kill() { ::kill(pid_, SIGKILL); }
  /// Blocks until the end; afterwards the process is gone for good.
  Result<siginfo_t> wait() {
    siginfo_t info = {};
    int waited = -1;
    do {
      waited = ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED);
    } while (waited != 0 && errno == EINTR);
    pid_ = -1;
    if (waited != 0) return system_failure("cannot wait for the decoder");
    return info;
  }

 private:
  explicit Process(pid_t pid) : pid_(pid) {}
  pid_t pid_;
  Fd pidfd_;
};

Result<Process> Process::spawn(const std::filesystem::path& program, int input, int memory,
                               int control) {
  posix_spawn_file_actions_t actions;
  if (::posix_spawn_file_actions_init(&actions) != 0) return system_failure("no memory to start");
  int status = ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  status |= ::posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  status |= ::posix_spawn_file_actions_adddup2(&actions, input, kInputFd);
  status |= ::posix_spawn_file_actions_adddup2(&actions, memory, kOutputFd);
  status |= ::posix_spawn_file_actions_adddup2(&actions, control, kControlFd);
  // Whatever the rest of the program has open without close-on-exec stays with us.
  status |= ::posix_spawn_file_actions_addclosefrom_np(&actions, kControlFd + 1);

  posix_spawnattr_t attributes;
  status |= ::posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  status |= ::posix_spawnattr_setsigmask(&attributes, &none);
  status |= ::posix_spawnattr_setsigdefault(&attributes, &all);
  status |= ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

  std::vector<std::string> environment = child_environment();
  std::vector<char*> environment_pointers;
  environment_pointers.reserve(environment.size() + 1);
  for (std::string& one : environment) environment_pointers.push_back(one.data());
  environment_pointers.push_back(nullptr);
  std::string name = "preflight-decode";
  std::array<char*, 2> arguments = {name.data(), nullptr};

  pid_t pid = -1;
  if (status == 0) {
    status = ::posix_spawn(&pid, program.c_str(), &actions, &attributes, arguments.data(),
                           environment_pointers.data());
  }
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (status != 0) {
    return fail(ErrorCode::kIo, fmt::format("could not be decoded: cannot start {}: {}",
                                            program.string(), std::strerror(status)));
  }
  Process process(pid);
  process.pidfd_ = Fd(::pidfd_open(pid, 0));
  if (process.pidfd_.get() < 0) return system_failure("cannot watch the decoder");
  return process;
}

/// Sends the job and says that it is whole.
Result<void> send_job(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    // A child that ended before it read all of its job: how it ended says more than this error.
    if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) return {};
    if (n <= 0) return system_failure("cannot talk to the decoder");
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  if (::shutdown(fd, SHUT_WR) != 0 && errno != ENOTCONN) {
    return system_failure("cannot talk to the decoder");
  }
  return {};
}

std::string seconds_text(std::chrono::milliseconds time) {
  return fmt::format("{:g} s", static_cast<double>(time.count()) / 1000.0);
}

/// Reads the reply until the child closes its side, then waits for its end.
Result<std::string> read_reply(const ChildJob& job, int control, Process& process) {
  const auto deadline = Clock::now() + job.wall;
  std::string reply;
  std::array<char, 65536> chunk = {};
  bool open = true;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) {
      return fail(ErrorCode::kLimit,
                  fmt::format("took longer than {} to decode", seconds_text(job.wall)));
    }
    if (job.cancelled && job.cancelled()) {
      return fail(ErrorCode::kCancelled, "was not decoded to the end: the work was cancelled");
    }
    const auto wait = job.cancelled ? std::min(left, kCancelPoll) : left;
    std::array<pollfd, 2> watched = {{{.fd = process.pidfd(), .events = POLLIN, .revents = 0},
                                      {.fd = open ? control : -1, .events = POLLIN, .revents = 0}}};
    const int ready = ::poll(watched.data(), watched.size(),
                             static_cast<int>(std::min<std::int64_t>(wait.count(), 60'000)));
    if (ready < 0 && errno != EINTR) return system_failure("cannot wait for the decoder");
    if (ready <= 0) continue;
    if (watched[1].revents != 0) {
      const ssize_t n = ::recv(control, chunk.data(), chunk.size(), 0);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        open = false;
      } else {
        reply.append(chunk.data(), static_cast<std::size_t>(n));
        if (reply.size() > kMaxReplyBytes) {
          return fail(ErrorCode::kInternal,
                      "could not be decoded: the decoder's answer has no end");
        }
      }
      continue;
    }
    if (watched[0].revents != 0) return reply;
  }
}

Result<void> check_end(const siginfo_t& info, const ChildJob& job) {
  if (info.si_code == CLD_EXITED && info.si_status == 0) return {};
  if (info.si_code == CLD_EXITED) {
    return fail(
        ErrorCode::kInternal,
        fmt::format("could not be decoded: the decoder ended with status {}", info.si_status));
  }
  if (info.si_status == SIGXCPU) {
    return fail(ErrorCode::kLimit,
                fmt::format("needs more than {} s of processor time to decode", job.cpu_s));
  }
  return fail(ErrorCode::kInternal,
              fmt::format("could not be decoded: it made the decoder crash ({})",
                          ::strsignal(info.si_status)));
}

}  // namespace

ChildResult::ChildResult(ChildResult&& other) noexcept
    : reply_(std::move(other.reply_)),
      memory_fd_(std::exchange(other.memory_fd_, -1)),
      memory_(std::exchange(other.memory_, nullptr)),
      size_bytes_(std::exchange(other.size_bytes_, 0)) {}

ChildResult::~ChildResult() {
  if (memory_ != nullptr) ::munmap(const_cast<std::byte*>(memory_), size_bytes_);
  if (memory_fd_ >= 0) ::close(memory_fd_);
}

Result<ChildResult> run_child(const ChildJob& job) {
  PREFLIGHT_TRY(const Fd input, lifted(job.input_fd));
  const Fd low_memory(::memfd_create("preflight-decode", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (low_memory.get() < 0) return system_failure("no shared memory");
  PREFLIGHT_TRY(Fd memory, lifted(low_memory.get()));
  std::array<int, 2> pair = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0) {
    return system_failure("no socket");
  }
  const Fd ours(pair[0]);
  Fd low_theirs(pair[1]);
  PREFLIGHT_TRY(Fd theirs, lifted(low_theirs.get()));
  low_theirs = Fd();

  std::string reply;
  {
    PREFLIGHT_TRY(Process process,
                  Process::spawn(job.program, input.get(), memory.get(), theirs.get()));
    theirs = Fd();  // so that the end of the child is the end of the stream
    PREFLIGHT_TRY_VOID(send_job(ours.get(), job.job));
    PREFLIGHT_TRY(reply, read_reply(job, ours.get(), process));
    PREFLIGHT_TRY(const siginfo_t info, process.wait());
    PREFLIGHT_TRY_VOID(check_end(info, job));
  }

  // Sealing fails while anybody could still write, and afterwards nobody can.
  if (::fcntl(memory.get(), F_ADD_SEALS,
              F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return system_failure("the shared memory cannot be sealed");
  }
  struct stat info = {};
  if (::fstat(memory.get(), &info) != 0) return system_failure("the shared memory has no size");
  const auto size_bytes = static_cast<std::size_t>(info.st_size);
  void* mapped = nullptr;
  if (size_bytes > 0) {
    mapped = ::mmap(nullptr, size_bytes, PROT_READ, MAP_SHARED, memory.get(), 0);
    if (mapped == MAP_FAILED) return system_failure("the shared memory cannot be mapped");
  }
  return ChildResult(std::move(reply), memory.release(), static_cast<const std::byte*>(mapped),
                     size_bytes);
}

}  // namespace preflight::media
