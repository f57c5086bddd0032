// preflightd: takes bundles on its Unix socket, reviews them one after another, tells what it
// found.

#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/settings.h"
#include "daemon/tune.h"
#include "daemon/version.h"

namespace {

namespace fs = std::filesystem;
using namespace preflight;
using namespace preflight::daemon;

constexpr int kFailed = 1, kUsage = 2;

struct Arguments {
  fs::path config, socket, state, model, mmproj, drafter;
  bool check = false;
};

Result<Settings> settings_of(const Arguments& arguments) {
  std::error_code error;
  Settings settings = default_settings(fs::read_symlink("/proc/self/exe", error));
  const fs::path file = arguments.config.empty() ? fs::path(kSettingsFile) : arguments.config;
  // The default file may be absent: then every setting has its default.
  if (!arguments.config.empty() || fs::exists(file, error)) {
    std::ifstream stream(file, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    if (!stream) return fail(ErrorCode::kIo, fmt::format("{}: cannot be read", file.string()));
    PREFLIGHT_TRY_VOID(read_settings(text, file.string(), settings));
  }
  const auto replace = [](fs::path& setting, const fs::path& argument) {
    if (!argument.empty()) setting = fs::absolute(argument);
  };
  replace(settings.socket, arguments.socket);
  replace(settings.state_dir, arguments.state);
  replace(settings.reviewer.model, arguments.model);
  replace(settings.reviewer.mmproj, arguments.mmproj);
  replace(settings.reviewer.drafter, arguments.drafter);
  return settings;
}

int run(int argc, char** argv) {
  CLI::App app("Reviews advertising bundles with a local model; serves a Unix socket.",
               "preflightd");
  Arguments arguments;
  app.add_option("--config", arguments.config,
                 fmt::format("settings file, else {} if there is one", kSettingsFile));
  app.add_option("--socket", arguments.socket, "socket to serve (socket.path)");
  app.add_option("--state", arguments.state, "folder of database and spool (state.dir)");
  app.add_option("--model", arguments.model, "GGUF file or Hugging Face folder (model.path)");
  app.add_option("--mmproj", arguments.mmproj,
                 "GGUF file with the image and sound weights (model.mmproj)");
  app.add_option("--drafter", arguments.drafter,
                 "GGUF file or Hugging Face folder of the model's drafter (model.drafter)");
  app.add_flag("--check", arguments.check, "look at settings and files, say what is wrong, end");
  app.fallthrough();  // options may stand behind the command too
  const CLI::App* const tune = app.add_subcommand("tune",
                                                  "measure which kernel sizes are the fastest on "
                                                  "the device, keep them for the next start, end");
  app.set_version_flag("--version", fmt::format("preflightd {}", kVersion));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  const Result<Settings> settings = settings_of(arguments);
  if (!settings) {
    fmt::print(stderr, "<3>preflightd: {}\n", settings.error().message);
    return kFailed;
  }
  if (arguments.check) return check_installation(*settings) ? 0 : kFailed;
  if (tune->parsed()) {
    const Result<void> tuned = tune_device(settings->reviewer);
    if (!tuned) fmt::print(stderr, "<3>preflightd: {}\n", tuned.error().message);
    return tuned ? 0 : kFailed;
  }
  const Result<void> done = run_daemon(*settings);
  if (!done) log(LogLevel::kError, "preflightd: {}", done.error().message);
  return done ? 0 : kFailed;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& thrown) {
    std::fprintf(stderr, "<3>preflightd: %s\n", thrown.what());
    return kFailed;
  }
}
