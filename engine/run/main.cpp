// preflight-run: the engine on the command line, for engineers and tests. Exit status: 0 done,
// 1 failed (one sentence on stderr), 2 wrong usage.

#include <cstdio>

#include <CLI/CLI.hpp>

#include "engine/run/command.h"
#include "engine/run/detokenize.h"
#include "engine/run/devices.h"
#include "engine/run/generate.h"
#include "engine/run/logits.h"
#include "engine/run/make_model.h"
#include "engine/run/plan.h"
#include "engine/run/preprocess.h"
#include "engine/run/tokenize.h"

namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

void complain(const std::string& sentence) {
  static_cast<void>(std::fprintf(stderr, "preflight-run: %s\n", sentence.c_str()));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("The preflight engine on the command line", "preflight-run");
  app.require_subcommand(1);
  preflight::Result<void> outcome;
  preflight::run::add_detokenize(app, outcome);
  preflight::run::add_logits(app, outcome);
  preflight::run::add_generate(app, outcome);
  preflight::run::add_devices(app, outcome);
  preflight::run::add_make_model(app, outcome);
  preflight::run::add_plan(app, outcome);
  preflight::run::add_preprocess(app, outcome);
  preflight::run::add_tokenize(app, outcome);

  // The parser throws; this is the one place that meets it.
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked_for_help) {
    return app.exit(asked_for_help);
  } catch (const CLI::ParseError& error) {
    complain(error.what());
    return kUsage;
  }
  if (outcome.has_value()) return 0;
  complain(outcome.error().message);
  return kFailed;
}
