// Prompts and answer schemas, built by code from checks.json and the bundle (docs/report.md,
// passes).
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "daemon/protocol/bundle.h"
#include "daemon/review/checks.h"
#include "daemon/review/material.h"

namespace preflight::review {

/// A piece of a prompt: words, a picture or sound. In words of strangers special tokens are inert.
struct PromptPart {
  std::string text;
  bool trusted = true;
  const media::RgbImage* picture = nullptr;
  std::uint32_t budget = 0;  ///< of the picture; 0: it has its final size already
  const std::vector<float>* samples = nullptr;
};

using Prompt = std::vector<PromptPart>;

/// What the listen pass wrote of one clip.
struct Heard {
  std::string clip, text, unclear;
  std::vector<std::string> tones;
  double unclear_p = 1;  ///< of the word that `unclear` is
};

/// What the look pass wrote.
struct Seen {
  std::string frame, text;
};

struct Observations {
  std::vector<Heard> heard;
  std::vector<Seen> screen;
  std::string shown;  ///< one line on what the film shows
};

/// One check that will be asked: the suffix it is asked with and what its answer looks like.
struct AskedCheck {
  const Check* check = nullptr;
  const Placement* placement = nullptr;    ///< of a check that has a row for each; else null
  std::vector<const Question*> questions;  ///< those the model answers
  bool claims = false, ideas = false;
  std::vector<std::string> personas;  ///< answers of the persona axis
};

struct PromptContext {
  const protocol::Bundle* bundle = nullptr;
  const Material* material = nullptr;
  const CheckSet* checks = nullptr;
  const RuleSet* rules = nullptr;
  double characters_per_token = 4;  ///< of this bundle's words with this tokenizer
};

/// Which checks can be asked at all, and which of their questions.
std::vector<AskedCheck> plan_checks(const PromptContext& context);
/// Why a check cannot be asked; empty: it can. One sentence.
std::string not_askable(const Check& check, const std::set<std::string>& have);

Prompt listen_prompt(const PromptContext& context, const Clip& clip);
/// Cache point A: instructions, product, landing page, which all variants of a set share.
Prompt set_prompt(const PromptContext& context);
/// Cache point B: the frames, behind the set.
Prompt frames_prompt(const PromptContext& context);
Prompt look_prompt(const PromptContext& context);
/// Cache point C: what the creative is measured by, its words, what was heard, seen and measured.
Prompt brief_prompt(const PromptContext& context, const Observations& observations,
                    const nlohmann::json& fact_rows);
Prompt judge_prompt(const PromptContext& context, const AskedCheck& asked);

nlohmann::ordered_json listen_schema(const PromptContext& context, const Clip& clip);
nlohmann::ordered_json look_schema(const PromptContext& context);
nlohmann::ordered_json judge_schema(const PromptContext& context, const AskedCheck& asked);

/// A question as it is asked, the bundle's own values filled in.
std::string question_text(const PromptContext& context, const AskedCheck& asked,
                          const Question& question);
/// The answer words of a question, cannot_tell last.
std::vector<std::string> answer_words(const AskedCheck& asked, const Question& question);
/// The ids that evidence of these kinds may name.
std::vector<std::string> evidence_ids(const PromptContext& context,
                                      const std::vector<std::string>& kinds);
/// Policy areas of the placements; what a finding cites.
std::vector<const PolicyArea*> placed_policies(const PromptContext& context);
/// Those that concern the product class as well; what the prompt names.
std::vector<const PolicyArea*> policies_for(const PromptContext& context);

}  // namespace preflight::review
