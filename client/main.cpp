// qa-client: sends bundles to preflightd and prints what comes back.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "client/commands.h"
#include "client/terminal_text.h"

namespace {

using namespace preflight::client;

volatile std::sig_atomic_t interrupted = 0;

void on_signal(int) { interrupted = 1; }

void catch_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;  // without SA_RESTART: a wait ends and sees the flag
  for (const int signal : {SIGINT, SIGTERM}) {
    if (sigaction(signal, &action, nullptr) != 0) std::abort();  // only for a wrong number
  }
}

int ended(const Outcome<Exit>& outcome) {
  if (outcome.has_value()) return static_cast<int>(outcome.value());
  fmt::print(stderr, "qa-client: {}\n", outcome.error().message);
  return static_cast<int>(outcome.error().exit);
}

void add_bundle_flags(CLI::App& app, BundleFlags& flags) {
  const char* group = "A bundle from flags";
  const auto text = [&](const char* name, std::string& target, const char* help) {
    app.add_option(name, target, help)->group(group);
  };
  const auto file = [&](const char* name, std::filesystem::path& target, const char* help) {
    app.add_option(name, target, help)->group(group);
  };
  file("--video", flags.video, "the film");
  file("--voiceover", flags.voiceover, "the voice alone");
  file("--brief", flags.brief, "text file");
  file("--guardrails", flags.guardrails, "text file");
  file("--script", flags.script, "text file");
  file("--captions", flags.captions, "subtitle file of the film");
  app.add_option("--image", flags.images, "product image; may be repeated")
      ->allow_extra_args(false)
      ->group(group);
  app.add_option("--landing", flags.landing_pages, "landing page, picture or text; may be repeated")
      ->allow_extra_args(false)
      ->group(group);
  app.add_option("--placement", flags.placements, "where it will run, such as tiktok.infeed")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->group(group);
  text("--hook", flags.hook, "the opening line");
  text("--offer", flags.offer, "the promise in one sentence");
  text("--price", flags.price, "such as 24.00");
  text("--currency", flags.currency, "such as GBP");
  text("--discount-pct", flags.discount_pct, "a number");
  text("--terms", flags.terms, "terms of the offer");
  text("--ends", flags.ends, "last day of the offer, YYYY-MM-DD");
  text("--cta", flags.cta, "call to action");
  text("--landing-url", flags.landing_url, "never fetched");
  text("--primary-text", flags.primary_text, "copy beside the film");
  text("--headline", flags.headline, "copy");
  text("--description", flags.description, "copy");
  app.add_option("--tone", flags.tone, "tone words, with commas")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->group(group);
  app.add_option("--deny", flags.deny, "what must not be said; may be repeated")
      ->allow_extra_args(false)
      ->group(group);
  text("--id", flags.id, "name of this creative [the file's name]");
  text("--title", flags.title, "shown in the report");
  text("--locale", flags.locale, "language, such as en-GB [from LANG]");
  text("--class", flags.product_class, "product class [general]");
}

int run(int argc, char** argv) {
  catch_signals();
  CLI::App app("Reviews advertising creative with preflightd.");
  app.set_version_flag("--version", "qa-client " PREFLIGHT_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Exit status: 0 passed, 1 failed, 2 wrong use or bundle, 3 needs a human,\n"
      "4 no daemon or model, 5 internal error, 6 timed out or cancelled.");
  std::string socket = "/run/preflight/http.sock";
  app.add_option("--socket", socket, "the daemon's socket")->envname("PREFLIGHT_SOCKET");
  app.fallthrough();

  ReviewCommand review;
  std::filesystem::path directory = ".";
  std::string id;
  bool as_json = false;
  bool as_csv = false;
  bool merged = false;
  bool delete_finished = false;

  CLI::App* review_app = app.add_subcommand("review", "Review a bundle and print the table");
  review_app->add_option("target", review.target, "bundle directory, or one file");
  review_app->add_flag("--facts-only", review.facts_only, "measured rows only");
  review_app->add_flag("--json", as_json, "print the report instead of the table");
  review_app->add_flag("--csv", as_csv, "print a line per finding instead of the table");
  review_app->add_option("--out", review.out, "write the report to this file as well");
  std::string fail_on = "major";
  review_app->add_option("--fail-on", fail_on, "severity from which a fail counts [major]")
      ->check(CLI::IsMember({"blocker", "major", "minor", "info"}));
  review_app->add_flag("--exit-zero", review.exit_zero, "status 0 whenever there is a report");
  review_app->add_option("--save-bundle", review.save_bundle, "write the bundle to this directory");
  review_app->add_option("--rules", review.rules, "placements.json, to check placement names by");
  review_app->add_option("--timeout", review.timeout_s, "seconds after which to stop waiting")
      ->check(CLI::PositiveNumber);
  add_bundle_flags(*review_app, review.flags);

  CLI::App* init = app.add_subcommand("init", "Write a bundle template");
  init->add_option("directory", directory, "new or empty")->required();
  CLI::App* lint = app.add_subcommand("lint", "Check a bundle without the daemon");
  lint->add_option("directory", directory, "bundle directory [.]");
  lint->add_flag("--json", as_json, "errors and warnings as JSON");
  lint->add_flag("--merged", merged, "print the bundle with its set's fields instead");
  lint->add_option("--rules", review.rules, "placements.json, to check placement names by");
  CLI::App* list = app.add_subcommand("list", "Your reviews, newest first");
  list->add_flag("--json", as_json, "as JSON");
  CLI::App* show = app.add_subcommand("show", "The table of a review, or its state");
  show->add_option("id", id)->required();
  show->add_flag("--json", as_json, "the whole report");
  show->add_flag("--csv", as_csv, "a line per finding");
  CLI::App* cancel = app.add_subcommand("cancel", "Stop a review");
  cancel->add_option("id", id)->required();
  cancel->add_flag("--delete", delete_finished, "delete it if it has ended");
  CLI::App* health = app.add_subcommand("health", "Whether the daemon can review, and why not");
  health->add_flag("--json", as_json, "as JSON");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(Exit::kUsage);
  }
  if (as_json && as_csv) return ended(stop(Exit::kUsage, "--json and --csv: choose one"));
  const Form form = as_json ? Form::kJson : as_csv ? Form::kCsv : Form::kTable;

  const Api::Options options{.socket = socket,
                             .interrupted = [] { return interrupted != 0; },
                             .deadline = Api::Clock::time_point::max(),
                             .on_absence = nullptr};
  Api api(options);
  if (init->parsed()) return ended(run_init(directory));
  if (lint->parsed() && merged) return ended(run_merged(directory));
  if (lint->parsed()) return ended(run_lint(directory, review.rules, as_json));
  if (list->parsed()) return ended(run_list(api, as_json));
  if (show->parsed()) return ended(run_show(api, id, form));
  if (cancel->parsed()) return ended(run_cancel(api, id, delete_finished));
  if (health->parsed()) return ended(run_health(api, as_json));
  review.form = form;
  review.fail_on = parse_severity(fail_on);
  const auto given = review_app->get_options([](const CLI::Option* option) {
    return option->get_group() == "A bundle from flags" && option->count() > 0;
  });
  review.has_flags = !given.empty();
  return ended(run_review(review, options));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& thrown) {  // out of memory, a broken file system
    std::fprintf(stderr, "qa-client: %s\n", thrown.what());
    return static_cast<int>(Exit::kInternal);
  }
}
