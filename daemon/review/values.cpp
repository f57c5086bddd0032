#include "daemon/review/values.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "daemon/review/text_match.h"

namespace preflight::review {
namespace {

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (static_cast<unsigned char>(c) >= 0x80);
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

struct Word {
  std::string_view name;
  std::string_view meaning;
};

constexpr std::array<Word, 7> kSymbols = {{{"£", "GBP"},
                                           {"€", "EUR"},
                                           {"¥", "JPY"},
                                           {"₹", "INR"},
                                           {"US$", "USD"},
                                           {"$", "USD"},
                                           {"₩", "KRW"}}};
constexpr std::array<std::string_view, 16> kCodes = {"GBP", "EUR", "USD", "CHF", "SEK", "NOK",
                                                     "DKK", "PLN", "CZK", "JPY", "CAD", "AUD",
                                                     "NZD", "INR", "BRL", "MXN"};
constexpr std::array<Word, 12> kMoneyWords = {{{"pound", "GBP"},
                                               {"pounds", "GBP"},
                                               {"quid", "GBP"},
                                               {"euro", "EUR"},
                                               {"euros", "EUR"},
                                               {"dollar", "USD"},
                                               {"dollars", "USD"},
                                               {"bucks", "USD"},
                                               {"franken", "CHF"},
                                               {"francs", "CHF"},
                                               {"kronor", "SEK"},
                                               {"kroner", "NOK"}}};
constexpr std::array<Word, 50> kUnits = {{
    {"s", "second"},        {"sec", "second"},     {"secs", "second"},     {"second", "second"},
    {"seconds", "second"},  {"sekunde", "second"}, {"sekunden", "second"}, {"seconde", "second"},
    {"secondes", "second"}, {"segundo", "second"}, {"segundos", "second"}, {"min", "minute"},
    {"mins", "minute"},     {"minute", "minute"},  {"minutes", "minute"},  {"minuten", "minute"},
    {"minuto", "minute"},   {"minutos", "minute"}, {"h", "hour"},          {"hr", "hour"},
    {"hrs", "hour"},        {"hour", "hour"},      {"hours", "hour"},      {"stunde", "hour"},
    {"stunden", "hour"},    {"heure", "hour"},     {"heures", "hour"},     {"hora", "hour"},
    {"horas", "hour"},      {"day", "day"},        {"days", "day"},        {"tag", "day"},
    {"tage", "day"},        {"tagen", "day"},      {"jour", "day"},        {"jours", "day"},
    {"días", "day"},        {"week", "week"},      {"weeks", "week"},      {"woche", "week"},
    {"wochen", "week"},     {"semaines", "week"},  {"semanas", "week"},    {"month", "month"},
    {"months", "month"},    {"monate", "month"},   {"mois", "month"},      {"year", "year"},
    {"years", "year"},      {"jahre", "year"},
}};
// Beginnings that tell the months of English, German, French and Spanish apart.
struct Month {
  std::string_view start;
  int number;
};
constexpr std::array<Month, 32> kMonths = {{
    {"jan", 1},  {"jän", 1},  {"ene", 1},   {"feb", 2},    {"fév", 2},  {"mar", 3},  {"mär", 3},
    {"apr", 4},  {"avr", 4},  {"abr", 4},   {"may", 5},    {"mai", 5},  {"jun", 6},  {"juin", 6},
    {"jul", 7},  {"juil", 7}, {"aug", 8},   {"aoû", 8},    {"ago", 8},  {"sep", 9},  {"oct", 10},
    {"okt", 10}, {"nov", 11}, {"dec", 12},  {"déc", 12},   {"dez", 12}, {"dic", 12}, {"mrz", 3},
    {"sept", 9}, {"mayo", 5}, {"enero", 1}, {"agosto", 8},
}};

std::optional<int> month_number(std::string_view word) {
  const std::string low = lower(word);
  if (low.size() < 3 || low.size() > 12) return std::nullopt;
  // Whole words only: "market" and "marathon" are not March.
  static constexpr std::array<std::string_view, 60> kFull = {
      "jan",        "january",   "januar",   "janvier",   "enero",   "jänner",    "feb",
      "february",   "februar",   "février",  "febrero",   "mar",     "march",     "märz",
      "mars",       "marzo",     "mrz",      "apr",       "april",   "avril",     "abril",
      "may",        "mai",       "mayo",     "jun",       "june",    "juni",      "juin",
      "junio",      "jul",       "july",     "juli",      "juillet", "julio",     "aug",
      "august",     "août",      "agosto",   "sep",       "sept",    "september", "septembre",
      "septiembre", "oct",       "october",  "oktober",   "octobre", "octubre",   "okt",
      "nov",        "november",  "novembre", "noviembre", "dec",     "december",  "dezember",
      "décembre",   "diciembre", "dez",      "dic"};
  if (std::find(kFull.begin(), kFull.end(), low) == kFull.end()) return std::nullopt;
  std::optional<int> best;
  std::size_t longest = 0;
  for (const Month& month : kMonths) {
    if (low.starts_with(month.start) && month.start.size() > longest) {
      longest = month.start.size();
      best = month.number;
    }
  }
  return best;
}

/// How numbers are written where the locale is spoken.
struct Style {
  bool comma_decimal = false;
  bool month_first = false;
};

Style style_of(std::string_view locale) {
  const std::string low = lower(locale);
  const std::string language = low.substr(0, low.find('-'));
  static constexpr std::array<std::string_view, 8> kPoint = {"en", "ja", "zh", "ko",
                                                             "th", "he", "hi", "ms"};
  Style style;
  style.comma_decimal = std::find(kPoint.begin(), kPoint.end(), language) == kPoint.end() &&
                        low != "de-ch" && low != "es-mx";
  style.month_first = low == "en-us" || low == "en-ph";
  return style;
}

struct Number {
  std::int64_t hundredths = 0;
  std::size_t end = 0;  ///< offset after it
  bool whole = true;    ///< no fraction was written
};

/// A number with group marks and a fraction of up to two digits. Empty where it passes what a price
/// or a span of time can sensibly be.
std::optional<Number> read_number(std::string_view text, std::size_t begin, const Style& style) {
  std::size_t end = begin;
  while (end < text.size()) {
    const char c = text[end];
    const bool mark = (c == '.' || c == ',') && end + 1 < text.size() && is_digit(text[end + 1]);
    if (!is_digit(c) && !mark) break;
    ++end;
  }
  const std::string_view digits = text.substr(begin, end - begin);
  const std::size_t last = digits.find_last_of(".,");
  std::size_t fraction_at = std::string_view::npos;
  if (last != std::string_view::npos) {
    const std::size_t after = digits.size() - last - 1;
    const bool two_kinds =
        digits.find('.') != std::string_view::npos && digits.find(',') != std::string_view::npos;
    const char decimal = style.comma_decimal ? ',' : '.';
    const bool single = digits.find_first_of(".,") == last;
    // Three digits after the locale's own group mark are a group; else the last mark is decimal.
    if (two_kinds || (single && (after != 3 || digits[last] == decimal))) fraction_at = last;
  }
  std::int64_t whole = 0;
  std::int64_t fraction = 0;
  int fraction_digits = 0;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (!is_digit(digits[i])) continue;
    const int digit = digits[i] - '0';
    if (fraction_at != std::string_view::npos && i > fraction_at) {
      if (fraction_digits < 2) fraction = fraction * 10 + digit;
      ++fraction_digits;
      continue;
    }
    if (whole > 99'999'999'999) return std::nullopt;
    whole = whole * 10 + digit;
  }
  if (fraction_digits == 1) fraction *= 10;
  return Number{whole * 100 + fraction, end, fraction_digits == 0};
}

std::string_view word_at(std::string_view text, std::size_t begin) {
  std::size_t end = begin;
  while (end < text.size() && is_letter(text[end])) ++end;
  return text.substr(begin, end - begin);
}

std::size_t skip_spaces(std::string_view text, std::size_t at) {
  for (;;) {
    if (at < text.size() && (text[at] == ' ' || text[at] == '\t')) {
      ++at;
    } else if (text.substr(at).starts_with("\xc2\xa0")) {
      at += 2;
    } else if (text.substr(at).starts_with("\xe2\x80\xaf")) {
      at += 3;
    } else {
      return at;
    }
  }
}

std::string_view word_before(std::string_view text, std::size_t end) {
  while (end > 0 && text[end - 1] == ' ') --end;
  std::size_t begin = end;
  while (begin > 0 && is_letter(text[begin - 1])) --begin;
  return text.substr(begin, end - begin);
}

class Reader {
 public:
  Reader(std::string_view text, std::string_view locale, std::string_view currency)
      : text_(text), style_(style_of(locale)), currency_(currency) {}

