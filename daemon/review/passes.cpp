#include "daemon/review/passes.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <optional>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "daemon/protocol/sha256.h"
#include "daemon/review/json_parts.h"

namespace preflight::review {
namespace {

using Json = nlohmann::json;
using Ordered = nlohmann::ordered_json;
using engine::SequenceId;

constexpr std::size_t kClipsAtOnce = 8;
/// Room for the answers of all rows, beside their prompts.
constexpr std::uint64_t kAnswerRoom = 2048;

struct StoredPass {
  std::vector<CheckAnswer> answers;
  PassWork work;
};

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

PassWork difference(const PassWork& after, const PassWork& before, double seconds) {
  return {after.prefilled_tokens - before.prefilled_tokens,
          after.generated_tokens - before.generated_tokens,
          after.forced_tokens - before.forced_tokens,
          after.cached_tokens - before.cached_tokens,
          after.narrow_steps - before.narrow_steps,
          after.wide_steps - before.wide_steps,
          after.saved_steps - before.saved_steps,
          after.draft_saved_steps - before.draft_saved_steps,
          seconds};
}

/// Everything of a prompt that changes what the model writes; pictures and sound are in the
/// bundle's digest.
std::string words_of(const Prompt& prompt) {
  std::string out;
  for (const PromptPart& part : prompt) {
    out += part.trusted ? "T" : "F";
    out += part.text;
    if (part.picture != nullptr)
      out +=
          fmt::format("<picture {}x{} {}>", part.picture->width, part.picture->height, part.budget);
    if (part.samples != nullptr) out += fmt::format("<sound {}>", part.samples->size());
    out += '\0';
  }
  return out;
}

Json to_json(const StoredPass& pass, const std::string& key) {
  Json answers = Json::array();
  for (const CheckAnswer& answer : pass.answers) {
    Json choices = Json::object();
    for (const auto& [pointer, stat] : answer.choices)
      choices[pointer] = {{"p", stat.p}, {"margin", stat.margin}, {"outside", stat.outside}};
    answers.push_back({{"text", answer.text}, {"choices", std::move(choices)}});
  }
  return {{"key", key},
          {"answers", std::move(answers)},
          {"work",
           {{"prefilled_tokens", pass.work.prefilled_tokens},
            {"generated_tokens", pass.work.generated_tokens},
            {"forced_tokens", pass.work.forced_tokens},
            {"cached_tokens", pass.work.cached_tokens},
            {"narrow_steps", pass.work.narrow_steps},
            {"wide_steps", pass.work.wide_steps},
            {"saved_steps", pass.work.saved_steps},
            {"draft_saved_steps", pass.work.draft_saved_steps},
            {"seconds", pass.work.seconds}}}};
}

Json list_of(const Json& object, std::string_view name) {
  const Json& value = field(object, name);
  return value.is_array() ? value : Json::array();
}

std::optional<double> number(const Json& object, std::string_view name) {
  const Json& value = field(object, name);
  if (!value.is_number()) return std::nullopt;
  return value.get<double>();
}

/// Empty where the file is not exactly what this pass would have written (another key, a torn
/// file).
std::optional<StoredPass> from_json(const Json& json, const std::string& key, std::size_t answers) {
  if (text_of(json, "key") != key) return std::nullopt;
  const Json& list = field(json, "answers");
  const Json& work = field(json, "work");
  if (!list.is_array() || list.size() != answers) return std::nullopt;
  StoredPass out;
  const auto count = [&](std::string_view name, std::uint64_t& to) {
    const auto value = number(work, name);
    if (!value || !(*value >= 0) || *value > 1e15) return false;
    to = static_cast<std::uint64_t>(*value);
    return true;
  };
  if (!count("prefilled_tokens", out.work.prefilled_tokens) ||
      !count("generated_tokens", out.work.generated_tokens) ||
      !count("forced_tokens", out.work.forced_tokens) ||
      !count("cached_tokens", out.work.cached_tokens) ||
      !count("narrow_steps", out.work.narrow_steps) || !count("wide_steps", out.work.wide_steps) ||
      !count("saved_steps", out.work.saved_steps) ||
      !count("draft_saved_steps", out.work.draft_saved_steps))
    return std::nullopt;
  out.work.seconds = number(work, "seconds").value_or(0);
  for (const Json& entry : list) {
    CheckAnswer answer;
    if (!field(entry, "text").is_string()) return std::nullopt;
    answer.text = text_of(entry, "text");
    const Json& choices = field(entry, "choices");
    if (!choices.is_object()) return std::nullopt;
    for (const auto& [pointer, stat] : choices.items()) {
      const auto p = number(stat, "p");
      const auto margin = number(stat, "margin");
      const auto outside = number(stat, "outside");
      if (!p || !margin || !outside) return std::nullopt;
      answer.choices[pointer] = {*p, *margin, *outside};
    }
    out.answers.push_back(std::move(answer));
  }
  return out;
}

class Runner {
 public:
  Runner(ModelSession& session, const PassInputs& inputs, const PassEvents& events)
      : session_(session), inputs_(inputs), events_(events) {
    context_.bundle = inputs.bundle;
    context_.material = inputs.material;
    context_.checks = inputs.checks;
    context_.rules = inputs.rules;
  }

