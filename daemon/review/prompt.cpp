#include "daemon/review/prompt.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

namespace preflight::review {
namespace {

using Ordered = nlohmann::ordered_json;
using protocol::Bundle;

constexpr std::string_view kUserTurn = "<|turn>user\n";
// Thinking off: the empty thought stands in the prompt (docs/text.md, chat format).
constexpr std::string_view kAnswerTurn = "<turn|>\n<|turn>model\n<|channel>thought\n<channel|>";

void add_text(Prompt& prompt, std::string text) {
  if (!prompt.empty() && prompt.back().trusted && prompt.back().picture == nullptr &&
      prompt.back().samples == nullptr) {
    prompt.back().text += text;
    return;
  }
  prompt.push_back({std::move(text), true, nullptr, 0, nullptr});
}

void add_foreign(Prompt& prompt, std::string text) {
  prompt.push_back({std::move(text), false, nullptr, 0, nullptr});
}

void add_picture(Prompt& prompt, const media::RgbImage& picture, std::uint32_t budget) {
  prompt.push_back({{}, true, &picture, budget, nullptr});
}

/// A block of foreign words under its id.
void add_item(Prompt& prompt, std::string_view id, const std::string& text) {
  add_text(prompt, fmt::format("[{}]\n", id));
  add_foreign(prompt, text.ends_with('\n') ? text : text + "\n");
}

bool is_set_text(const TextItem& item) { return item.id.starts_with("page"); }

std::string replaced(std::string text, std::string_view name, std::string_view value) {
  for (std::size_t at = text.find(name); at != std::string::npos; at = text.find(name, at)) {
    text.replace(at, name.size(), value);
    at += value.size();
  }
  return text;
}

/// Names in braces stand for the bundle's own values.
std::string filled(std::string text, const PromptContext& context, const Placement* placement) {
  const Bundle& bundle = *context.bundle;
  if (bundle.guardrails.brand_by_s)
    text = replaced(text, "{brand_by_s}", fmt::format("{}", *bundle.guardrails.brand_by_s));
  text = replaced(text, "{locale}", bundle.locale);
  if (placement != nullptr) {
    text = replaced(text, "{placement_label}", placement->label);
    const auto voice = context.checks->voices.find(placement->platform);
    text = replaced(text, "{platform_voice}",
                    voice == context.checks->voices.end() ? "plain" : voice->second);
  }
  return text;
}

std::size_t characters(const PromptContext& context, std::uint32_t tokens) {
  return std::max<std::size_t>(
      8, static_cast<std::size_t>(std::lround(tokens * context.characters_per_token)));
}

Ordered string_schema(std::size_t max_characters) {
  return {{"type", "string"}, {"maxLength", max_characters}};
}

Ordered enum_schema(const std::vector<std::string>& words) { return {{"enum", words}}; }

Ordered object_schema(Ordered properties) {
  Ordered required = Ordered::array();
  for (const auto& [name, schema] : properties.items()) required.push_back(name);
  return {{"type", "object"},
          {"properties", std::move(properties)},
          {"required", std::move(required)},
          {"additionalProperties", false}};
}

Ordered list_schema(Ordered items, std::size_t most) {
  return {{"type", "array"}, {"items", std::move(items)}, {"maxItems", most}};
}

Ordered evidence_schema(const PromptContext& context, const std::vector<std::string>& ids) {
  return object_schema(
      {{"at", enum_schema(ids)},
       {"quote", string_schema(characters(context, context.checks->limits.quote_tokens))}});
}

bool is_class(std::string_view product_class, std::initializer_list<std::string_view> classes) {
  return std::find(classes.begin(), classes.end(), product_class) != classes.end();
}

bool concerns_class(const PolicyArea& area, const std::string& product_class) {
  if (area.area == "weight") return is_class(product_class, {"weight", "health", "food"});
  if (area.area == "financial_promise") return is_class(product_class, {"finance", "crypto"});
  if (area.area == "health_claim")
    return is_class(product_class, {"health", "weight", "beauty", "food"});
  if (area.area == "negative_self_perception")
    return is_class(product_class, {"health", "weight", "beauty"});
  return area.area != "age_gate" || is_class(product_class, {"weight", "health", "beauty"});
}

}  // namespace

std::vector<const PolicyArea*> placed_policies(const PromptContext& context) {
  std::vector<const PolicyArea*> out;
  for (const PolicyArea& area : context.rules->policies) {
    const bool placed =
        area.platform == "*" ||
        std::any_of(context.bundle->placements.begin(), context.bundle->placements.end(),
                    [&](const protocol::PlacementUse& use) {
                      const auto found = context.rules->placements.find(use.id);
                      return found != context.rules->placements.end() &&
                             found->second.platform == area.platform;
                    });
    if (placed) out.push_back(&area);
  }
  return out;
}

std::vector<const PolicyArea*> policies_for(const PromptContext& context) {
  std::vector<const PolicyArea*> out = placed_policies(context);
  std::erase_if(out, [&](const PolicyArea* area) {
    return !concerns_class(*area, context.bundle->product_class);
  });
  return out;
}

std::vector<std::string> evidence_ids(const PromptContext& context,
                                      const std::vector<std::string>& kinds) {
  const Material& material = *context.material;
  const auto asks = [&](std::string_view kind) {
    return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
  };
  std::vector<std::string> out;
  for (const TextItem& item : material.texts) {
    const bool rail = item.id.starts_with("guardrails");
    if (asks("text") || (asks("guardrail") && rail)) out.push_back(item.id);
  }
  if (asks("speech"))
    for (const Clip& clip : material.clips) out.push_back(clip.id);
  if (asks("frame") || asks("screen_text"))
    for (const Frame& frame : material.frames) out.push_back(frame.id);
  if (asks("image"))
    for (const Picture& picture : material.pictures) out.push_back(picture.id);
  return out;
}

std::string question_text(const PromptContext& context, const AskedCheck& asked,
                          const Question& question) {
  return filled(question.text, context, asked.placement);
}

std::vector<std::string> answer_words(const AskedCheck& asked, const Question& question) {
  std::vector<std::string> words;
  if (question.axis == "persona") {
    words = asked.personas;
  } else {
    for (const auto& [word, outcome] : question.answers) words.push_back(word);
  }
  words.emplace_back(kCannotTell);
  return words;
}

std::string not_askable(const Check& check, const std::set<std::string>& have) {
  const std::string missing = missing_need(check.needs, have);
  if (missing.empty()) return {};
  std::string names;
  for (const char c : missing) {
    if (c == '|')
      names += " or ";
    else
      names += c == '_' ? ' ' : c;
  }
  return fmt::format("nothing to check: the bundle has no readable {}", names);
}

std::vector<AskedCheck> plan_checks(const PromptContext& context) {
  const std::set<std::string> have = available_inputs(*context.bundle, *context.material);
  std::vector<AskedCheck> out;
  const auto add = [&](const Check& check, const Placement* placement) {
    if (!not_askable(check, have).empty()) return;
    AskedCheck asked{&check, placement, {}, false, false, {}};
    if (const auto persona = context.bundle->matrix.find("persona");
        persona != context.bundle->matrix.end()) {
      asked.personas = persona->second;
      std::erase(asked.personas, "other");
      asked.personas.emplace_back("other");
      std::sort(asked.personas.begin(), asked.personas.end());
      asked.personas.erase(std::unique(asked.personas.begin(), asked.personas.end()),
                           asked.personas.end());
      std::erase(asked.personas, std::string(kCannotTell));
    }
    for (const Question& question : check.questions) {
      if (!question.asks_model() || !missing_need(question.needs, have).empty()) continue;
      if (placement != nullptr && !question.sound.empty() &&
          std::find(question.sound.begin(), question.sound.end(), placement->sound) ==
              question.sound.end())
        continue;
      if (evidence_ids(context, question.evidence).empty()) continue;
      asked.questions.push_back(&question);
    }
    asked.claims = check.claims.has_value() && !evidence_ids(context, {"text", "speech"}).empty();
    asked.ideas = check.ideas.has_value() && missing_need(check.ideas->needs, have).empty() &&
                  !evidence_ids(context, {"text"}).empty();
    if (!asked.questions.empty() || asked.claims) out.push_back(std::move(asked));
  };
  for (const Check& check : context.checks->checks) {
    if (!check.per_placement) {
      add(check, nullptr);
      continue;
    }
    for (const protocol::PlacementUse& use : context.bundle->placements) {
      const auto placement = context.rules->placements.find(use.id);
      if (placement != context.rules->placements.end()) add(check, &placement->second);
    }
  }
  return out;
}

Prompt listen_prompt(const PromptContext& context, const Clip& clip) {
  Prompt prompt;
  add_text(prompt, fmt::format("{}clip {} {}-{}\n", kUserTurn, clip.id, clock_time(clip.start_s),
                               clock_time(clip.end_s)));
  prompt.push_back({{}, true, nullptr, 0, &clip.samples});
  add_text(prompt, fmt::format("\n{}{}", context.checks->listen, kAnswerTurn));
  return prompt;
}

Prompt set_prompt(const PromptContext& context) {
  Prompt prompt;
  add_text(prompt, fmt::format("<|turn>system\n{}<turn|>\n{}", context.checks->system, kUserTurn));
  for (const Picture& picture : context.material->pictures) {
    add_text(prompt, fmt::format("picture {}\n", picture.id));
    add_picture(prompt, picture.image, picture.budget);
    add_text(prompt, "\n");
  }
  for (const TextItem& item : context.material->texts)
    if (is_set_text(item)) add_item(prompt, item.id, item.text);
  return prompt;
}

Prompt frames_prompt(const PromptContext& context) {
  Prompt prompt;
  for (const Frame& frame : context.material->frames) {
    add_text(prompt, fmt::format("frame {} at {}\n", frame.id, clock_time(frame.time_s)));
    add_picture(prompt, frame.image, 0);
    add_text(prompt, "\n");
  }
  return prompt;
}

Prompt look_prompt(const PromptContext& context) {
  Prompt prompt;
  add_text(prompt, fmt::format("{}{}", context.checks->look, kAnswerTurn));
  return prompt;
}

Prompt brief_prompt(const PromptContext& context, const Observations& observations,
                    const nlohmann::json& fact_rows) {
  Prompt prompt;
  const auto policies = policies_for(context);
  if (!policies.empty()) {
    std::string text = "[policies]\n";
    for (const PolicyArea* area : policies) text += fmt::format("{}: {}\n", area->id, area->area);
    add_text(prompt, std::move(text));
  }
  for (const TextItem& item : context.material->texts)
    if (!is_set_text(item)) add_item(prompt, item.id, item.text);
  if (!context.material->clips.empty()) {
    add_text(prompt, "[heard]\n");
    for (const Clip& clip : context.material->clips) {
      const auto heard = std::find_if(observations.heard.begin(), observations.heard.end(),
                                      [&](const Heard& entry) { return entry.clip == clip.id; });
      add_text(prompt, fmt::format("{} {}-{}: ", clip.id, clock_time(clip.start_s),
                                   clock_time(clip.end_s)));
      if (heard != observations.heard.end()) {
        add_foreign(prompt, heard->text);
        add_text(prompt, fmt::format(" (unclear: {}; tone: {})", heard->unclear,
                                     fmt::join(heard->tones, ", ")));
      }
      add_text(prompt, "\n");
    }
  }
  if (!observations.screen.empty() || !observations.shown.empty()) {
    add_text(prompt, "[on screen]\n");
    for (const Seen& seen : observations.screen) {
      add_text(prompt, fmt::format("{}: ", seen.frame));
      add_foreign(prompt, seen.text);
      add_text(prompt, "\n");
    }
    add_text(prompt, "shown: ");
    add_foreign(prompt, observations.shown);
    add_text(prompt, "\n");
  }
  std::string facts;
  for (const nlohmann::json& row : fact_rows) {
    const std::string result = row.value("result", "");
    if (result == "fail" || result == "needs_human")
      facts += fmt::format("{}: {}\n", row.value("id", ""), row.value("text", ""));
  }
  if (!facts.empty()) add_item(prompt, "measured faults", facts);
  return prompt;
}

Prompt judge_prompt(const PromptContext& context, const AskedCheck& asked) {
  const Check& check = *asked.check;
  Prompt prompt;
  std::string text =
      replaced(context.checks->judge, "{topic}", filled(check.topic, context, asked.placement));
  if (asked.claims) text += fmt::format("\nclaims: {}", check.claims->text);
  for (const Question* question : asked.questions)
    text += fmt::format("\n{}: {}", question->key(), question_text(context, asked, *question));
  if (asked.ideas) text += fmt::format("\nideas: {}", check.ideas->text);
  add_text(prompt, fmt::format("{}{}", text, kAnswerTurn));
  return prompt;
}

Ordered listen_schema(const PromptContext& context, const Clip& clip) {
  const CheckLimits& limits = context.checks->limits;
  const auto speakable = static_cast<std::size_t>(
      std::lround(8 + (clip.end_s - clip.start_s) * limits.heard_characters_per_s));
  Ordered tone = list_schema(enum_schema(context.checks->tones), 2);
  tone["minItems"] = 2;
  return object_schema(
      {{"heard", string_schema(std::min(speakable, characters(context, limits.heard_tokens)))},
       {"unclear", enum_schema(context.checks->unclear)},
       {"tone", std::move(tone)}});
}

Ordered look_schema(const PromptContext& context) {
  const CheckLimits& limits = context.checks->limits;
  std::vector<std::string> frames;
  for (const Frame& frame : context.material->frames) frames.push_back(frame.id);
  const std::size_t length = characters(context, limits.screen_text_tokens);
  return object_schema(
      {{"texts",
        list_schema(object_schema({{"at", enum_schema(frames)}, {"text", string_schema(length)}}),
                    std::min<std::size_t>(frames.size(), limits.screen_texts))},
       {"shown", string_schema(length)}});
}

Ordered judge_schema(const PromptContext& context, const AskedCheck& asked) {
  const CheckLimits& limits = context.checks->limits;
  Ordered properties = Ordered::object();
  if (asked.claims) {
    std::vector<std::string> types;
    for (const auto& [type, outcome] : asked.check->claims->types) types.push_back(type);
    properties["claims"] = list_schema(
        object_schema({{"at", enum_schema(evidence_ids(context, {"text", "speech"}))},
                       {"quote", string_schema(characters(context, limits.quote_tokens))},
                       {"type", enum_schema(types)}}),
        asked.check->claims->max_items);
  }
  for (const Question* question : asked.questions) {
    const std::vector<std::string> ids = evidence_ids(context, question->evidence);
    properties[question->key()] = object_schema(
        {{"seen", string_schema(characters(context, limits.seen_tokens))},
         {"evidence", list_schema(evidence_schema(context, ids), limits.evidence_items)},
         {"against", list_schema(enum_schema(ids), 1)},
         {"answer", enum_schema(answer_words(asked, *question))}});
  }
  if (asked.ideas) {
    properties["ideas"] = list_schema(evidence_schema(context, evidence_ids(context, {"text"})),
                                      asked.check->ideas->max_items);
  }
  return object_schema(std::move(properties));
}

}  // namespace preflight::review