  std::vector<Value> run() {
    for (std::size_t i = 0; i < text_.size();) {
      const bool starts = is_digit(text_[i]) && (i == 0 || !is_letter_ascii(text_[i - 1]));
      if (!starts) {
        if (is_digit(text_[i])) {
          while (i < text_.size() && is_digit(text_[i])) ++i;
        } else {
          ++i;
        }
        continue;
      }
      i = take(i);
    }
    return std::move(values_);
  }

 private:
  static bool is_letter_ascii(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  }

  /// Reads what begins with the digit at `begin`; the offset after it.
  std::size_t take(std::size_t begin) {
    if (const auto end = take_numeric_date(begin)) return *end;
    const auto number = read_number(text_, begin, style_);
    if (!number) {
      while (begin < text_.size() && is_digit(text_[begin])) ++begin;
      return begin;
    }
    if (const auto end = take_written_date(begin, *number)) return *end;
    if (const auto end = take_money(begin, *number)) return *end;
    const std::size_t next = skip_spaces(text_, number->end);
    if (next < text_.size() && text_[next] == '%')
      return add(ValueKind::kPercent, number->hundredths, begin, next + 1);
    const std::string word = lower(word_at(text_, next));
    if (word == "percent" || word == "prozent")
      return add(ValueKind::kPercent, number->hundredths, begin, next + word.size());
    if (const auto end = take_duration(begin, *number, next, word)) return *end;
    return number->end;
  }

