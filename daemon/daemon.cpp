#include "daemon/daemon.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

#include "daemon/event_hub.h"
#include "daemon/listen_socket.h"
#include "daemon/log.h"
#include "daemon/review_worker.h"
#include "daemon/routes.h"
#include "daemon/version.h"

namespace preflight::daemon {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

namespace {

// Together below TimeoutStopSec of the unit.
constexpr milliseconds kAnswerGrace{5'000};

/// Keeps a second daemon away from the same state folder, for as long as this process lives.
class StateLock {
 public:
  static Result<StateLock> take(const fs::path& state_dir) {
    std::error_code error;
    fs::create_directories(state_dir, error);
    if (error)
      return fail(ErrorCode::kIo, fmt::format("state folder {} cannot be made: {}",
                                              state_dir.string(), error.message()));
    const fs::path path = state_dir / "lock";
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
      return fail(ErrorCode::kIo, fmt::format("state folder {} cannot be written: {}",
                                              state_dir.string(), std::strerror(errno)));
    StateLock lock(fd);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0)
      return fail(ErrorCode::kIo, fmt::format("state folder {} is in use by another preflightd",
                                              state_dir.string()));
    return lock;
  }
  StateLock(StateLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  StateLock& operator=(StateLock&&) = delete;
  ~StateLock() {
    if (fd_ >= 0) ::close(fd_);
  }

 private:
  explicit StateLock(int fd) : fd_(fd) {}
  int fd_;
};

/// Brings queue and spool into agreement after whatever ended the last run.
Result<void> recover(Store& store, Spool& spool) {
  PREFLIGHT_TRY(const std::vector<std::string> ended, store.recover(wall_ms()));
  for (const std::string& id : ended)
    log(LogLevel::kWarning, "review {} ended without a report: see its reason", id);
  if (!store.moved_aside().empty()) {
    log(LogLevel::kError, "{}", store.moved_aside());
    const std::vector<NewReview> salvaged = spool.salvage();
    for (const NewReview& review : salvaged) PREFLIGHT_TRY_VOID(store.insert(review));
    log(LogLevel::kNotice, "{} waiting reviews were found again in the spool", salvaged.size());
  }
  PREFLIGHT_TRY(const std::vector<std::string> unfinished, store.unfinished_ids());
  spool.sweep(unfinished);
  if (!unfinished.empty()) log(LogLevel::kNotice, "{} reviews wait from before", unfinished.size());
  return {};
}

/// A bundle that was taken in must not be too large for its review.
ReviewerSettings reviewer_settings(const Settings& settings) {
  ReviewerSettings out = settings.reviewer;
  out.max_bundle_bytes = settings.bundle.max_bytes;
  out.max_files = settings.bundle.max_files;
  out.max_json_bytes = settings.bundle.max_json_bytes;
  return out;
}

/// One line for `systemctl status`.
std::string status_line(const EngineHealth& engine) {
  if (engine.loaded) return fmt::format("ready: {} on {}", engine.model_name, engine.device);
  return fmt::format("{}: {}", engine.loading ? "starting" : "measured rows only", engine.reason);
}

/// Tells the service manager how things are; runs on the HTTP loop, so a stuck loop goes unfed.
class Notifier {
 public:
  Notifier(const Reviewer& reviewer, const ReviewWorker& worker, const Settings& settings)
      : reviewer_(reviewer),
        worker_(worker),
        stall_limit_(std::chrono::seconds(settings.stall_seconds)),
        load_limit_(std::chrono::seconds(settings.load_seconds)) {}

  void attach(HttpServer& server) {
    std::uint64_t watchdog_us = 0;
    milliseconds interval(1'000);
    if (sd_watchdog_enabled(0, &watchdog_us) > 0) {
      feeds_watchdog_ = true;
      interval = std::min(interval, milliseconds(watchdog_us / 3000 + 1));
    }
    server.every(interval, [this] { tick(); });
  }

 private:
  void tick() {
    std::string status = status_line(reviewer_.health());
    if (status != last_status_) {
      sd_notifyf(0, "STATUS=%s", status.c_str());
      log(LogLevel::kInfo, "{}", status);
      last_status_ = std::move(status);
    }
    if (!feeds_watchdog_) return;
    if (worker_.alive(stall_limit_, load_limit_)) {
      sd_notify(0, "WATCHDOG=1");
    } else if (!complained_) {
      complained_ = true;
      log(LogLevel::kError, "the review thread is stuck: the watchdog is not fed any longer");
    }
  }

  const Reviewer& reviewer_;
  const ReviewWorker& worker_;
  const milliseconds stall_limit_, load_limit_;
  bool feeds_watchdog_ = false, complained_ = false;
  std::string last_status_;
};

sigset_t end_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

void prepare_process() {
  ::umask(0077);
  // What a bundle holds must not end in a core file.
  const rlimit none{0, 0};
  static_cast<void>(setrlimit(RLIMIT_CORE, &none));
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &ignore, nullptr);
  sigaction(SIGXFSZ, &ignore, nullptr);  // a file size limit is an error like a full disk
  const sigset_t set = end_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

}  // namespace

Result<void> run_daemon(const Settings& settings) {
  prepare_process();
  PREFLIGHT_TRY(const StateLock lock, StateLock::take(settings.state_dir));
  PREFLIGHT_TRY(const ListenSocket socket,
                open_listen_socket(settings.socket, settings.socket_group));
  PREFLIGHT_TRY(const std::unique_ptr<Store> store,
                Store::open(settings.state_dir / "preflight.db"));
  PREFLIGHT_TRY(Spool spool, Spool::open(settings.state_dir / "spool"));
  PREFLIGHT_TRY_VOID(recover(*store, spool));
  PREFLIGHT_TRY(const std::vector<Usage> usage, store->usage());
  Quota quota(settings.quota, usage);
  EventHub hub;
  PREFLIGHT_TRY(const std::unique_ptr<Reviewer> reviewer,
                make_reviewer(reviewer_settings(settings)));
  ReviewWorker worker({*store, spool, quota, hub, *reviewer},
                      std::chrono::days(settings.keep_days));
  Routes routes(Service{*store, spool, quota, hub, *reviewer, worker, settings.bundle,
                        settings.min_free_bytes, std::chrono::seconds(settings.stall_seconds),
                        std::chrono::seconds(settings.load_seconds)});
  PREFLIGHT_TRY(const std::unique_ptr<HttpServer> server,
                HttpServer::create(socket.fd, routes, settings.http));
  Notifier notifier(*reviewer, worker, settings);
  notifier.attach(*server);

  worker.start();
  std::thread loop([&] { server->run(); });
  sd_notify(0, "READY=1");
  log(LogLevel::kNotice, "preflightd {} answers on {}", kVersion,
      socket.passed ? "the socket it was given" : settings.socket.string());

  const sigset_t set = end_signals();
  int signal = 0;
  while (sigwait(&set, &signal) != 0) {
  }
  log(LogLevel::kNotice, "stopping on signal {}", signal);
  sd_notify(0, "STOPPING=1");
  server->stop(kAnswerGrace);
  worker.stop();
  loop.join();
  if (!socket.passed) ::unlink(settings.socket.c_str());
  log(LogLevel::kNotice, "stopped");
  return {};
}

bool check_installation(const Settings& settings) {
  bool all_good = true;
  const auto say = [&](bool good, std::string_view what, std::string_view sentence) {
    all_good = all_good && good;
    fmt::print("{:8} {:5} {}\n", what, good ? "good" : "WRONG", sentence);
  };
  const auto file = [&](std::string_view what, const fs::path& path, int access_mode,
                        std::string_view wanted) {
    const bool good = ::access(path.c_str(), access_mode) == 0;
    say(good, what,
        good ? path.string()
             : fmt::format("{}: {}; {}", path.string(), std::strerror(errno), wanted));
  };

  std::error_code error;
  if (fs::is_directory(settings.state_dir, error)) {
    file("state", settings.state_dir, R_OK | W_OK | X_OK, "the daemon must be able to write here");
  } else {
    const fs::path parent = settings.state_dir.parent_path();
    const bool good = ::access(parent.c_str(), W_OK | X_OK) == 0;
    say(good, "state",
        fmt::format("{} does not exist{}", settings.state_dir.string(),
                    good ? " and will be made" : ", and its parent cannot be written"));
  }
  const Result<std::string> rules = check_rules(settings.reviewer.rules_dir);
  say(rules.has_value(), "rules", rules ? *rules : rules.error().message);
  file("decoder", settings.reviewer.decoder, X_OK, "the program that opens media files");
  if (settings.reviewer.model.empty())
    say(true, "model", "none is set (model.path): reviews give the measured rows only");
  else
    file("model", settings.reviewer.model, R_OK, "a GGUF file or Hugging Face folder is expected");
  if (!settings.reviewer.mmproj.empty())
    file("mmproj", settings.reviewer.mmproj, R_OK, "a GGUF file is expected");
  if (!settings.reviewer.drafter.empty())
    file("drafter", settings.reviewer.drafter, R_OK,
         "a GGUF file or a Hugging Face folder is expected");
  return all_good;
}

}  // namespace preflight::daemon
