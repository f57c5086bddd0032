#include "daemon/review/verdict.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "daemon/protocol/pattern.h"
#include "daemon/review/json_parts.h"
#include "daemon/review/text_match.h"
#include "daemon/review/text_rows.h"

namespace preflight::review {
namespace {

using Json = nlohmann::json;

Verdict verdict_of(std::string_view result) {
  if (result == "fail") return Verdict::kFail;
  if (result == "needs_human") return Verdict::kNeedsHuman;
  if (result == "pass") return Verdict::kPass;
  return Verdict::kNotApplicable;
}

std::string role_of(const PromptContext& context, const std::string& asset) {
  const protocol::Asset* found = context.bundle->find(asset);
  return found == nullptr ? asset : std::string(to_string(found->role));
}

/// Builds one row, question by question.
class RowBuilder {
 public:
  RowBuilder(const PromptContext& context, const Observations& observations, const Json& facts,
             const AskedCheck& asked, const CheckAnswer& answer)
      : context_(context),
        observations_(observations),
        facts_(facts),
        asked_(asked),
        check_(*asked.check),
        choices_(answer.choices),
        answer_(Json::parse(answer.text, nullptr, false)) {
    if (answer_.is_discarded()) answer_ = Json::object();
  }

  JudgedRow run() {
    if (asked_.claims) read_claims();
    for (const Question& question : check_.questions) read_question(question);
    if (asked_.ideas) read_ideas();
    take_failing_facts();
    if (check_.single_bundle) close_variants();
    if (!check_.auto_pass && worst_ == Verdict::kPass) {
      worst_ = Verdict::kNeedsHuman;
      reason_ = fmt::format("{} ({} claims); a person clears this row", check_.clear_wording,
                            claims_.size());
    }
    return finish();
  }

 private:
  struct Finding {
    std::string code, answer, text, fix;
    Verdict verdict = Verdict::kNeedsHuman;
    Severity severity = Severity::kInfo;
    Json evidence = Json::array();
    std::vector<std::string> areas;
  };

  void add(Finding finding) {
    std::string quote = finding.text;
    std::string asset;
    if (!finding.evidence.empty()) {
      const Json& first = finding.evidence.front();
      const std::string said = text_of(first, "quote");
      if (!said.empty()) quote = said;
      asset = text_of(first, "asset");
    }
    Json out = {{"code", finding.code},
                {"verdict", to_string(finding.verdict)},
                {"severity", to_string(finding.severity)},
                {"fingerprint", fingerprint(finding.code, quote, role_of(context_, asset))},
                {"text", finding.text},
                {"evidence", finding.evidence},
                {"suppressed", nullptr}};
    if (!finding.answer.empty()) out["answer"] = finding.answer;
    if (!finding.fix.empty()) out["fix"] = finding.fix;
    Json policies = Json::array();
    for (const PolicyArea* area : placed_policies(context_)) {
      if (std::find(finding.areas.begin(), finding.areas.end(), area->area) == finding.areas.end())
        continue;
      policies.push_back({{"id", area->id}, {"platform", area->platform}, {"as_of", area->as_of}});
    }
    if (!policies.empty()) out["policies"] = std::move(policies);
    weigh(finding.verdict, finding.severity, finding.text);
    findings_.push_back(std::move(out));
  }

  void weigh(Verdict verdict, Severity severity, const std::string& text) {
    const bool worse = static_cast<int>(verdict) > static_cast<int>(worst_) ||
                       (verdict == worst_ && severity > severity_);
    if (!worse) return;
    worst_ = verdict;
    severity_ = severity;
    reason_ = text;
  }

  /// Measured rows that a question or the check goes by.
  std::vector<const Json*> measured(const std::vector<std::string>& names) const {
    std::vector<const Json*> out;
    for (const Json& row : facts_) {
      const std::string fact = text_of(row, "fact");
      const bool named = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
        return fact_matches(name, fact);
      });
      const Json& placement = field(row, "placement");
      const bool here = placement.is_null() || asked_.placement == nullptr ||
                        text_of(placement) == asked_.placement->id;
      if (named && here) out.push_back(&row);
    }
    return out;
  }