  std::size_t add(ValueKind kind, std::int64_t amount, std::size_t begin, std::size_t end) {
    Value value;
    value.kind = kind;
    value.amount = amount;
    value.begin = begin;
    value.quote = std::string(text_.substr(begin, end - begin));
    value.line = 1 + static_cast<std::size_t>(std::count(
                         text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(begin), '\n'));
    values_.push_back(std::move(value));
    return end;
  }

  std::optional<std::size_t> take_money(std::size_t begin, const Number& number) {
    std::size_t before = begin;
    while (before > 0 && text_[before - 1] == ' ') --before;
    std::string currency;
    std::size_t from = begin;
    std::size_t end = number.end;
    for (const Word& symbol : kSymbols) {
      if (text_.substr(0, before).ends_with(symbol.name)) {
        currency = meaning(symbol);
        from = before - symbol.name.size();
        break;
      }
    }
    const std::string_view code_before = word_before(text_, begin);
    if (currency.empty() && std::find(kCodes.begin(), kCodes.end(), code_before) != kCodes.end()) {
      currency = std::string(code_before);
      from = static_cast<std::size_t>(code_before.data() - text_.data());
    }
    const std::size_t next = skip_spaces(text_, number.end);
    for (const Word& symbol : kSymbols) {
      if (currency.empty() && text_.substr(next).starts_with(symbol.name)) {
        currency = meaning(symbol);
        end = next + symbol.name.size();
      }
    }
    const std::string_view word = word_at(text_, next);
    if (currency.empty() && std::find(kCodes.begin(), kCodes.end(), word) != kCodes.end()) {
      currency = std::string(word);
      end = next + word.size();
    }
    for (const Word& name : kMoneyWords) {
      // "19 pounds" may be a weight: it is money only where the offer is in that currency.
      if (currency.empty() && lower(word) == name.name &&
          (currency_ == name.meaning || (name.meaning == "USD" && currency_.ends_with('D')))) {
        currency = meaning(name);
        end = next + word.size();
      }
    }
    if (currency.empty()) return std::nullopt;
    add(ValueKind::kMoney, number.hundredths, from, end);
    values_.back().currency = currency;
    return end;
  }

  /// A bare dollar is whatever dollar the offer is in.
  std::string meaning(const Word& word) const {
    const bool dollar = word.meaning == "USD" && word.name != "US$";
    return dollar && currency_.size() == 3 && currency_.ends_with('D') ? std::string(currency_)
                                                                       : std::string(word.meaning);
  }

