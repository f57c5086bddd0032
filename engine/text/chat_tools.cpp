#include "engine/text/chat_tools.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "engine/text/unicode.h"

namespace preflight::text {
namespace {

using Kind = Value::Kind;

std::string text_of(const Value& object, std::string_view key) {
  const Value* found = object.find(key);
  return found != nullptr && found->is_string() ? found->text : std::string();
}

bool has(const Value& object, std::string_view key) {
  const Value* found = object.find(key);
  return found != nullptr && found->is_truthy();
}

/// Follows `$ref`s inside one tool's parameters.
class Normalizer {
 public:
  Normalizer(const Value& root, std::string where) : root_(root), where_(std::move(where)) {}

  Result<Value> schema(const Value& given) {
    if (!given.is_object()) return given;
    if (++n_visited_ > kMaxVisited) {
      return fail(ErrorCode::kLimit,
                  fmt::format("{}: the parameters have more than {} parts once every $ref is "
                              "replaced",
                              where_, kMaxVisited));
    }
    if (const Value* ref = given.find("$ref"); ref != nullptr && ref->is_string()) {
      return replaced(given, ref->text);
    }
    Value out;
    out.kind = Kind::kObject;
    for (std::size_t i = 0; i < given.keys.size(); ++i) {
      PREFLIGHT_TRY(Value member, this->member(given.keys[i], given.items[i]));
      out.set(given.keys[i], std::move(member));
    }
    split_nullable(out);
    return out;
  }

 private:
  static constexpr std::size_t kMaxVisited = 10000;

  Result<Value> member(const std::string& key, const Value& value) {
    if (key == "items") return schema(value);
    if (key != "properties" || !value.is_object()) return value;
    Value out;
    out.kind = Kind::kObject;
    for (std::size_t i = 0; i < value.keys.size(); ++i) {
      PREFLIGHT_TRY(Value property, schema(value.items[i]));
      out.set(value.keys[i], std::move(property));
    }
    return out;
  }

  /// The schema that `$ref` names, with the members that stand beside the reference.
  Result<Value> replaced(const Value& given, const std::string& ref) {
    if (std::find(open_refs_.begin(), open_refs_.end(), ref) != open_refs_.end()) {
      return fail(ErrorCode::kUnsupported,
                  fmt::format("{}: the $ref '{}' leads back to itself", where_, ref));
    }
    const Value* target = ref == "#" ? &root_ : resolve(ref);
    if (target == nullptr || !target->is_object()) {
      return fail(
          ErrorCode::kInvalidInput,
          fmt::format("{}: the $ref '{}' names no schema inside the parameters", where_, ref));
    }
    Value merged = *target;
    for (std::size_t i = 0; i < given.keys.size(); ++i) {
      if (given.keys[i] != "$ref") merged.set(given.keys[i], given.items[i]);
    }
    open_refs_.push_back(ref);
    Result<Value> out = schema(merged);
    open_refs_.pop_back();
    return out;
  }

  const Value* resolve(std::string_view ref) const {
    if (!ref.starts_with("#/")) return nullptr;
    ref.remove_prefix(2);
    const Value* at = &root_;
    while (at != nullptr && !ref.empty()) {
      const std::size_t slash = std::min(ref.find('/'), ref.size());
      at = at->find(unescaped(ref.substr(0, slash)));
      ref.remove_prefix(std::min(slash + 1, ref.size()));
    }
    return at;
  }

  static std::string unescaped(std::string_view token) {
    std::string out;
    for (std::size_t i = 0; i < token.size(); ++i) {
      const std::string_view rest = token.substr(i);
      if (rest.starts_with("~1") || rest.starts_with("~0")) {
        out.push_back(rest[1] == '1' ? '/' : '~');
        ++i;
      } else {
        out.push_back(token[i]);
      }
    }
    return out;
  }

  static void split_nullable(Value& schema) {
    Value* type = schema.find("type");
    if (type == nullptr || !type->is_array() || type->items.size() != 2) return;
    const auto is_null = [](const Value& item) { return item.is_string() && item.text == "null"; };
    const bool first = is_null(type->items[0]);
    if (first == is_null(type->items[1])) return;
    Value other = type->items[first ? 1 : 0];
    *type = std::move(other);
    Value yes;
    yes.kind = Kind::kBoolean;
    yes.boolean = true;
    schema.set("nullable", std::move(yes));
  }