  /// A question that measured facts decide. False: none of them was judged.
  bool decide_by_facts(const Question& question, Json& shown) {
    Json ids = Json::array();
    bool clean = true;
    for (const Json* row : measured(question.facts)) {
      if (verdict_of(text_of(*row, "result")) == Verdict::kNotApplicable) continue;
      ids.push_back(field(*row, "id"));
      clean = take_fact(*row, question.areas) && clean;
    }
    if (ids.empty()) return false;
    shown["answer"] = clean ? "yes" : "no";
    shown["by"] = "facts";
    shown["facts"] = std::move(ids);
    if (clean) weigh(Verdict::kPass, Severity::kInfo, {});
    return true;
  }

  /// A question for measured facts alone that none of them decides: they were measured and have no
  /// limit, there is nothing to measure, or it could not be done, which leaves the question open.
  void leave_undecided(const Question& question, Json shown) {
    Json ids = Json::array();
    const Json* open = nullptr;
    for (const Json* row : measured(question.facts)) {
      ids.push_back(field(*row, "id"));
      if (text_of(*row, "result") == "not_measured") open = row;
    }
    shown["answer"] = open == nullptr ? "not_applicable" : kCannotTell;
    shown["by"] = "facts";
    if (!ids.empty()) shown["facts"] = std::move(ids);
    questions_.push_back(std::move(shown));
    if (open == nullptr) return;
    Finding finding;
    finding.code = question.id;
    finding.answer = kCannotTell;
    finding.text = fmt::format("{}: {}", question.text, text_of(*open, "text"));
    add(std::move(finding));
  }

  /// Makes a finding of a measured row that does not pass. True: it passes.
  bool take_fact(const Json& row, const std::vector<std::string>& areas,
                 const FactRule* rule = nullptr) {
    const Verdict verdict = verdict_of(text_of(row, "result"));
    if (verdict != Verdict::kFail && verdict != Verdict::kNeedsHuman) return true;
    const std::string id = text_of(row, "id");
    const std::string asset = text_of(row, "asset");
    if (!used_facts_.insert(fmt::format("{}\n{}", id, asset)).second) return false;
    Finding finding;
    finding.code = id;
    finding.verdict = verdict;
    finding.severity = parse_severity(text_of(row, "severity")).value_or(Severity::kMinor);
    if (rule != nullptr) {
      finding.verdict = rule->verdict.value_or(verdict);
      finding.severity = rule->severity.value_or(finding.severity);
    }
    finding.text = text_of(row, "text");
    finding.areas = areas;
    finding.evidence.push_back({{"type", "fact"}, {"id", id}, {"asset", field(row, "asset")}});
    add(std::move(finding));
    return false;
  }

  void take_failing_facts() {
    for (const FactRule& rule : check_.facts) {
      for (const Json* row : measured(rule.facts)) {
        const std::string role = role_of(context_, text_of(*row, "asset"));
        const bool meant = rule.roles.empty() || std::find(rule.roles.begin(), rule.roles.end(),
                                                           role) != rule.roles.end();
        const auto severity = parse_severity(text_of(*row, "severity"));
        if (meant && severity && *severity >= rule.from) take_fact(*row, rule.areas, &rule);
      }
    }
  }

  Json checked(const Json& item, const std::vector<std::string>& kinds) {
    auto evidence =
        check_evidence(context_, observations_, kinds, text_of(item, "at"), text_of(item, "quote"));
    if (evidence) return std::move(*evidence);
    ++dropped_;
    return {};
  }

  void read_question(const Question& question) {
    Json shown = {{"q", question.id}};
    if (!question.axis.empty()) shown["axis"] = question.axis;
    if (!question.facts.empty()) {
      if (question.facts.front() == "speech.rate") {
        decide_pace(question, std::move(shown));
        return;
      }
      const bool decided = decide_by_facts(question, shown);
      if (decided) {
        questions_.push_back(std::move(shown));
        return;
      }
      if (!question.asks_model()) return leave_undecided(question, std::move(shown));
    }
    if (question.by_listening) return read_unclear(question, std::move(shown));
    if (question.human) return leave_to_human(question, std::move(shown));
    const bool was_asked = std::find(asked_.questions.begin(), asked_.questions.end(), &question) !=
                           asked_.questions.end();
    if (was_asked) read_answer(question, std::move(shown));
  }