  std::optional<std::size_t> take_duration(std::size_t begin, const Number& number,
                                           std::size_t next, const std::string& word) {
    const auto unit = std::find_if(kUnits.begin(), kUnits.end(),
                                   [&](const Word& entry) { return entry.name == word; });
    if (word.empty() || unit == kUnits.end()) return std::nullopt;
    // "the 80s", "5 s" and "5s" look alike; a single letter must be written close to its number.
    if (word.size() == 1 && next != number.end) return std::nullopt;
    if (word == "s" && number.hundredths >= 60 * 100) return std::nullopt;
    static constexpr std::array<std::pair<std::string_view, std::int64_t>, 7> kSeconds = {
        {{"second", 1},
         {"minute", 60},
         {"hour", 3600},
         {"day", 86400},
         {"week", 604800},
         {"month", 2629746},
         {"year", 31556952}}};
    for (const auto& [name, seconds] : kSeconds) {
      if (name != unit->meaning) continue;
      if (number.hundredths > 1'000'000'00) return std::nullopt;
      add(ValueKind::kDuration, number.hundredths * seconds / 100, begin, next + word.size());
      values_.back().unit = std::string(name);
      return next + word.size();
    }
    return std::nullopt;
  }

  std::optional<std::size_t> add_date(int day, int month, int year, std::size_t begin,
                                      std::size_t end) {
    if (day < 1 || day > 31 || month < 1 || month > 12) return std::nullopt;
    if (year > 0 && year < 100) year += 2000;
    add(ValueKind::kDate, month * 100 + day, begin, end);
    values_.back().year = year;
    return end;
  }

  /// 2027-12-15, 15.12.2027, 15/12/27, 15.12.
  std::optional<std::size_t> take_numeric_date(std::size_t begin) {
    std::array<int, 3> parts{};
    std::array<std::size_t, 3> lengths{};
    char mark = '\0';
    std::size_t at = begin;
    std::size_t n = 0;
    while (n < 3) {
      const std::size_t start = at;
      int value = 0;
      while (at < text_.size() && is_digit(text_[at]) && at - start < 4) {
        value = value * 10 + (text_[at] - '0');
        ++at;
      }
      if (at == start || (at < text_.size() && is_digit(text_[at]))) return std::nullopt;
      parts[n] = value;
      lengths[n] = at - start;
      ++n;
      if (n == 3) break;
      if (at >= text_.size()) return std::nullopt;
      const char c = text_[at];
      if ((c != '-' && c != '/' && c != '.') || (mark != '\0' && c != mark)) return std::nullopt;
      mark = c;
      ++at;
    }
    if (lengths[0] == 4 && lengths[1] == 2 && lengths[2] == 2 && mark == '-')
      return add_date(parts[2], parts[1], parts[0], begin, at);
    if (lengths[0] > 2 || lengths[1] > 2 || (lengths[2] != 4 && lengths[2] != 2) || mark == '-')
      return std::nullopt;
    const bool month_first = style_.month_first && mark == '/';
    return add_date(parts[month_first ? 1 : 0], parts[month_first ? 0 : 1], parts[2], begin, at);
  }

  /// 15 December 2027, 15. Dezember, 15th of December, December 15, 2027.
  std::optional<std::size_t> take_written_date(std::size_t begin, const Number& number) {
    if (!number.whole || number.hundredths > 31'00) return std::nullopt;
    const int day = static_cast<int>(number.hundredths / 100);
    std::size_t at = number.end;
    const std::string ending = lower(word_at(text_, at));
    if (ending == "st" || ending == "nd" || ending == "rd" || ending == "th") at += 2;
    if (at < text_.size() && text_[at] == '.') ++at;
    std::size_t next = skip_spaces(text_, at);
    std::string_view word = word_at(text_, next);
    if (lower(word) == "of" || lower(word) == "de") {
      next = skip_spaces(text_, next + word.size());
      word = word_at(text_, next);
    }
    if (const auto month = month_number(word)) {
      const auto [year, end] = take_year(next + word.size());
      return add_date(day, *month, year, begin, end);
    }
    const std::string_view before = word_before(text_, begin);
    if (const auto month = month_number(before); month && before != "may") {
      const auto [year, end] = take_year(at);
      return add_date(day, *month, year, static_cast<std::size_t>(before.data() - text_.data()),
                      end);
    }
    return std::nullopt;
  }

  std::pair<int, std::size_t> take_year(std::size_t at) const {
    std::size_t next = at;
    if (next < text_.size() && (text_[next] == ',' || text_[next] == '.')) ++next;
    next = skip_spaces(text_, next);
    int year = 0;
    std::size_t end = next;
    while (end < text_.size() && is_digit(text_[end]) && end - next < 5) {
      year = year * 10 + (text_[end] - '0');
      ++end;
    }
    if (end - next != 4 || year < 1900 || year > 2200) return {0, at};
    return {year, end};
  }

  std::string_view text_;
  Style style_;
  std::string_view currency_;
  std::vector<Value> values_;
};

}  // namespace

std::string_view to_string(ValueKind kind) {
  switch (kind) {
    case ValueKind::kMoney:
      return "price";
    case ValueKind::kPercent:
      return "percentage";
    case ValueKind::kDate:
      return "date";
    case ValueKind::kDuration:
      return "duration";
  }
  return "value";
}

std::vector<Value> read_values(std::string_view text, std::string_view locale,
                               std::string_view currency) {
  return Reader(text, locale, currency).run();
}

bool comparable(const Value& a, const Value& b) {
  if (a.kind != b.kind) return false;
  if (a.kind == ValueKind::kMoney)
    return a.currency.empty() || b.currency.empty() || a.currency == b.currency;
  return a.kind != ValueKind::kDuration || a.unit == b.unit;
}

bool agree(const Value& a, const Value& b) {
  if (a.kind == ValueKind::kDuration && b.kind == ValueKind::kDuration) return a.amount == b.amount;
  return comparable(a, b) && a.amount == b.amount &&
         (a.year == 0 || b.year == 0 || a.year == b.year);
}

}  // namespace preflight::review