  ~Runner() {
    for (const SequenceId sequence : open_) session_.close(sequence);
  }
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  Result<PassesResult> run() {
    if (!session_.sees()) {
      inputs_.material->frames.clear();
      inputs_.material->pictures.clear();
    }
    if (!session_.hears()) inputs_.material->clips.clear();
    std::string words = inputs_.checks->system;
    for (const TextItem& item : inputs_.material->texts) words += item.text;
    context_.characters_per_token = session_.characters_per_token(words);
    auto done = run_all();
    if (!done) {
      const Error& error = done.error();
      if (error.code == ErrorCode::kCancelled || error.code == ErrorCode::kDeviceLost)
        return tl::unexpected(error);
      out_.rows = Json::array();
      out_.claims = Json::array();
      add_unasked_rows({}, fmt::format("the model could not answer: {}", error.message));
    }
    return std::move(out_);
  }

 private:
  Result<void> run_all() {
    PREFLIGHT_TRY_VOID(listen());
    asked_ = plan_checks(context_);
    PREFLIGHT_TRY_VOID(fit_context());
    const bool has_frames = !inputs_.material->frames.empty();
    const std::string look_key =
        key_of("look", {set_prompt(context_), frames_prompt(context_), look_prompt(context_)},
               has_frames ? std::vector<Ordered>{look_schema(context_)} : std::vector<Ordered>{});
    const std::size_t look_answers = has_frames ? 1 : 0;
    std::optional<StoredPass> look = load("look", look_key, look_answers);
    if (look) {
      take_look(*look);
      // Everything stored: nothing has to be prefilled again.
      if (auto judged = load("judge", judge_key(), asked_.size())) return finish(*judged);
    }
    const auto begin = std::chrono::steady_clock::now();
    const PassWork before = session_.work();
    const std::vector<Prompt> stages = {set_prompt(context_), frames_prompt(context_)};
    PREFLIGHT_TRY(const SequenceId main,
                  keep(session_.begin(stages, progress("look"), events_.cancelled)));
    if (!look) {
      StoredPass pass;
      if (has_frames) {
        PREFLIGHT_TRY(const SequenceId fork, keep(session_.fork(main)));
        PREFLIGHT_TRY_VOID(
            session_.prefill(fork, look_prompt(context_), false, {}, events_.cancelled));
        const std::vector<SequenceId> one = {fork};
        const std::vector<Ordered> schema = {look_schema(context_)};
        PREFLIGHT_TRY(pass.answers, session_.answer(one, schema, events_.cancelled));
        drop(fork);
      }
      pass.work = difference(session_.work(), before, seconds_since(begin));
      PREFLIGHT_TRY_VOID(store("look", look_key, pass));
      take_look(pass);
    }
    return judge(main);
  }

  Result<void> listen() {
    std::vector<Prompt> prompts;
    std::vector<Ordered> schemas;
    for (const Clip& clip : inputs_.material->clips) {
      prompts.push_back(listen_prompt(context_, clip));
      schemas.push_back(listen_schema(context_, clip));
    }
    if (prompts.empty()) return {};
    const std::string key = key_of("listen", prompts, schemas);
    auto stored = load("listen", key, prompts.size());
    if (!stored) {
      stored.emplace();
      const auto begin = std::chrono::steady_clock::now();
      const PassWork before = session_.work();
      std::uint64_t total = 0;  // bos on top, the last token of each left to the answer
      for (const Prompt& prompt : prompts) total += session_.count_tokens(prompt);
      std::uint64_t done = 0;
      for (std::size_t at = 0; at < prompts.size(); at += kClipsAtOnce) {
        const std::size_t n = std::min(kClipsAtOnce, prompts.size() - at);
        std::uint64_t done_here = 0;
        const auto count = [&](std::uint64_t tokens, std::uint64_t) {
          done_here = tokens;
          report_progress("listen", done + tokens, total);
        };
        std::vector<SequenceId> sequences;
        for (std::size_t i = 0; i < n; ++i) {
          PREFLIGHT_TRY(const SequenceId sequence, keep(session_.open()));
          sequences.push_back(sequence);
        }
        PREFLIGHT_TRY_VOID(session_.prefill_many(sequences, std::span(prompts).subspan(at, n), true,
                                                 count, events_.cancelled));
        done += done_here;
        PREFLIGHT_TRY(
            std::vector<CheckAnswer> answers,
            session_.answer(sequences, std::span(schemas).subspan(at, n), events_.cancelled));
        for (CheckAnswer& answer : answers) stored->answers.push_back(std::move(answer));
        for (const SequenceId sequence : sequences) drop(sequence);
      }
      stored->work = difference(session_.work(), before, seconds_since(begin));
      PREFLIGHT_TRY_VOID(store("listen", key, *stored));
    }
    out_.work["listen"] = stored->work;
    for (std::size_t i = 0; i < stored->answers.size(); ++i) {
      const Json answer = Json::parse(stored->answers[i].text, nullptr, false);
      Heard heard;
      heard.clip = inputs_.material->clips[i].id;
      heard.text = text_of(answer, "heard");
      heard.unclear = text_of(answer, "unclear");
      const auto& choices = stored->answers[i].choices;
      if (const auto unclear = choices.find("/unclear"); unclear != choices.end())
        heard.unclear_p = unclear->second.p;
      for (const Json& tone : list_of(answer, "tone"))
        if (tone.is_string()) heard.tones.push_back(tone.get<std::string>());
      out_.observations.heard.push_back(std::move(heard));
    }
    return {};
  }