  void read_answer(const Question& question, Json shown) {
    const Json& given = field(answer_, question.key());
    std::string word = text_of(given, "answer");
    Json evidence = Json::array();
    for (const Json& item : field(given, "evidence"))
      if (Json held = checked(item, question.evidence); !held.is_null())
        evidence.push_back(std::move(held));
    const bool known =
        word == kCannotTell || !question.axis.empty() || question.answers.contains(word);
    shown["answer"] = word;
    if (!known || word.empty()) word = std::string(kCannotTell);
    // Nothing that holds was shown for it: the answer does not count (and says so).
    const bool unfounded = word != kCannotTell && evidence.empty();
    if (unfounded) word = std::string(kCannotTell);
    shown["counted_as"] = word;
    shown["evidence"] = evidence.size();
    const Json& against = field(given, "against");
    if (!against.empty()) shown["against"] = against;
    const auto choice = choices_.find(fmt::format("/{}/answer", question.key()));
    bool certain = true;
    if (choice != choices_.end()) {
      const ChoiceStat& stat = choice->second;
      shown["p"] = stat.p;
      certain = stat.p >= context_.checks->needs_human_below;
      if (!confidence_ || stat.p < confidence_->p) confidence_ = stat;
      worst_outside_ = std::max(worst_outside_, stat.outside);
    }
    if (!question.axis.empty()) {
      if (word != kCannotTell && certain) tags_[question.axis] = word;
      questions_.push_back(std::move(shown));
      return;
    }
    Finding finding;
    finding.code = question.id;
    finding.answer = text_of(given, "answer");
    finding.areas = question.areas;
    finding.evidence = evidence;
    const auto outcome = question.answers.find(word);
    if (word == kCannotTell) {
      finding.text = unfounded ? fmt::format("{} The answer had no evidence that holds.",
                                             question_text(context_, asked_, question))
                               : fmt::format("{} The model could not tell.",
                                             question_text(context_, asked_, question));
      add(std::move(finding));
    } else if (!certain && outcome->second.verdict != Verdict::kNotApplicable) {
      finding.severity = outcome->second.severity;
      finding.text =
          outcome->second.finding.empty()
              ? fmt::format("{} The model is not sure.", question_text(context_, asked_, question))
              : fmt::format("{}, but the model is not sure", outcome->second.finding);
      add(std::move(finding));
    } else if (outcome->second.verdict == Verdict::kFail ||
               outcome->second.verdict == Verdict::kNeedsHuman) {
      finding.verdict = outcome->second.verdict;
      finding.severity = outcome->second.severity;
      finding.text = outcome->second.finding;
      finding.fix = outcome->second.fix;
      add(std::move(finding));
    } else {
      weigh(outcome->second.verdict, Severity::kInfo, {});
    }
    questions_.push_back(std::move(shown));
  }

  /// Is a number of the offer, or a required disclosure, said in these words?
  bool says_offer(const std::string& heard) const {
    std::size_t compared = 0;
    std::vector<SaidValue> offer = offer_values(*context_.bundle);
    std::erase_if(offer, [](const SaidValue& v) { return !v.source.starts_with("offer."); });
    const std::vector<SaidValue> said = said_values({"", heard, nullptr}, *context_.bundle);
    static_cast<void>(find_clashes(said, offer, compared));
    const auto& disclosures = context_.bundle->guardrails.required_disclosures;
    return compared > 0 ||
           std::any_of(disclosures.begin(), disclosures.end(), [&](const auto& disclosure) {
             return find_quote(disclosure.text, heard).similarity >=
                    context_.checks->quote_similarity;
           });
  }

