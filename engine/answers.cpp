// Generation of several answers at once: one step a round for all of them.

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "engine/answer.h"
#include "engine/drafting.h"
#include "engine/engine_impl.h"

namespace preflight::engine {
namespace {

/// What the step reads of a round, and the rows that decide: the one before each draft, and the
/// last of all.
Work with_proposal(Work work, const Proposal& proposal) {
  const auto last = static_cast<std::uint32_t>(work.inputs.size() - 1);
  for (std::uint32_t i = 0; i < proposal.drafted.size(); i++) work.wanted.push_back(last + i);
  for (const std::int32_t id : proposal.drafted) work.inputs.push_back({.token = id});
  for (const std::int32_t id : proposal.forced) work.inputs.push_back({.token = id});
  work.wanted.push_back(static_cast<std::uint32_t>(work.inputs.size() - 1));
  work.tentative = proposal.n_tokens() > 0;
  return work;
}

Result<void> check_pending(const Sequence& sequence) {
  if (!sequence.pending.empty()) return {};
  return fail(ErrorCode::kInvalidInput,
              "generation needs a token to go on from: the sequence is empty or ends in an image");
}

/// Adds the seconds that the submissions of its scope took to a meter's figure.
class DeviceStopwatch {
 public:
  DeviceStopwatch(const vk::Submitter& submitter, double& seconds)
      : submitter_(submitter), seconds_(seconds) {}
  ~DeviceStopwatch() { seconds_ += (submitter_.total_ms() - start_ms_) / 1000; }
  DeviceStopwatch(const DeviceStopwatch&) = delete;
  DeviceStopwatch& operator=(const DeviceStopwatch&) = delete;

