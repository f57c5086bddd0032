// The socket that the daemon serves: passed by the service manager, or its own.
#pragma once

#include <filesystem>
#include <string>

#include "vk/error.h"

namespace preflight::daemon {

struct ListenSocket {
  int fd = -1;
  bool passed = false;  ///< by the service manager, which also removes it
};

/// The one socket passed by systemd (sd_listen_fds), else a new one at `path`, mode 0660. A socket
/// file that nobody answers on is replaced. Errors: several or wrong descriptors passed; another
/// process answers; the path is no socket, or too long for one (107 bytes); no such group.
Result<ListenSocket> open_listen_socket(const std::filesystem::path& path,
                                        const std::string& group);

}  // namespace preflight::daemon