  void read_unclear(const Question& question, Json shown) {
    if (observations_.heard.empty()) return;
    Json evidence = Json::array();
    bool on_offer = false;
    double p = 1;
    for (const Heard& heard : observations_.heard) {
      p = std::min(p, heard.unclear_p);
      if (heard.unclear == "none" || heard.unclear.empty()) continue;
      on_offer = on_offer ||
                 (heard.unclear_p >= context_.checks->needs_human_below && says_offer(heard.text));
      for (const Clip& clip : context_.material->clips) {
        if (clip.id != heard.clip) continue;
        evidence.push_back({{"type", "speech"},
                            {"asset", clip.asset},
                            {"clip", clip.id},
                            {"t0", clip.start_s},
                            {"t1", clip.end_s},
                            {"quote", heard.text},
                            {"unclear", heard.unclear}});
      }
    }
    shown["answer"] = evidence.empty() ? "no" : "yes";
    shown["by"] = "listening";
    shown["p"] = p;
    questions_.push_back(std::move(shown));
    if (evidence.empty() && p >= context_.checks->needs_human_below)
      return weigh(Verdict::kPass, Severity::kInfo, {});
    Finding finding;
    finding.code = question.id;
    finding.answer = evidence.empty() ? "no" : "yes";
    if (evidence.empty()) {
      finding.text = fmt::format("{}: none, but the model is not sure", question.text);
      return add(std::move(finding));
    }
    const Outcome& outcome =
        on_offer && question.hit_on_offer ? *question.hit_on_offer : *question.hit;
    finding.verdict = outcome.verdict;
    finding.severity = outcome.severity;
    finding.text = outcome.finding;
    finding.fix = outcome.fix;
    finding.evidence = std::move(evidence);
    add(std::move(finding));
  }

  void leave_to_human(const Question& question, Json shown) {
    const auto& list = context_.bundle->guardrails.pronounce;
    if (list.empty() || observations_.heard.empty()) return;
    Finding finding;
    finding.code = question.id;
    finding.verdict = question.human->verdict;
    finding.severity = question.human->severity;
    std::vector<std::string> terms;
    for (const auto& entry : list) {
      terms.push_back(fmt::format("{} as {}", entry.term, entry.say));
      finding.evidence.push_back({{"type", "guardrail"}, {"id", entry.id}, {"quote", entry.term}});
    }
    finding.text = fmt::format("{}: {}", question.human->finding, fmt::join(terms, ", "));
    add(std::move(finding));
    shown["answer"] = "not_applicable";
    shown["by"] = "human";
    questions_.push_back(std::move(shown));
  }

  /// Words of the transcript over the length of its clips, by the rule for speech.rate.
  void decide_pace(const Question& question, Json shown) {
    double words = 0;
    double seconds = 0;
    for (const Heard& heard : observations_.heard) {
      for (const Clip& clip : context_.material->clips) {
        if (clip.id != heard.clip || normalised(heard.text).empty()) continue;
        const std::string text = normalised(heard.text);
        words += 1 + static_cast<double>(std::count(text.begin(), text.end(), ' '));
        seconds += clip.end_s - clip.start_s;
      }
    }
    constexpr double kFewestWords = 5;
    for (const Rule& rule : context_.rules->common) {
      if (rule.fact != question.facts.front() || words < kFewestWords || seconds <= 0) continue;
      const auto prefix = rule.when.find("locale_prefix");
      if (prefix != rule.when.end() &&
          !context_.bundle->locale.starts_with(prefix->get<std::string>()))
        continue;
      const double rate = words / seconds * 60;
      const bool good = judge(rule, {Json(rate), {}, Json::array(), {}}, std::nullopt) == "pass";
      shown["answer"] = good ? "yes" : "no";
      shown["by"] = "listening";
      shown["measured"] = rate;
      questions_.push_back(std::move(shown));
      if (good) return weigh(Verdict::kPass, Severity::kInfo, {});
      Finding finding;
      finding.code = question.id;
      finding.severity = rule.severity;
      finding.text = fmt::format("about {:.0f} words a minute were heard, expected {} to {}", rate,
                                 rule.value[0].dump(), rule.value[1].dump());
      add(std::move(finding));
      return;
    }
  }

