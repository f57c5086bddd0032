// The real preflightd in a folder of its own, and a small raw HTTP client for its socket.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include <nlohmann/json.hpp>

#include "daemon/protocol/event.h"
#include "daemon/protocol/review_status.h"
#include "tests/daemon/temporary_folder.h"

namespace preflight::daemon {

/// A connected Unix socket.
class Connection {
 public:
  explicit Connection(const std::filesystem::path& socket);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  [[nodiscard]] bool open() const { return fd_ >= 0; }
  /// False: the other side is gone.
  bool send(std::string_view bytes) const;
  /// Up to one piece; empty at the end.
  std::string receive() const;
  std::string receive_all() const;

 private:
  int fd_ = -1;
};

struct Reply {
  int status = 0;                              ///< 0: no valid answer came
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;
  [[nodiscard]] nlohmann::json json() const;
  /// "code" of an error body.
  [[nodiscard]] std::string code() const;
};

Reply parse_reply(const std::string& bytes);

struct File {
  std::string path, content;
};

class DaemonProcess {
 public:
  /// `settings` is TOML put behind the test's own defaults.
  explicit DaemonProcess(std::string settings = {});
  ~DaemonProcess();
  DaemonProcess(const DaemonProcess&) = delete;
  DaemonProcess& operator=(const DaemonProcess&) = delete;

  /// Starts it and waits until it answers. `in_child` runs between fork and exec.
  void start(const std::function<void()>& in_child = {});
  /// Sends a signal and waits for the end; the wait status.
  int end(int signal);
  [[nodiscard]] pid_t pid() const { return pid_; }

  Reply request(const std::string& method, const std::string& path,
                const std::vector<std::string>& headers = {}, const std::string& body = {}) const;
  /// The same as another user (needs root).
  Reply request_as(uid_t uid, const std::string& method, const std::string& path) const;
  Reply post(const std::string& bundle_json, const std::vector<File>& files = {},
             const std::vector<std::string>& headers = {}, const std::string& query = {}) const;
  /// Posts, expects 202, the id.
  std::string review(const std::string& bundle_json, const std::vector<File>& files = {}) const;
  protocol::ReviewStatus status(const std::string& id) const;
  /// Follows a review until `wanted` comes; all events up to it. Ends early with the stream.
  std::vector<protocol::Event> follow(const std::string& id, std::string_view wanted,
                                      std::uint64_t after = 0) const;

  void replace_settings(std::string settings) { settings_ = std::move(settings); }
  [[nodiscard]] std::filesystem::path folder() const { return folder_.path(); }
  [[nodiscard]] std::filesystem::path socket() const { return folder_.path() / "s"; }
  [[nodiscard]] std::filesystem::path state() const { return folder_.path() / "state"; }
  [[nodiscard]] std::string log() const { return read_file(folder_.path() / "log"); }
  /// Arguments that it is started with.
  [[nodiscard]] std::vector<std::string> arguments() const;
  /// Writes the settings file.
  void write_settings() const;

  /// A decoder that never answers: what it is asked for hangs until it is cancelled or killed.
  std::string hanging_decoder() const;

 private:
  TemporaryFolder folder_;
  std::string settings_;
  pid_t pid_ = -1;
};

/// A multipart body with the boundary "limit".
std::string multipart(const std::string& bundle_json, const std::vector<File>& files);
inline const std::string kMultipartType = "Content-Type: multipart/form-data; boundary=limit";

/// A small valid bundle of texts only: reviewed without the decoder.
std::string text_bundle(const std::string& id);
/// One with a video at "cut.mp4".
std::string video_bundle(const std::string& id);

/// Runs the program with the given arguments to its end: exit status and what it printed.
struct Ran {
  int status = -1;
  std::string output;
};
Ran run_program(const std::vector<std::string>& arguments);

/// Events of that name.
std::size_t count(const std::vector<protocol::Event>& events, std::string_view name);

}  // namespace preflight::daemon
