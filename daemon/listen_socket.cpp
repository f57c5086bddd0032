#include "daemon/listen_socket.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

namespace preflight::daemon {

namespace {

constexpr int kBacklog = 512;

tl::unexpected<Error> io_error(const std::filesystem::path& path, std::string_view what) {
  return fail(ErrorCode::kIo,
              fmt::format("socket {}: {}: {}", path.string(), what, std::strerror(errno)));
}

/// Whether a process answers on the socket file.
bool is_answered(const sockaddr_un& address) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return true;
  const int status = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  // A full backlog (EAGAIN) has an owner as well.
  const bool refused = status != 0 && errno == ECONNREFUSED;
  ::close(fd);
  return !refused;
}

Result<void> set_access(const std::filesystem::path& path, const std::string& group) {
  if (!group.empty()) {
    errno = 0;
    const ::group* entry = getgrnam(group.c_str());
    if (entry == nullptr)
      return fail(
          ErrorCode::kNotFound,
          fmt::format("socket {}: there is no group \"{}\" (socket.group)", path.string(), group));
    if (::chown(path.c_str(), static_cast<uid_t>(-1), entry->gr_gid) != 0)
      return io_error(path, "cannot give it to its group");
  }
  if (::chmod(path.c_str(), 0660) != 0) return io_error(path, "cannot set its mode");
  return {};
}

Result<int> make_socket(const std::filesystem::path& path, const std::string& group) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string& name = path.native();
  if (name.size() >= sizeof(address.sun_path))
    return fail(ErrorCode::kInvalidInput,
                fmt::format("socket {}: the path has {} bytes, a socket's at most {}", name,
                            name.size(), sizeof(address.sun_path) - 1));
  std::memcpy(address.sun_path, name.data(), name.size());
  // Who may connect is the socket's mode to say: its folder must let them come that far.
  std::error_code error;
  const mode_t own = ::umask(0022);
  std::filesystem::create_directories(path.parent_path(), error);
  ::umask(own);
  if (error)
    return fail(ErrorCode::kIo,
                fmt::format("socket {}: cannot make its folder: {}", name, error.message()));
  struct stat info {};
  if (::lstat(name.c_str(), &info) == 0) {
    if (!S_ISSOCK(info.st_mode))
      return fail(ErrorCode::kInvalidInput,
                  fmt::format("socket {}: there is a file of this name that is no socket", name));
    if (is_answered(address))
      return fail(ErrorCode::kIo, fmt::format("socket {}: another process answers on it", name));
    if (::unlink(name.c_str()) != 0) return io_error(path, "cannot replace the old one");
  }
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return io_error(path, "cannot be made");
  // Nobody may connect between bind and chmod.
  const mode_t before = ::umask(0177);
  const int bound = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  ::umask(before);
  if (bound != 0) {
    const auto failure = io_error(path, "cannot be bound");
    ::close(fd);
    return failure;
  }
  Result<void> ready = set_access(path, group);
  if (ready && ::listen(fd, kBacklog) != 0) ready = io_error(path, "cannot listen");
  if (!ready) {
    ::close(fd);
    return tl::unexpected(std::move(ready).error());
  }
  return fd;
}

}  // namespace

Result<ListenSocket> open_listen_socket(const std::filesystem::path& path,
                                        const std::string& group) {
  const int n_passed = sd_listen_fds(/*unset_environment=*/1);
  if (n_passed < 0)
    return fail(ErrorCode::kIo,
                fmt::format("sockets passed by the service manager: {}", std::strerror(-n_passed)));
  if (n_passed > 1)
    return fail(
        ErrorCode::kInvalidInput,
        fmt::format("{} sockets were passed by the service manager, expected one", n_passed));
  if (n_passed == 1) {
    if (sd_is_socket(SD_LISTEN_FDS_START, AF_UNIX, SOCK_STREAM, /*listening=*/1) <= 0)
      return fail(ErrorCode::kInvalidInput,
                  "what the service manager passed is no listening Unix stream socket");
    return ListenSocket{SD_LISTEN_FDS_START, true};
  }
  PREFLIGHT_TRY(const int fd, make_socket(path, group));
  return ListenSocket{fd, false};
}

}  // namespace preflight::daemon