  void take_look(const StoredPass& pass) {
    out_.work["look"] = pass.work;
    if (pass.answers.empty()) return;
    const Json answer = Json::parse(pass.answers.front().text, nullptr, false);
    for (const Json& entry : list_of(answer, "texts"))
      out_.observations.screen.push_back({text_of(entry, "at"), text_of(entry, "text")});
    out_.observations.shown = text_of(answer, "shown");
  }

  /// Fewer frames, never a cut text, where the context is short.
  Result<void> fit_context() {
    for (;;) {
      std::uint64_t tokens =
          1 + session_.count_tokens(set_prompt(context_)) +
          session_.count_tokens(frames_prompt(context_)) +
          session_.count_tokens(brief_prompt(context_, out_.observations, *inputs_.fact_rows));
      for (const AskedCheck& asked : asked_)
        tokens += session_.count_tokens(judge_prompt(context_, asked));
      tokens += kAnswerRoom;
      if (tokens <= session_.context_tokens()) return {};
      std::vector<Frame>& frames = inputs_.material->frames;
      if (frames.size() < 2) {
        return fail(ErrorCode::kLimit,
                    fmt::format("the bundle's texts and pictures need {} tokens, the context "
                                "holds {}",
                                tokens, session_.context_tokens()));
      }
      std::vector<Frame> kept;
      for (std::size_t i = 0; i < frames.size(); ++i) {
        if (i % 2 == 0 || i + 1 == frames.size())
          kept.push_back(std::move(frames[i]));
        else
          ++out_.frames_dropped;
      }
      if (kept.size() == frames.size()) {
        kept.pop_back();
        ++out_.frames_dropped;
      }
      frames = std::move(kept);
    }
  }

  std::vector<Prompt> judge_prompts() const {
    std::vector<Prompt> prompts;
    for (const AskedCheck& asked : asked_) prompts.push_back(judge_prompt(context_, asked));
    return prompts;
  }
  std::vector<Ordered> judge_schemas() const {
    std::vector<Ordered> schemas;
    for (const AskedCheck& asked : asked_) schemas.push_back(judge_schema(context_, asked));
    return schemas;
  }
  std::string judge_key() const {
    std::vector<Prompt> prompts = judge_prompts();
    prompts.push_back(set_prompt(context_));
    prompts.push_back(frames_prompt(context_));
    prompts.push_back(brief_prompt(context_, out_.observations, *inputs_.fact_rows));
    return key_of("judge", prompts, judge_schemas());
  }

  Result<void> judge(SequenceId main) {
    const auto begin = std::chrono::steady_clock::now();
    const PassWork before = session_.work();
    const std::string key = judge_key();
    PREFLIGHT_TRY_VOID(
        session_.prefill(main, brief_prompt(context_, out_.observations, *inputs_.fact_rows), false,
                         progress("judge"), events_.cancelled));
    std::vector<SequenceId> forks;
    for (std::size_t i = 0; i < asked_.size(); ++i) {
      PREFLIGHT_TRY(const SequenceId fork, keep(session_.fork(main)));
      forks.push_back(fork);
    }
    drop(main);
    StoredPass pass;
    if (!forks.empty()) {
      const std::vector<Prompt> prompts = judge_prompts();
      const std::vector<Ordered> schemas = judge_schemas();
      PREFLIGHT_TRY_VOID(session_.prefill_many(forks, prompts, false, {}, events_.cancelled));
      PREFLIGHT_TRY(pass.answers, session_.answer(forks, schemas, events_.cancelled));
    }
    for (const SequenceId fork : forks) drop(fork);
    pass.work = difference(session_.work(), before, seconds_since(begin));
    PREFLIGHT_TRY_VOID(store("judge", key, pass));
    return finish(pass);
  }

