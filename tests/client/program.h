// A program started by a test: its output goes to files, its end is waited for with a limit.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include <sys/types.h>

namespace preflight::client {

class Program {
 public:
  /// Output goes to FOLDER/NAME.out and FOLDER/NAME.err.
  Program(const std::filesystem::path& folder, const std::string& name,
          const std::vector<std::string>& arguments);
  /// Kills what still runs.
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  /// The exit status, 128 + signal, or -1 when it did not end within `limit` (it is killed then).
  int wait(std::chrono::seconds limit = std::chrono::seconds(120));
  void signal(int number);
  /// Waits until its standard error has `text`; false when it ends or `limit` passes before.
  bool says(const std::string& text, std::chrono::seconds limit = std::chrono::seconds(60));
  bool running();

  std::string out() const;
  std::string err() const;

 private:
  std::filesystem::path out_;
  std::filesystem::path err_;
  pid_t pid_ = -1;
  int status_ = -1;
};

/// A folder of its own, removed at the end.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace preflight::client