  /// What fails a claim by its words, where the model is certain of its type.
  const Outcome* worded_outcome(const ClaimList& list, std::size_t index, const std::string& type,
                                const std::string& quote) const {
    const auto choice = choices_.find(fmt::format("/claims/{}/type", index));
    if (choice == choices_.end() || choice->second.p < context_.checks->needs_human_below)
      return nullptr;
    for (const WordingRule& rule : list.wordings) {
      if (std::find(rule.types.begin(), rule.types.end(), type) == rule.types.end()) continue;
      const auto pattern = protocol::Pattern::compile(rule.pattern, /*is_regex=*/true);
      if (pattern && pattern->find(quote)) return &rule.outcome;
    }
    return nullptr;
  }

  void read_claims() {
    const ClaimList& list = *check_.claims;
    std::size_t next = 0;
    for (const Json& item : field(answer_, "claims")) {
      const std::size_t index = next++;
      Json evidence = checked(item, {"text", "speech"});
      const std::string type = text_of(item, "type");
      const auto outcome = list.types.find(type);
      if (evidence.is_null() || outcome == list.types.end()) continue;
      const std::string quote = text_of(item, "quote");
      Json claim = {{"id", fmt::format("c{}", claims_.size() + 1)},
                    {"text", quote},
                    {"type", type},
                    {"where", Json::array({evidence})}};
      const auto cleared = std::find_if(
          context_.bundle->allow.begin(), context_.bundle->allow.end(),
          [&](const protocol::AllowedClaim& allowed) {
            const QuoteMatch match = find_quote(allowed.text, quote);
            return match.similarity >= context_.checks->quote_similarity && match.numbers_agree;
          });
      const bool allowed = cleared != context_.bundle->allow.end();
      if (allowed) claim["allow"] = cleared->id;
      // Forbidden words in texts are measured rows already.
      const bool spoken = text_of(evidence, "type") == "speech";
      const auto denied =
          spoken ? denied_hits(*context_.bundle, {"", quote, nullptr}) : std::vector<DeniedHit>();
      if (!denied.empty()) claim["deny"] = denied.front().entry;
      claims_.push_back(std::move(claim));
      const Outcome* worded =
          spoken || allowed ? nullptr : worded_outcome(list, index, type, quote);
      if (denied.empty() && worded == nullptr &&
          (allowed || outcome->second.verdict == Verdict::kPass))
        continue;
      const Outcome& leads_to = !denied.empty()     ? list.denied_when_heard
                                : worded != nullptr ? *worded
                                                    : outcome->second;
      Finding finding;
      finding.code = list.question;
      finding.answer = type;
      finding.verdict = leads_to.verdict;
      finding.severity = leads_to.severity;
      finding.text = leads_to.finding.empty() ? fmt::format("claim of type {}: \"{}\"", type, quote)
                                              : fmt::format("{}: \"{}\"", leads_to.finding, quote);
      finding.fix = leads_to.fix.empty() ? "name the proof, or have it cleared" : leads_to.fix;
      finding.evidence.push_back(std::move(evidence));
      if (const auto areas = list.areas.find(type); areas != list.areas.end())
        finding.areas = areas->second;
      add(std::move(finding));
    }
  }

  void read_ideas() {
    for (const Json& item : field(answer_, "ideas")) {
      Json evidence = checked(item, {"text"});
      if (evidence.is_null()) continue;
      Finding finding;
      finding.code = check_.ideas->question;
      finding.text = fmt::format("an angle not used here: \"{}\"", text_of(item, "quote"));
      finding.evidence.push_back(std::move(evidence));
      add(std::move(finding));
    }
  }

  /// What one bundle can say of a matrix: which of its cells this variant is.
  void close_variants() {
    const auto& matrix = context_.bundle->matrix;
    std::vector<std::string> covered;
    std::vector<std::string> open;
    for (const auto& [axis, values] : matrix) {
      const auto tag = tags_.find(axis);
      for (const std::string& value : values) {
        const bool here = tag != tags_.end() && normalised(tag->second) == normalised(value);
        (here ? covered : open).push_back(fmt::format("{} {}", axis, value));
      }
    }
    if (matrix.empty()) {
      reason_ = "the brief asks for no variants by name (brief.matrix), so no gap can be counted";
    } else {
      reason_ = fmt::format(
          "this variant covers {}; whether others cover {} needs the whole set",
          covered.empty() ? "no cell for certain" : fmt::format("{}", fmt::join(covered, ", ")),
          open.empty() ? "the rest" : fmt::format("{}", fmt::join(open, ", ")));
    }
    if (worst_ != Verdict::kFail) {
      worst_ = Verdict::kNeedsHuman;
      severity_ = Severity::kInfo;
    }
  }

