#pragma once

#include <string>

#include "engine/text/prompt_writer.h"
#include "engine/text/value.h"
#include "vk/error.h"

namespace preflight::text {

/// Brings a tool in the OpenAI form into the shape a declaration can say: local `$ref`s replaced by
/// what they name, `[T, "null"]` by T and nullable, a missing type of the parameters by object.
/// `where` names the tool in errors ("tools[0]").
Result<Value> normalize_tool(const Value& tool, const std::string& where);

/// Writes the declaration of a normalised tool (docs/text.md).
void write_declaration(PromptWriter& out, const Value& tool);

}  // namespace preflight::text
