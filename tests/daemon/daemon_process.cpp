#include "tests/daemon/daemon_process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace preflight::daemon {

namespace fs = std::filesystem;

namespace {

const std::string kProgram = std::string(PREFLIGHT_BIN) + "/preflightd";

[[noreturn]] void exec_program(const std::vector<std::string>& arguments) {
  std::vector<char*> raw;
  for (const std::string& argument : arguments) raw.push_back(const_cast<char*>(argument.c_str()));
  raw.push_back(nullptr);
  execv(raw[0], raw.data());
  _exit(127);
}

std::string decode_chunks(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t size = std::strtoul(std::string(text.substr(0, 16)).c_str(), nullptr, 16);
    const std::size_t line = text.find("\r\n");
    if (size == 0 || line == std::string_view::npos || text.size() < line + 2 + size) break;
    out += text.substr(line + 2, size);
    text.remove_prefix(std::min(text.size(), line + 2 + size + 2));
  }
  return out;
}

}  // namespace

Connection::Connection(const fs::path& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket.native().copy(address.sun_path, sizeof(address.sun_path) - 1);
  fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    ::close(fd_);
    fd_ = -1;
  }
}

Connection::~Connection() {
  if (fd_ >= 0) ::close(fd_);
}

bool Connection::send(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

std::string Connection::receive() const {
  std::array<char, 65536> piece{};
  const ssize_t n = ::recv(fd_, piece.data(), piece.size(), 0);
  return n > 0 ? std::string(piece.data(), static_cast<std::size_t>(n)) : std::string();
}

std::string Connection::receive_all() const {
  std::string out;
  for (std::string piece; !(piece = receive()).empty();) out += piece;
  return out;
}

nlohmann::json Reply::json() const { return nlohmann::json::parse(body, nullptr, false); }

std::string Reply::code() const {
  const nlohmann::json value = json();
  return value.is_object() && value.contains("error") ? value["error"].value("code", "") : "";
}

Reply parse_reply(const std::string& bytes) {
  Reply reply;
  std::string_view rest = bytes;
  if (rest.starts_with("HTTP/1.1 100")) rest.remove_prefix(rest.find("\r\n\r\n") + 4);
  const std::size_t head_end = rest.find("\r\n\r\n");
  if (!rest.starts_with("HTTP/1.1 ") || head_end == std::string_view::npos) return reply;
  reply.status = std::atoi(std::string(rest.substr(9, 3)).c_str());
  std::string_view head = rest.substr(0, head_end + 2);
  for (head.remove_prefix(head.find("\r\n") + 2); !head.empty();
       head.remove_prefix(head.find("\r\n") + 2)) {
    const std::string_view line = head.substr(0, head.find("\r\n"));
    const std::size_t colon = line.find(':');
    std::string name(line.substr(0, colon));
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    reply.headers[name] = line.substr(std::min(colon + 2, line.size()));
  }
  reply.body = rest.substr(head_end + 4);
  if (reply.headers["transfer-encoding"] == "chunked") reply.body = decode_chunks(reply.body);
  return reply;
}

DaemonProcess::DaemonProcess(std::string settings) : settings_(std::move(settings)) {
  // Other users must be able to reach the socket, where a test is about them.
  fs::permissions(folder_.path(), fs::perms(0755));
}

DaemonProcess::~DaemonProcess() {
  if (pid_ > 0) end(SIGKILL);
}

std::vector<std::string> DaemonProcess::arguments() const {
  return {kProgram,         "--config",       (folder() / "preflight.toml").string(),
          "--state",        state().string(), "--socket",
          socket().string()};
}

void DaemonProcess::write_settings() const {
  write_file(folder() / "preflight.toml", fmt::format("[state]\ncache_dir = \"{}\"\n{}",
                                                      (folder() / "cache").string(), settings_));
}

void DaemonProcess::start(const std::function<void()>& in_child) {
  ASSERT_LT(pid_, 0) << "it runs already";
  write_settings();
  const std::vector<std::string> command = arguments();
  const fs::path log_path = folder() / "log";
  pid_ = fork();
  if (pid_ == 0) {
    const int log_fd = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(log_fd, 2);
    if (in_child) in_child();
    exec_program(command);
  }
  ASSERT_GT(pid_, 0);
  for (;;) {
    if (request("GET", "/v1/health").status != 0) return;
    int wait_status = 0;
    if (waitpid(pid_, &wait_status, WNOHANG) == pid_) {
      pid_ = -1;
      FAIL() << "preflightd ended: " << log();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

int DaemonProcess::end(int signal) {
  kill(pid_, signal);
  int wait_status = 0;
  waitpid(pid_, &wait_status, 0);
  pid_ = -1;
  return wait_status;
}

Reply DaemonProcess::request(const std::string& method, const std::string& path,
                             const std::vector<std::string>& headers,
                             const std::string& body) const {
  const Connection connection(socket());
  if (!connection.open()) return {};
  std::string text =
      fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", method, path);
  for (const std::string& header : headers) text += header + "\r\n";
  if (!body.empty()) text += fmt::format("Content-Length: {}\r\n", body.size());
  // A refusal may come, and the connection end, before the whole body is sent.
  static_cast<void>(connection.send(text + "\r\n" + body));
  return parse_reply(connection.receive_all());
}

Reply DaemonProcess::request_as(uid_t uid, const std::string& method,
                                const std::string& path) const {
  std::array<int, 2> pipe_fds{};
  EXPECT_EQ(pipe(pipe_fds.data()), 0);
  const pid_t child = fork();
  if (child == 0) {
    if (setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0) _exit(1);
    const Connection connection(socket());
    static_cast<void>(connection.send(fmt::format(
        "{} {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", method, path)));
    const std::string bytes = connection.receive_all();
    _exit(write(pipe_fds[1], bytes.data(), bytes.size()) < 0 ? 1 : 0);
  }
  close(pipe_fds[1]);
  std::string bytes;
  std::array<char, 4096> piece{};
  for (ssize_t n = 0; (n = read(pipe_fds[0], piece.data(), piece.size())) > 0;)
    bytes.append(piece.data(), static_cast<std::size_t>(n));
  close(pipe_fds[0]);
  waitpid(child, nullptr, 0);
  return parse_reply(bytes);
}

Reply DaemonProcess::post(const std::string& bundle_json, const std::vector<File>& files,
                          const std::vector<std::string>& headers, const std::string& query) const {
  std::vector<std::string> all = headers;
  all.push_back(kMultipartType);
  return request("POST", "/v1/reviews" + query, all, multipart(bundle_json, files));
}

std::string DaemonProcess::review(const std::string& bundle_json,
                                  const std::vector<File>& files) const {
  const Reply reply = post(bundle_json, files);
  EXPECT_EQ(reply.status, 202) << reply.body;
  return reply.status == 202 ? reply.json().value("id", "") : "";
}

protocol::ReviewStatus DaemonProcess::status(const std::string& id) const {
  const Reply reply = request("GET", "/v1/reviews/" + id);
  const auto status = protocol::parse_review_status(reply.body);
  EXPECT_TRUE(status) << reply.body;
  return status ? *status : protocol::ReviewStatus();
}

std::vector<protocol::Event> DaemonProcess::follow(const std::string& id, std::string_view wanted,
                                                   std::uint64_t after) const {
  const Connection connection(socket());
  static_cast<void>(connection.send(
      fmt::format("GET /v1/reviews/{}/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: {}\r\n"
                  "\r\n",
                  id, after)));
  std::string bytes;
  std::vector<protocol::Event> events;
  for (std::string piece; !(piece = connection.receive()).empty();) {
    bytes += piece;
    const auto parsed = protocol::SseParser().feed(parse_reply(bytes).body);
    EXPECT_TRUE(parsed);
    if (!parsed) break;
    events = *parsed;
    for (std::size_t i = 0; i < events.size(); ++i)
      if (events[i].name == wanted) {
        events.resize(i + 1);
        return events;
      }
  }
  return events;
}

std::string DaemonProcess::hanging_decoder() const {
  const fs::path script = folder() / "hanging-decoder";
  write_file(script, "#!/bin/sh\nexec sleep 60\n");
  fs::permissions(script, fs::perms(0755));
  return fmt::format("[decoder]\nprogram = \"{}\"\ntimeout_s = 50\n", script.string());
}

std::string multipart(const std::string& bundle_json, const std::vector<File>& files) {
  std::string out =
      "--limit\r\nContent-Disposition: form-data; name=\"bundle\"\r\n\r\n" + bundle_json + "\r\n";
  for (const File& file : files)
    out += "--limit\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + file.path +
           "\"\r\n\r\n" + file.content + "\r\n";
  return out + "--limit--\r\n";
}

namespace {

nlohmann::json bundle(const std::string& id) {
  return {{"schema", "preflight.bundle/1"},
          {"id", id},
          {"locale", "en-GB"},
          {"product_class", "general"},
          {"placements", {"tiktok.infeed"}},
          {"offer", {{"promise", "First bag free"}}},
          {"copy", {{"primary_text", "First bag free with every flask."}}},
          {"assets", {{{"id", "hook"}, {"role", "hook"}, {"text", "Your flask, your way."}}}}};
}

}  // namespace

std::string text_bundle(const std::string& id) { return bundle(id).dump(); }

std::string video_bundle(const std::string& id) {
  nlohmann::json out = bundle(id);
  out["assets"].push_back({{"id", "cut"}, {"role", "video"}, {"path", "cut.mp4"}});
  return out.dump();
}

Ran run_program(const std::vector<std::string>& arguments) {
  std::array<int, 2> pipe_fds{};
  EXPECT_EQ(pipe(pipe_fds.data()), 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(pipe_fds[1], 1);
    dup2(pipe_fds[1], 2);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    exec_program(arguments);
  }
  close(pipe_fds[1]);
  Ran ran;
  std::array<char, 4096> piece{};
  for (ssize_t n = 0; (n = read(pipe_fds[0], piece.data(), piece.size())) > 0;)
    ran.output.append(piece.data(), static_cast<std::size_t>(n));
  close(pipe_fds[0]);
  int wait_status = 0;
  waitpid(child, &wait_status, 0);
  ran.status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
  return ran;
}

std::size_t count(const std::vector<protocol::Event>& events, std::string_view name) {
  return static_cast<std::size_t>(
      std::count_if(events.begin(), events.end(),
                    [&](const protocol::Event& event) { return event.name == name; }));
}

}  // namespace preflight::daemon