  Result<void> finish(const StoredPass& pass) {
    out_.work["judge"] = pass.work;
    std::vector<JudgedRow> judged;
    for (std::size_t i = 0; i < asked_.size(); ++i) {
      judged.push_back(
          judge_row(context_, out_.observations, *inputs_.fact_rows, asked_[i], pass.answers[i]));
      for (Json& claim : judged.back().claims) out_.claims.push_back(std::move(claim));
    }
    add_unasked_rows(judged, {});
    return {};
  }

  /// All rows in the order of checks.json: those judged, and the others with the reason.
  void add_unasked_rows(const std::vector<JudgedRow>& judged, const std::string& failure) {
    const std::set<std::string> have = available_inputs(*inputs_.bundle, *inputs_.material);
    const auto add = [&](const Check& check, const std::string* placement) {
      for (std::size_t i = 0; i < judged.size(); ++i) {
        const bool same = asked_[i].check == &check &&
                          (placement == nullptr || asked_[i].placement->id == *placement);
        if (!same) continue;
        add_row(judged[i].row);
        return;
      }
      std::string reason = failure.empty() ? not_askable(check, have) : failure;
      if (reason.empty()) reason = "no question of this check applies to what the model can see";
      add_row(unchecked_row(check, placement, reason));
    };
    for (const Check& check : inputs_.checks->checks) {
      if (!check.per_placement) {
        add(check, nullptr);
        continue;
      }
      for (const protocol::PlacementUse& use : inputs_.bundle->placements) add(check, &use.id);
    }
  }

  void add_row(const Json& row) {
    if (events_.row) events_.row(row);
    out_.rows.push_back(row);
  }

  std::string key_of(std::string_view pass, const std::vector<Prompt>& prompts,
                     const std::vector<Ordered>& schemas) const {
    protocol::Sha256 hash;
    hash.update(inputs_.key);
    hash.update(pass);
    for (const Prompt& prompt : prompts) hash.update(words_of(prompt));
    for (const Ordered& schema : schemas)
      hash.update(schema.dump(-1, ' ', false, Ordered::error_handler_t::replace));
    return hash.finish();
  }

  std::filesystem::path path_of(std::string_view pass) const {
    return inputs_.work_dir / fmt::format("{}.json", pass);
  }

  std::optional<StoredPass> load(std::string_view pass, const std::string& key,
                                 std::size_t answers) const {
    const auto text = protocol::read_small_file(path_of(pass), std::uint64_t{16} << 20);
    if (!text) return std::nullopt;
    return from_json(Json::parse(*text, nullptr, false), key, answers);
  }

  Result<void> store(std::string_view pass, const std::string& key,
                     const StoredPass& result) const {
    const std::filesystem::path path = path_of(pass);
    std::filesystem::path partial = path;
    partial += ".partial";
    std::ofstream file(partial, std::ios::binary | std::ios::trunc);
    file << to_json(result, key).dump(-1, ' ', false, Json::error_handler_t::replace);
    file.close();
    if (!file)
      return fail(ErrorCode::kIo, fmt::format("the pass \"{}\" could not be kept on disk", pass));
    std::error_code failed;
    std::filesystem::rename(partial, path, failed);
    if (failed) {
      return fail(ErrorCode::kIo, fmt::format("the pass \"{}\" could not be kept on disk: {}", pass,
                                              failed.message()));
    }
    return {};
  }

  Result<SequenceId> keep(Result<SequenceId> sequence) {
    if (sequence) open_.push_back(*sequence);
    return sequence;
  }
  void drop(SequenceId sequence) {
    std::erase(open_, sequence);
    session_.close(sequence);
  }

  Progress progress(std::string pass) const {
    return [this, pass = std::move(pass)](std::uint64_t done, std::uint64_t total) {
      report_progress(pass, done, total);
    };
  }
  void report_progress(const std::string& pass, std::uint64_t done, std::uint64_t total) const {
    if (events_.prefill) events_.prefill(pass, done, total);
  }

  ModelSession& session_;
  const PassInputs& inputs_;
  const PassEvents& events_;
  PromptContext context_;
  std::vector<AskedCheck> asked_;
  std::vector<SequenceId> open_;
  PassesResult out_;
};

}  // namespace

Result<PassesResult> run_passes(ModelSession& session, const PassInputs& inputs,
                                const PassEvents& events) {
  return Runner(session, inputs, events).run();
}

}  // namespace preflight::review