  Json coverage() const {
    const Material& material = *context_.material;
    Json frames = Json::array();
    for (const Frame& frame : material.frames) frames.push_back(frame.id);
    Json assets = Json::array();
    Json not_seen = Json::array();
    for (const AssetFacts& facts : material.facts) {
      const bool unseen = std::find(material.not_seen.begin(), material.not_seen.end(),
                                    facts.asset->id) != material.not_seen.end();
      (unseen ? not_seen : assets).push_back(facts.asset->id);
    }
    std::size_t words = 0;
    for (const TextItem& item : material.texts) {
      const std::string text = normalised(item.text);
      if (!text.empty())
        words += 1 + static_cast<std::size_t>(std::count(text.begin(), text.end(), ' '));
    }
    return {{"frames", std::move(frames)},
            {"words", words},
            {"frames_left_out", material.film_frames > material.frames.size()
                                    ? material.film_frames - material.frames.size()
                                    : 0},
            {"speech_s", material.speech_s},
            {"silence_left_out_s", material.silence_left_out_s},
            {"assets", std::move(assets)},
            {"not_seen", std::move(not_seen)},
            {"evidence_dropped", dropped_}};
  }

  JudgedRow finish() {
    if (worst_ == Verdict::kNotApplicable) {
      worst_ = Verdict::kNeedsHuman;
      reason_ = "no question of this check applies to the bundle";
    }
    if (worst_ == Verdict::kPass && reason_.empty()) reason_ = "no fault was found";
    JudgedRow out;
    const bool has_severity = worst_ == Verdict::kFail || worst_ == Verdict::kNeedsHuman;
    out.row = {{"id", check_.id},
               {"check", check_.name},
               {"placement", asked_.placement == nullptr ? Json() : Json(asked_.placement->id)},
               {"verdict", to_string(worst_)},
               {"severity", has_severity ? Json(to_string(severity_)) : Json()},
               {"confidence", nullptr},
               {"reason", reason_},
               {"human_owns", check_.human_owns},
               {"findings", std::move(findings_)},
               {"coverage", coverage()},
               {"questions", std::move(questions_)}};
    if (confidence_) {
      out.row["confidence"] = {{"value", confidence_->p},
                               {"kind", context_.checks->confidence_kind},
                               {"margin", confidence_->margin},
                               {"off_schema_mass", worst_outside_}};
    }
    if (!tags_.empty()) out.row["tags"] = tags_;
    out.claims = std::move(claims_);
    return out;
  }

  const PromptContext& context_;
  const Observations& observations_;
  const Json& facts_;
  const AskedCheck& asked_;
  const Check& check_;
  const std::map<std::string, ChoiceStat>& choices_;
  Json answer_;
  Verdict worst_ = Verdict::kNotApplicable;
  Severity severity_ = Severity::kInfo;
  std::string reason_;
  Json findings_ = Json::array();
  Json questions_ = Json::array();
  Json claims_ = Json::array();
  std::map<std::string, std::string> tags_;
  std::set<std::string> used_facts_;
  std::optional<ChoiceStat> confidence_;
  double worst_outside_ = 0;
  std::size_t dropped_ = 0;
};

}  // namespace

JudgedRow judge_row(const PromptContext& context, const Observations& observations,
                    const Json& fact_rows, const AskedCheck& asked, const CheckAnswer& answer) {
  return RowBuilder(context, observations, fact_rows, asked, answer).run();
}

Json unchecked_row(const Check& check, const std::string* placement, std::string_view reason) {
  return {{"id", check.id},
          {"check", check.name},
          {"placement", placement == nullptr ? Json() : Json(*placement)},
          {"verdict", to_string(Verdict::kNotChecked)},
          {"severity", nullptr},
          {"confidence", nullptr},
          {"reason", reason},
          {"human_owns", check.human_owns},
          {"findings", Json::array()},
          {"coverage", nullptr},
          {"questions", Json::array()}};
}

}  // namespace preflight::review