  const Value& root_;
  std::string where_;
  std::vector<std::string> open_refs_;
  std::size_t n_visited_ = 0;
};

/// The upper-cased type. A list of types appears as the reference's template happens to print it.
std::string type_text(const Value& schema) {
  const Value* type = schema.find("type");
  if (type == nullptr) return {};
  if (type->is_string()) return to_upper(type->text);
  if (!type->is_array()) return {};
  std::string out = "[";
  for (std::size_t i = 0; i < type->items.size(); ++i) {
    out += fmt::format("{}'{}'", i > 0 ? ", " : "", to_upper(type->items[i].text));
  }
  return out + "]";
}

void write_names(PromptWriter& out, std::string_view field, const Value& names) {
  out.markup(field);
  out.markup(":[");
  for (std::size_t i = 0; i < names.items.size(); ++i) {
    if (i > 0) out.markup(",");
    out.quoted(names.items[i].text);
  }
  out.markup("]");
}

void write_fields(PromptWriter& out, const Value& schema);

void write_property(PromptWriter& out, const std::string& name, const Value& schema) {
  out.untrusted(name);
  out.markup(":{");
  write_fields(out, schema);
  out.markup("}");
}

void write_properties(PromptWriter& out, const Value& properties) {
  bool first = true;
  for (const std::size_t i : sorted_members(properties)) {
    if (!first) out.markup(",");
    first = false;
    write_property(out, properties.keys[i], properties.items[i]);
  }
}

/// An object schema without properties: its own members stand in for them, as in the reference.
Value own_members(const Value& schema) {
  constexpr std::string_view kLeftOut[] = {"description", "type", "properties", "required",
                                           "nullable"};
  Value out;
  out.kind = Kind::kObject;
  for (std::size_t i = 0; i < schema.keys.size(); ++i) {
    const bool left_out =
        std::find(std::begin(kLeftOut), std::end(kLeftOut), schema.keys[i]) != std::end(kLeftOut);
    if (!left_out) out.set(schema.keys[i], schema.items[i]);
  }
  return out;
}

void write_items(PromptWriter& out, const Value& items) {
  out.markup("items:{");
  bool first = true;
  for (const std::size_t i : sorted_members(items)) {
    const std::string& key = items.keys[i];
    const Value& value = items.items[i];
    if (!first) out.markup(",");
    first = false;
    if (key == "properties") {
      out.markup("properties:{");
      if (value.is_object()) write_properties(out, value);
      out.markup("}");
    } else if (key == "required" && value.is_array()) {
      write_names(out, "required", value);
    } else if (key == "type" && value.is_string()) {
      out.markup("type:");
      out.quoted(to_upper(value.text));
    } else {
      out.untrusted(key);
      out.markup(":");
      out.value(value, true);
    }
  }
  out.markup("}");
}

void write_fields(PromptWriter& out, const Value& schema) {
  bool first = true;
  const auto comma = [&out, &first] {
    if (!first) out.markup(",");
    first = false;
  };
  const std::string type = type_text(schema);
  if (has(schema, "description")) {
    comma();
    out.markup("description:");
    out.quoted(text_of(schema, "description"));
  }
  if (type == "STRING" && has(schema, "enum")) {
    comma();
    out.markup("enum:");
    out.value(*schema.find("enum"), true);
  }
  const Value* items = schema.find("items");
  if (type == "ARRAY" && items != nullptr && items->is_object() && items->is_truthy()) {
    comma();
    write_items(out, *items);
  }
  if (has(schema, "nullable")) {
    comma();
    out.markup("nullable:true");
  }
  if (type == "OBJECT") {
    const Value* properties = schema.find("properties");
    const bool given = properties != nullptr && properties->is_object();
    comma();
    out.markup("properties:{");
    write_properties(out, given ? *properties : own_members(schema));
    out.markup("}");
    if (has(schema, "required")) {
      out.markup(",");
      write_names(out, "required", *schema.find("required"));
    }
  }
  comma();
  out.markup("type:");
  out.quoted(type);
}

}  // namespace

Result<Value> normalize_tool(const Value& tool, const std::string& where) {
  const Value* function = tool.find("function");
  const bool named = function != nullptr && function->is_object() &&
                     function->find("name") != nullptr && function->find("name")->is_string();
  if (!named) {
    return fail(
        ErrorCode::kInvalidInput,
        fmt::format("{}: expected {{\"type\": \"function\", \"function\": {{\"name\": ...}}}}",
                    where));
  }
  Value out = *function;
  Value* parameters = out.find("parameters");
  if (parameters == nullptr || !parameters->is_truthy()) return out;
  if (!parameters->is_object()) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("{}.function.parameters is {}, expected an object", where,
                            kind_name(parameters->kind)));
  }
  Normalizer normalizer(*function->find("parameters"), where);
  PREFLIGHT_TRY(Value schema, normalizer.schema(*function->find("parameters")));
  if (type_text(schema).empty()) schema.set("type", Value::string("object"));
  *parameters = std::move(schema);
  return out;
}

void write_declaration(PromptWriter& out, const Value& tool) {
  out.markup("declaration:");
  out.untrusted(text_of(tool, "name"));
  out.markup("{description:");
  out.quoted(text_of(tool, "description"));
  if (has(tool, "parameters")) {
    const Value& parameters = *tool.find("parameters");
    out.markup(",parameters:{");
    const Value* properties = parameters.find("properties");
    if (properties != nullptr && properties->is_object() && properties->is_truthy()) {
      out.markup("properties:{");
      write_properties(out, *properties);
      out.markup("},");
    }
    if (has(parameters, "required")) {
      write_names(out, "required", *parameters.find("required"));
      out.markup(",");
    }
    out.markup("type:");
    out.quoted(type_text(parameters));
    out.markup("}");
  }
  if (has(tool, "response") && tool.find("response")->is_object()) {
    const Value& response = *tool.find("response");
    out.markup(",response:{");
    if (has(response, "description")) {
      out.markup("description:");
      out.quoted(text_of(response, "description"));
      out.markup(",");
    }
    out.markup("type:");
    out.quoted("OBJECT");
    out.markup("}");
  }
  out.markup("}");
}

}  // namespace preflight::text
