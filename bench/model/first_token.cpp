#include "bench/model/first_token.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <system_error>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "bench/model/clock.h"

namespace preflight::bench {
namespace {

/// A folder of its own that goes with it.
class TemporaryFolder {
 public:
  static Result<TemporaryFolder> create() {
    std::string name = (std::filesystem::temp_directory_path() / "preflight-bench-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr)
      return fail(ErrorCode::kIo, fmt::format("{}: {}", name, std::strerror(errno)));
    return TemporaryFolder(name);
  }
  TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::move(other.path_)) {
    other.path_.clear();
  }
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;  // what is left of a temporary folder harms nobody
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  explicit TemporaryFolder(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

Result<double> child_seconds(const ModelOptions& options, const std::filesystem::path& cache_dir) {
  std::string cache = cache_dir.string();
  std::string model = options.model.string();
  std::vector<std::string> arguments = {"bench-model", "--model", model, "--first-token", cache};
  if (!options.device.empty()) arguments.insert(arguments.end(), {"--device", options.device});
  if (!options.tier.empty()) arguments.insert(arguments.end(), {"--tier", options.tier});
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);

  pid_t child = 0;
  const auto start = Clock::now();
  const int failed = posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, argv.data(), environ);
  if (failed != 0)
    return fail(ErrorCode::kIo, fmt::format("starting a process: {}", std::strerror(failed)));
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return fail(ErrorCode::kInternal, "the process that says the first token failed");
  return seconds_since(start);
}

}  // namespace

Result<void> say_first_token(const ModelOptions& options, const std::filesystem::path& cache_dir) {
  engine::EngineOptions engine_options = options.engine_options();
  engine_options.device.cache_dir = cache_dir;
  PREFLIGHT_TRY(const auto engine, engine::Engine::load(engine_options));
  engine::GenerateRow row;
  row.max_tokens = 1;
  PREFLIGHT_TRY(row.sequence, engine->open());
  const engine::Input input{.token = engine->special_tokens().bos};
  PREFLIGHT_TRY_VOID(engine->prefill(row.sequence, {&input, 1}));
  PREFLIGHT_TRY([[maybe_unused]] const auto said, engine->generate({&row, 1}));
  return {};
}

Result<std::vector<Figure>> measure_start(const ModelOptions& options) {
  // Mesa keeps compiled shaders of its own; the pipeline cache alone is to make the difference.
  if (setenv("MESA_SHADER_CACHE_DISABLE", "true", /*overwrite=*/1) != 0)
    return fail(ErrorCode::kIo, "the environment is full");
  std::vector<double> cold;
  std::vector<double> warm;
  for (std::uint32_t i = 0; i < options.repeats; i++) {
    PREFLIGHT_TRY(const TemporaryFolder folder, TemporaryFolder::create());
    PREFLIGHT_TRY(const double first, child_seconds(options, folder.path()));
    PREFLIGHT_TRY(const double second, child_seconds(options, folder.path()));
    cold.push_back(first);
    warm.push_back(second);
  }
  return std::vector<Figure>{Figure::of("first_token_cold", "s", std::move(cold)),
                             Figure::of("first_token_warm", "s", std::move(warm))};
}

}  // namespace preflight::bench
