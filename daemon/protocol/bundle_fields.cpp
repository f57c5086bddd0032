#include "daemon/protocol/bundle_fields.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "daemon/protocol/field_reader.h"
#include "daemon/protocol/pattern.h"

namespace preflight::protocol {
namespace {

using Json = nlohmann::json;

constexpr std::array<std::pair<Role, std::string_view>, 11> kRoles = {{
    {Role::kBrief, "brief"},
    {Role::kGuardrails, "guardrails"},
    {Role::kScript, "script"},
    {Role::kHook, "hook"},
    {Role::kProductImage, "product_image"},
    {Role::kVideo, "video"},
    {Role::kVoiceover, "voiceover"},
    {Role::kLandingPage, "landing_page"},
    {Role::kCaptions, "captions"},
    {Role::kThumbnail, "thumbnail"},
    {Role::kReference, "reference"},
}};

constexpr std::array<std::string_view, 11> kClasses = {"general", "health",   "weight",   "finance",
                                                       "crypto",  "alcohol",  "gambling", "beauty",
                                                       "food",    "software", "other"};

constexpr std::array<std::string_view, 6> kCopyFields = {
    "primary_text", "headline", "description", "business_name", "destination_url", "display_url"};

bool is_alnum(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

bool is_bundle_id(std::string_view id) {
  return !id.empty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  });
}

// BCP 47 in outline: subtags of 1 to 8 letters or digits, the first of 2 to 8 letters.
bool is_locale(std::string_view locale) {
  if (locale.empty() || locale.size() > 35) return false;
  std::size_t length = 0;
  std::size_t subtag = 0;
  for (std::size_t i = 0; i <= locale.size(); ++i) {
    if (i < locale.size() && locale[i] != '-') {
      if (!is_alnum(locale[i]) ||
          (subtag == 0 && std::isdigit(static_cast<unsigned char>(locale[i]))))
        return false;
      ++length;
      continue;
    }
    if (length == 0 || length > 8 || (subtag == 0 && length < 2)) return false;
    length = 0;
    ++subtag;
  }
  return true;
}

bool is_upper_code(std::string_view code, std::size_t length) {
  return code.size() == length &&
         std::all_of(code.begin(), code.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

/// "89.00", "1200": digits, at most one point with digits on both sides.
bool is_price(std::string_view price) {
  const std::size_t point = price.find('.');
  const std::string_view whole = price.substr(0, point);
  const std::string_view cents =
      point == std::string_view::npos ? std::string_view("0") : price.substr(point + 1);
  const auto digits = [](std::string_view s, std::size_t most) {
    return !s.empty() && s.size() <= most &&
           std::all_of(s.begin(), s.end(), [](char c) { return c >= '0' && c <= '9'; });
  };
  return digits(whole, 9) && digits(cents, 4);
}

void check_date(FieldReader& reader, std::string_view name, const std::string& date,
                const BundleOptions& options, Problems& problems) {
  if (date.empty()) return;
  if (!is_date(date)) {
    reader.error("B014", reader.at(name), fmt::format("\"{}\" is not a date", date),
                 "write it as 2026-12-15");
  } else if (!options.today.empty() && date < options.today) {
    problems.warnings.push_back(
        {"B104", reader.at(name), fmt::format("the date {} lies in the past", date), "", -1});
  }
}

/// Ids of one list must differ; an entry without one gets PREFIX + its number.
class Ids {
 public:
  Ids(std::string prefix, FieldReader& reader) : prefix_(std::move(prefix)), reader_(reader) {}

  std::string take(const std::string& given, const std::string& pointer) {
    ++count_;
    const std::string id = given.empty() ? fmt::format("{}{}", prefix_, count_) : given;
    if (!seen_.insert(id).second)
      reader_.error("B030", pointer + "/id", fmt::format("the id \"{}\" is used twice", id));
    return id;
  }

 private:
  std::string prefix_;
  FieldReader& reader_;
  std::set<std::string> seen_;
  std::size_t count_ = 0;
};

void read_placements(FieldReader& root, const BundleOptions& options, BundleReading& reading) {
  const auto list = root.list("placements", options.limits.placements);
  if (!root.has("placements")) {
    root.error("B011", root.at("placements"), "required field \"placements\" is missing",
               "name where the creative will run, for example [\"tiktok.infeed\"]");
  }
  if (root.has("placements") && list.empty())
    root.error("B011", root.at("placements"), "no placement is named");
  const std::vector<std::string_view> known(options.known_placements.begin(),
                                            options.known_placements.end());
  std::set<std::string> seen;
  for (const auto& [value, pointer] : list) {
    PlacementUse use;
    std::string where = pointer;
    if (value->is_string()) {
      use.id = value->get<std::string>();
    } else {
      FieldReader entry(*value, pointer, reading.problems);
      use.id = entry.text("id", true);
      where = entry.at("id");
      if (const Json* given = entry.object("options"); given != nullptr) {
        FieldReader option(*given, entry.at("options"), reading.problems);
        use.max_duration_s = option.number("max_duration_s", 1, 3600);
        option.refuse_others({"max_duration_s"});
      }
      entry.refuse_others({"id", "options"});
      if (!entry.is_object()) continue;
    }
    if (use.id.empty()) continue;
    if (!known.empty() && std::find(known.begin(), known.end(), use.id) == known.end()) {
      const std::string near = nearest_name(use.id, known);
      root.error("B012", where, fmt::format("unknown placement \"{}\"", use.id),
                 near.empty() ? fmt::format("known are {}", fmt::join(known, ", "))
                              : fmt::format("did you mean {}?", near));
      continue;
    }
    if (!seen.insert(use.id).second) {
      root.error("B015", where, fmt::format("the placement \"{}\" is named twice", use.id));
      continue;
    }
    reading.bundle.placements.push_back(std::move(use));
  }
}

void read_offer(FieldReader& root, const BundleOptions& options, BundleReading& reading) {
  const Json* given = root.object("offer");
  if (given == nullptr || given->empty()) {
    reading.problems.warnings.push_back({"B105", root.at("offer"), "no offer is given",
                                         "rows that need the offer will not be checked", -1});
    return;
  }
  FieldReader r(*given, root.at("offer"), reading.problems);
  Offer offer;
  offer.promise = r.text("promise", true);
  offer.price = r.text("price");
  offer.currency = r.text("currency");
  offer.discount_pct = r.number("discount_pct", 0, 100);
  offer.terms = r.text("terms");
  offer.ends = r.text("ends");
  offer.cta = r.text("cta");
  offer.landing_url = r.text("landing_url");
  r.refuse_others(
      {"promise", "price", "currency", "discount_pct", "terms", "ends", "cta", "landing_url"});
  if (!offer.price.empty() && !is_price(offer.price)) {
    r.error("B014", r.at("price"), fmt::format("\"{}\" is not a price", offer.price),
            "digits with a point, as \"89.00\"");
  }
  if (!offer.currency.empty() && !is_upper_code(offer.currency, 3)) {
    r.error("B014", r.at("currency"), fmt::format("\"{}\" is not a currency code", offer.currency),
            "three capital letters, as \"GBP\"");
  }
  check_date(r, "ends", offer.ends, options, reading.problems);
  reading.bundle.offer = std::move(offer);
}

void read_claims(FieldReader& root, const BundleOptions& options, BundleReading& reading) {
  const Json* given = root.object("claims");
  if (given == nullptr) return;
  FieldReader claims(*given, root.at("claims"), reading.problems);
  claims.refuse_others({"allow", "deny"});
  Ids allow_ids("CL", claims);
  for (const auto& [value, pointer] : claims.list("allow", options.limits.list_entries)) {
    FieldReader r(*value, pointer, reading.problems);
    if (!r.is_object()) continue;
    AllowedClaim claim{allow_ids.take(r.text("id"), pointer), r.text("text", true), r.text("proof"),
                       r.text("expires")};
    check_date(r, "expires", claim.expires, options, reading.problems);
    r.refuse_others({"id", "text", "proof", "expires"});
    reading.bundle.allow.push_back(std::move(claim));
  }
  Ids deny_ids("DN", claims);
  for (const auto& [value, pointer] : claims.list("deny", options.limits.list_entries)) {
    FieldReader r(*value, pointer, reading.problems);
    if (!r.is_object()) continue;
    DeniedClaim claim;
    claim.id = deny_ids.take(r.text("id"), pointer);
    claim.pattern = r.text("pattern", true);
    claim.why = r.text("why");
    const std::string kind = r.text("kind");
    claim.is_regex = kind == "regex";
    if (!kind.empty() && kind != "regex" && kind != "literal") {
      r.error("B013", r.at("kind"), fmt::format("\"{}\" is no kind of pattern", kind),
              "\"literal\" or \"regex\"");
    }
    r.refuse_others({"id", "pattern", "kind", "why"});
    if (claim.pattern.empty()) continue;
    if (auto compiled = Pattern::compile(claim.pattern, claim.is_regex); !compiled) {
      r.error(claim.pattern.size() > Pattern::kMaxBytes ? "B032" : "B031", r.at("pattern"),
              compiled.error());
      continue;
    }
    reading.bundle.deny.push_back(std::move(claim));
  }
}

std::vector<Guardrail> read_guardrail_list(FieldReader& r, std::string_view name, Ids& ids,
                                           std::size_t most, Problems& problems) {
  std::vector<Guardrail> out;
  for (const auto& [value, pointer] : r.list(name, most)) {
    FieldReader entry(*value, pointer, problems);
    if (!entry.is_object()) continue;
    out.push_back({ids.take(entry.text("id"), pointer), entry.text("text", true)});
    entry.refuse_others({"id", "text"});
  }
  return out;
}

void read_guardrails(FieldReader& root, const BundleOptions& options, BundleReading& reading) {
  const Json* given = root.object("guardrails");
  if (given == nullptr) return;
  const std::size_t most = options.limits.list_entries;
  Problems& problems = reading.problems;
  FieldReader r(*given, root.at("guardrails"), problems);
  Guardrails& out = reading.bundle.guardrails;
  out.tone = r.texts("tone", most);
  Ids ids("G", r);
  out.must = read_guardrail_list(r, "must", ids, most, problems);
  out.must_not = read_guardrail_list(r, "must_not", ids, most, problems);
  out.brand_by_s = r.number("brand_by_s", 0, 600);
  Ids pronounce_ids("PR", r);
  for (const auto& [value, pointer] : r.list("pronounce", most)) {
    FieldReader entry(*value, pointer, problems);
    if (!entry.is_object()) continue;
    out.pronounce.push_back({pronounce_ids.take(entry.text("id"), pointer),
                             entry.text("term", true), entry.text("say", true)});
    entry.refuse_others({"id", "term", "say"});
  }
  Ids disclosure_ids("RD", r);
  for (const auto& [value, pointer] : r.list("required_disclosures", most)) {
    FieldReader entry(*value, pointer, problems);
    if (!entry.is_object()) continue;
    out.required_disclosures.push_back({disclosure_ids.take(entry.text("id"), pointer),
                                        entry.text("text", true), entry.number("min_s", 0, 600)});
    entry.refuse_others({"id", "text", "min_s"});
  }
  r.refuse_others({"tone", "must", "must_not", "brand_by_s", "pronounce", "required_disclosures"});
}

void read_matrix_and_copy(FieldReader& root, const BundleOptions& options, BundleReading& reading) {
  if (const Json* given = root.object("brief"); given != nullptr) {
    FieldReader r(*given, root.at("brief"), reading.problems);
    if (const Json* matrix = r.object("matrix"); matrix != nullptr) {
      FieldReader axes(*matrix, r.at("matrix"), reading.problems);
      for (const auto& [axis, values] : matrix->items())
        reading.bundle.matrix[axis] = axes.texts(axis, options.limits.list_entries);
    }
    r.refuse_others({"matrix"});
  }
  if (const Json* given = root.object("copy"); given != nullptr) {
    FieldReader r(*given, root.at("copy"), reading.problems);
    for (const std::string_view field : kCopyFields)
      if (r.has(field)) reading.bundle.copy[std::string(field)] = r.text(field);
    r.refuse_others({"primary_text", "headline", "description", "business_name", "destination_url",
                     "display_url"});
  }
}

void read_asset(const FieldReader::Element& element, BundleReading& reading) {
  FieldReader r(*element.value, element.pointer, reading.problems);
  Asset asset;
  if (!r.is_object()) {
    reading.bundle.assets.push_back(std::move(asset));  // indices stay those of the file
    return;
  }
  asset.id = r.text("id", true);
  const std::string role = r.text("role", true);
  if (const auto parsed = parse_role(role); parsed) {
    asset.role = *parsed;
  } else if (!role.empty()) {
    std::vector<std::string_view> names;
    for (const auto& [value, name] : kRoles) names.push_back(name);
    const std::string near = nearest_name(role, names);
    r.error("B013", r.at("role"), fmt::format("unknown role \"{}\"", role),
            near.empty() ? fmt::format("known are {}", fmt::join(names, ", "))
                         : fmt::format("did you mean {}?", near));
  }
  asset.path = r.text("path");
  if (r.has("text")) asset.text = r.text("text");
  if (asset.path.empty() == !asset.text.has_value()) {
    r.error("B020", element.pointer,
            asset.text ? "an asset has either \"path\" or \"text\", this one has both"
                       : "an asset needs \"path\" or \"text\", this one has neither");
  }
  asset.sha256 = r.text("sha256");
  std::transform(asset.sha256.begin(), asset.sha256.end(), asset.sha256.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (!asset.sha256.empty() &&
      (asset.sha256.size() != 64 ||
       asset.sha256.find_first_not_of("0123456789abcdef") != std::string::npos)) {
    r.error("B014", r.at("sha256"), "expected 64 hexadecimal digits");
    asset.sha256.clear();
  }
  asset.lang = r.text("lang");
  asset.placements = r.texts("placements", 64);
  asset.caption_of = r.text("caption_of");
  const std::string trust = r.text("trust");
  if (!trust.empty() && trust != "own" && trust != "third_party") {
    r.error("B013", r.at("trust"), fmt::format("unknown trust \"{}\"", trust),
            "\"own\" or \"third_party\"");
  }
  asset.third_party = trust == "third_party" || (trust.empty() && asset.role == Role::kLandingPage);
  r.refuse_others(
      {"id", "role", "path", "text", "sha256", "lang", "placements", "caption_of", "trust"});
  const bool inline_media =
      asset.text && (asset.role == Role::kVideo || asset.role == Role::kVoiceover ||
                     asset.role == Role::kProductImage || asset.role == Role::kThumbnail);
  if (inline_media)
    r.error("B020", r.at("text"), fmt::format("a {} must be a file", to_string(asset.role)));
  if (std::any_of(reading.bundle.assets.begin(), reading.bundle.assets.end(),
                  [&](const Asset& other) { return !asset.id.empty() && other.id == asset.id; }))
    r.error("B015", r.at("id"), fmt::format("the id \"{}\" is used twice", asset.id));
  // Kept even where wrong: what is found in its file is reported too.
  reading.bundle.assets.push_back(std::move(asset));
}

/// Some roles may be filled once per placement; captions and placements must name what exists.
void check_assets_together(FieldReader& root, BundleReading& reading) {
  const Bundle& bundle = reading.bundle;
  const auto overlap = [](const Asset& a, const Asset& b) {
    if (a.placements.empty() || b.placements.empty()) return true;
    return std::any_of(a.placements.begin(), a.placements.end(), [&](const std::string& id) {
      return std::find(b.placements.begin(), b.placements.end(), id) != b.placements.end();
    });
  };
  const auto is_single = [](Role role) {
    return role == Role::kBrief || role == Role::kGuardrails || role == Role::kScript ||
           role == Role::kHook || role == Role::kVoiceover || role == Role::kVideo;
  };
  for (std::size_t i = 0; i < bundle.assets.size(); ++i) {
    const Asset& asset = bundle.assets[i];
    const std::string pointer = fmt::format("/assets/{}", i);
    for (std::size_t j = 0; j < i; ++j) {
      const Asset& other = bundle.assets[j];
      if (other.role == asset.role && is_single(asset.role) && overlap(asset, other)) {
        root.error("B025", pointer + "/role",
                   fmt::format("a second {} for the same placement, the first is \"{}\"",
                               to_string(asset.role), other.id),
                   "limit each to its placements with \"placements\"");
        break;
      }
    }
    if (!asset.caption_of.empty()) {
      const Asset* target = bundle.find(asset.caption_of);
      if (target == nullptr || target->role != Role::kVideo) {
        root.error("B026", pointer + "/caption_of",
                   fmt::format("\"{}\" is not a video of this bundle", asset.caption_of));
      }
    }
    for (std::size_t p = 0; p < asset.placements.size(); ++p) {
      const bool known =
          std::any_of(bundle.placements.begin(), bundle.placements.end(),
                      [&](const PlacementUse& use) { return use.id == asset.placements[p]; });
      if (!known) {
        root.error("B027", fmt::format("{}/placements/{}", pointer, p),
                   fmt::format("\"{}\" is not among the bundle's placements", asset.placements[p]));
      }
    }
  }
}

}  // namespace

std::string_view to_string(Role role) {
  for (const auto& [value, name] : kRoles)
    if (value == role) return name;
  return "reference";
}

std::optional<Role> parse_role(std::string_view word) {
  for (const auto& [value, name] : kRoles)
    if (name == word) return value;
  return std::nullopt;
}

bool is_date(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return false;
  const auto digits = [&](std::size_t from, std::size_t n) {
    int value = 0;
    for (std::size_t i = from; i < from + n; ++i) {
      if (text[i] < '0' || text[i] > '9') return -1;
      value = value * 10 + (text[i] - '0');
    }
    return value;
  };
  const int year = digits(0, 4);
  const int month = digits(5, 2);
  const int day = digits(8, 2);
  if (year < 1 || month < 1 || month > 12 || day < 1) return false;
  constexpr std::array<int, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  const int last = kDays[static_cast<std::size_t>(month - 1)] + (month == 2 && leap ? 1 : 0);
  return day <= last;
}

void read_bundle_fields(const Json& document, const BundleOptions& options,
                        BundleReading& reading) {
  FieldReader root(document, "", reading.problems);
  if (!root.is_object()) return;
  Bundle& bundle = reading.bundle;
  if (const std::string schema = root.text("schema", true);
      !schema.empty() && schema != "preflight.bundle/1") {
    root.error("B016", "/schema", fmt::format("unknown schema \"{}\"", schema),
               "expected \"preflight.bundle/1\"");
  }
  bundle.id = root.text("id", true);
  if (!bundle.id.empty() && !is_bundle_id(bundle.id)) {
    root.error("B014", "/id", fmt::format("\"{}\" is not an id", bundle.id),
               "1 to 64 of a-z, 0-9, '.', '_', '-'");
  }
  bundle.set = root.text("set");
  bundle.title = root.text("title");
  bundle.owner = root.text("owner");
  bundle.notes = root.text("notes");
  bundle.locale = root.text("locale", true);
  if (!bundle.locale.empty() && !is_locale(bundle.locale)) {
    root.error("B014", "/locale", fmt::format("\"{}\" is not a language tag", bundle.locale),
               "as in \"en-GB\"");
  }
  bundle.markets = root.texts("markets", options.limits.list_entries);
  for (std::size_t i = 0; i < bundle.markets.size(); ++i) {
    if (!is_upper_code(bundle.markets[i], 2)) {
      root.error("B014", fmt::format("/markets/{}", i),
                 fmt::format("\"{}\" is not a country code", bundle.markets[i]),
                 "two capital letters, as \"GB\"");
    }
  }
  bundle.product_class = root.text("product_class", true);
  if (!bundle.product_class.empty() &&
      std::find(kClasses.begin(), kClasses.end(), bundle.product_class) == kClasses.end()) {
    const std::string near = nearest_name(bundle.product_class, kClasses);
    root.error("B013", "/product_class",
               fmt::format("unknown product class \"{}\"", bundle.product_class),
               near.empty() ? fmt::format("known are {}", fmt::join(kClasses, ", "))
                            : fmt::format("did you mean {}?", near));
  }
  bundle.assumed = root.texts("assumed", options.limits.list_entries);
  read_placements(root, options, reading);
  read_offer(root, options, reading);
  read_claims(root, options, reading);
  read_guardrails(root, options, reading);
  read_matrix_and_copy(root, options, reading);
  if (!root.has("assets")) {
    root.error("B011", "/assets", "required field \"assets\" is missing");
  } else {
    const auto assets = root.list("assets", options.limits.assets);
    if (assets.empty()) root.error("B011", "/assets", "no asset is named");
    for (const auto& element : assets) read_asset(element, reading);
  }
  check_assets_together(root, reading);
  root.refuse_others({"schema", "id", "set", "title", "owner", "locale", "markets", "product_class",
                      "placements", "offer", "claims", "guardrails", "brief", "copy", "assets",
                      "notes", "assumed"});
}

}  // namespace preflight::protocol