 private:
  const vk::Submitter& submitter_;
  double& seconds_;
  double start_ms_ = submitter_.total_ms();
};

/// How the rows' tokens are drawn; empty where all are greedy.
std::vector<params::SampleRow> sampling_of(std::span<const Round> rounds,
                                           std::span<const WantedRow> wanted) {
  const auto greedy = [&](const WantedRow& row) {
    return rounds[row.work].answer->sampling.temperature == 0;
  };
  if (std::all_of(wanted.begin(), wanted.end(), greedy)) return {};
  std::vector<params::SampleRow> rows;
  for (const WantedRow& row : wanted) {
    const Round& round = rounds[row.work];
    const Proposal& proposal = round.proposal;
    const bool last = row.wanted == proposal.drafted.size();
    const auto behind = static_cast<std::uint32_t>(last ? proposal.n_tokens() : row.wanted);
    rows.push_back(sample_row(round.answer->sampling, round.next_position + behind));
  }
  return rows;
}

forward::HeadRows head_of(std::span<const Round> rounds, std::span<const WantedRow> wanted) {
  forward::HeadRows head{
      .rows = {}, .masks = {}, .sampling = sampling_of(rounds, wanted), .softmax = {}};
  for (const WantedRow& row : wanted) {
    const Place& place = rounds[row.work].proposal.places[row.wanted];
    if (place.choice)
      head.softmax.push_back(
          {.ix = static_cast<std::uint32_t>(head.rows.size()), .tokens = place.choice->tokens});
    head.rows.push_back(row.row);
    head.masks.push_back(place.mask);
  }
  return head;
}

/// Adds the steps that a call did without. `n_steps` were made in `n_rounds` rounds, each with a
/// part of every answer that was still open: a step where all of it fitted one.
void add_saved_steps(Meter& meter, std::span<const Answer> answers, std::uint64_t n_rounds,
                     std::uint64_t n_steps) {
  std::uint64_t longest = 0;         // steps, were each token a step's
  std::uint64_t longest_chosen = 0;  // steps, were each token a step's that is not forced
  for (const Answer& answer : answers) {
    const std::uint64_t n_tokens = answer.result.ids.size();
    longest = std::max(longest, n_tokens);
    longest_chosen = std::max(longest_chosen, n_tokens - answer.result.n_forced_tokens);
  }
  const std::uint64_t n_forced = longest - longest_chosen;
  const std::uint64_t n_split = n_steps - n_rounds;
  meter.saved_steps += n_forced - std::min(n_forced, n_split);
  meter.draft_saved_steps += longest_chosen - n_rounds;
}

}  // namespace

Result<std::vector<std::int32_t>> Engine::verify(SequenceId sequence,
                                                 std::span<const std::int32_t> drafts) {
  Impl& impl = *impl_;
  PREFLIGHT_TRY_VOID(check_pending(impl.at(sequence)));
  Proposal proposal;
  proposal.drafted.assign(drafts.begin(), drafts.end());
  Work work = with_proposal(impl.work_of(sequence, {}), proposal);
  work.tentative = true;
  kv::SequencePages& pages = work.sequence->pages;
  const std::uint32_t length = pages.length();
  std::vector<std::int32_t> ids;
  const auto head_of = [&](std::span<const WantedRow> wanted) {
    forward::HeadRows head;
    head.masks.assign(wanted.size(), impl.free_text_mask);
    for (const WantedRow& row : wanted) head.rows.push_back(row.row);
    return head;
  };
  const auto take_rows = [&](std::span<const WantedRow>,
                             std::span<const params::ArgmaxEntry> best) -> Result<void> {
    for (const params::ArgmaxEntry& entry : best)
      ids.push_back(static_cast<std::int32_t>(entry.token));
    return {};
  };
  PREFLIGHT_TRY_VOID(impl.scheduler->run({&work, 1}, forward::Phase::kGenerate, head_of, take_rows,
                                         [](std::uint32_t) {}, {}));
  pages.truncate(*impl.pools, length);
  return ids;
}

Result<std::vector<Generation>> Engine::generate(
    std::span<const GenerateRow> rows, const Cancelled& cancelled,
    const std::function<void(std::size_t row, std::int32_t id)>& on_token) {
  Impl& impl = *impl_;
  const Stopwatch stopwatch(impl.meter.generate_seconds);
  const DeviceStopwatch device_stopwatch(impl.submitter, impl.meter.generate_device_seconds);
  const AnswerRules rules{.free_text_mask = impl.free_text_mask, .stop = special_tokens().stop};

  std::vector<Answer> answers;
  for (const GenerateRow& row : rows) {
    PREFLIGHT_TRY_VOID(check_pending(impl.at(row.sequence)));
    const double expected = impl.drafting->planner().expected_acceptance();
    PREFLIGHT_TRY_VOID(check_sampling(row.sampling));
    answers.push_back({.sequence = row.sequence,
                       .state = row.constraint,
                       .max_tokens = row.max_tokens,
                       .sampling = row.sampling,
                       .may_draft = row.draft,
                       .choices = generate::ChoiceReader(special_tokens().stop),
                       .open_pointer = {},
                       .open_margin = 0,
                       .result = {},
                       .ended = row.max_tokens == 0 && !row.constraint,
                       .acceptance = generate::Acceptance(expected),
                       .hidden_row = {}});
  }
  const auto report = [&](const Answer& answer, std::int32_t id) {
    if (on_token) on_token(static_cast<std::size_t>(&answer - answers.data()), id);
  };

  std::uint64_t n_rounds = 0;
  std::uint64_t n_all_steps = 0;
  for (;;) {
    // What each answer appends in this step: what is pending, then what its schema forces.
    std::vector<Round> rounds;
    for (Answer& answer : answers) {
      if (answer.ended) continue;
      PREFLIGHT_TRY(const std::vector<std::int32_t> forced, answer.take_forced());
      impl.meter.forced_tokens += forced.size();
      Sequence& sequence = impl.at(answer.sequence);
      for (const std::int32_t id : forced) {
        sequence.pending.push_back({.token = id, .soft_row = {}});
        report(answer, id);
      }
      if (answer.state && answer.state->done()) {
        answer.ended = true;
        answer.result.finish_reason = FinishReason::kSchema;
        continue;
      }
      const std::size_t next = sequence.pages.length() + sequence.pending.size();
      rounds.push_back({.answer = &answer,
                        .sequence = &sequence,
                        .next_position = static_cast<std::uint32_t>(next),
                        .proposal = {}});
      rounds.back().proposal.places.push_back(rules.place(answer.state));
    }
    if (rounds.empty()) break;
    n_rounds++;
    const auto round_start = std::chrono::steady_clock::now();
    PREFLIGHT_TRY_VOID(
        impl.drafting->propose(rounds, rules, *impl.pools, impl.plan.context_tokens));
    std::vector<Work> works;
    for (const Round& round : rounds) {
      works.push_back(with_proposal(impl.work_of(round.answer->sequence, {}), round.proposal));
      impl.meter.drafted_tokens += round.proposal.drafted.size();
      round.answer->result.n_drafted_tokens +=
          static_cast<std::uint32_t>(round.proposal.drafted.size());
    }

    std::uint32_t n_tokens = 0;
    const auto take_rows = [&](std::span<const WantedRow> wanted,
                               std::span<const params::ArgmaxEntry> best) -> Result<void> {
      for (std::uint32_t i = 0; i < wanted.size(); i++) {
        Round& round = rounds[wanted[i].work];
        if (!round.open) continue;
        Answer& answer = *round.answer;
        const Proposal& proposal = round.proposal;
        if (best[i].token == params::kNoToken)
          return fail(ErrorCode::kInternal, "no token was allowed, or every logit was NaN");
        const auto token = static_cast<std::int32_t>(best[i].token);

        if (const auto& open = proposal.places[wanted[i].wanted].choice) {
          PREFLIGHT_TRY(const forward::RowSoftmax softmax,
                        impl.decoder->read_softmax(impl.uploader, i, open->tokens));
          const std::size_t n_choices = answer.result.choices.size();
          PREFLIGHT_TRY_VOID(answer.read_choice(open->choice, softmax, token));
          for (std::size_t c = n_choices; c < answer.result.choices.size(); c++)
            impl.drafting->add_choice(answer.result.choices[c].outcome);
        }
        PREFLIGHT_TRY_VOID(answer.take(token, rules));
        report(answer, token);
        impl.meter.generated_tokens++;
        n_tokens++;
        answer.hidden_row = wanted[i].row;
        // Only now is what was pending part of the cache; the new token is what is pending next.
        round.sequence->pending.assign(1, {.token = token, .soft_row = {}});

        const std::size_t place = wanted[i].wanted;
        const bool drafted = place < proposal.drafted.size();
        round.open = drafted && token == proposal.drafted[place];
        if (drafted) {
          impl.drafting->add_outcome(proposal, answer, round.open);
        }
        if (!round.open) continue;
        round.n_confirmed++;
        answer.result.n_accepted_tokens++;
        impl.meter.accepted_tokens++;
        if (place + 1 < proposal.drafted.size()) continue;
        // The step holds the text that the schema forces from here on.
        PREFLIGHT_TRY(const std::vector<std::int32_t> forced, answer.take_forced());
        PREFLIGHT_ASSERT(forced == proposal.forced && !answer.ended);
        impl.meter.forced_tokens += forced.size();
        round.n_confirmed += forced.size();
        for (const std::int32_t id : forced) report(answer, id);
      }
      return {};
    };
    std::uint32_t n_steps = 0;
    std::uint32_t n_rows = 0;
    const auto start = std::chrono::steady_clock::now();
    PREFLIGHT_TRY_VOID(impl.scheduler->run(
        works, forward::Phase::kGenerate,
        [&](std::span<const WantedRow> wanted) { return head_of(rounds, wanted); }, take_rows,
        [&](std::uint32_t n_step_rows) {
          n_steps++;
          n_all_steps++;
          n_rows += n_step_rows;
          if (n_step_rows <= kMaxNarrowRows)
            impl.meter.narrow_steps++;
          else
            impl.meter.wide_steps++;
        },
        cancelled));
    const auto end = std::chrono::steady_clock::now();
    std::uint32_t n_proposed = 0;

    for (Round& round : rounds) {
      if (n_steps > 1) round.answer->hidden_row.reset();  // gone with the last step's
      if (round.proposal.n_tokens() == 0) continue;
      n_proposed += static_cast<std::uint32_t>(round.proposal.n_tokens());
      kv::SequencePages& pages = round.sequence->pages;
      const std::size_t n_rejected = round.proposal.n_tokens() - round.n_confirmed;
      pages.truncate(*impl.pools, pages.length() - static_cast<std::uint32_t>(n_rejected));
      pages.release_behind_window(*impl.pools);
    }
    if (n_steps == 1) {
      using Milliseconds = std::chrono::duration<double, std::milli>;
      generate::DraftPlanner& planner = impl.drafting->planner();
      planner.add_target_step(n_rows, Milliseconds(end - start).count());
      planner.add_round(static_cast<std::uint32_t>(rounds.size()), n_rows - n_proposed,
                        n_proposed > 0, n_tokens, Milliseconds(end - round_start).count());
    }
  }

  std::vector<Generation> results;
  add_saved_steps(impl.meter, answers, n_rounds, n_all_steps);
  for (Answer& answer : answers) {
    Generation& result = answer.result;
    const std::size_t n_text =
        result.finish_reason == FinishReason::kStop ? result.ids.size() - 1 : result.ids.size();
    result.text = tokenizer().decode(std::span(result.ids).first(n_text), /*keep_special=*/true);
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace preflight::engine
