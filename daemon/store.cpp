#include "daemon/store.h"

#include <ctime>
#include <utility>

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace preflight::daemon {

using protocol::ReviewState;
using protocol::ReviewStatus;

namespace {

constexpr std::int64_t kSchemaVersion = 1;
constexpr std::int64_t kApplicationId = 0x50464c54;

constexpr const char* kSchema = R"sql(
CREATE TABLE reviews (
  place       INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of the queue
  id          TEXT    NOT NULL UNIQUE,
  uid         INTEGER NOT NULL,
  key         TEXT,                               -- idempotency key
  digest      TEXT    NOT NULL,                   -- of the uploaded content
  bundle_id   TEXT    NOT NULL,
  facts_only  INTEGER NOT NULL,
  bytes       INTEGER NOT NULL,
  state       TEXT    NOT NULL,
  cancelling  INTEGER NOT NULL DEFAULT 0,
  attempts    INTEGER NOT NULL DEFAULT 0,
  created_ms  INTEGER NOT NULL,
  started_ms  INTEGER NOT NULL DEFAULT 0,
  finished_ms INTEGER NOT NULL DEFAULT 0,
  reason      TEXT    NOT NULL DEFAULT '',
  report      TEXT,
  UNIQUE (uid, key)
);
CREATE INDEX reviews_by_state ON reviews (state, place);
CREATE TABLE events (
  review TEXT    NOT NULL REFERENCES reviews (id) ON DELETE CASCADE,
  seq    INTEGER NOT NULL,
  name   TEXT    NOT NULL,
  data   TEXT    NOT NULL,
  PRIMARY KEY (review, seq)
) WITHOUT ROWID;
)sql";

constexpr const char* kStatusColumns =
    "SELECT id, bundle_id, state, facts_only, cancelling, attempts, bytes, created_ms, started_ms, "
    "finished_ms, reason, "
    "(SELECT count(*) FROM reviews AS other WHERE other.state IN ('queued', 'running') "
    " AND other.place < reviews.place) ";

ReviewStatus read_status(const Statement& row) {
  ReviewStatus status;
  status.id = row.text(0);
  status.bundle_id = row.text(1);
  status.state = protocol::parse_review_state(row.text(2)).value_or(ReviewState::kFailed);
  status.facts_only = row.integer(3) != 0;
  status.cancelling = row.integer(4) != 0 && status.state == ReviewState::kRunning;
  status.attempts = static_cast<std::uint32_t>(row.integer(5));
  status.bundle_bytes = static_cast<std::uint64_t>(row.integer(6));
  status.created_ms = row.integer(7);
  status.started_ms = row.integer(8);
  status.finished_ms = row.integer(9);
  status.reason = row.text(10);
  if (status.state == ReviewState::kQueued)
    status.ahead = static_cast<std::uint32_t>(row.integer(11));
  return status;
}

/// Says whether the file is ours and sound; kInvalidInput if not.
Result<void> check(Database& database) {
  PREFLIGHT_TRY(const std::string verdict, database.text("PRAGMA integrity_check(1)"));
  if (verdict != "ok")
    return fail(ErrorCode::kInvalidInput, fmt::format("database: integrity check: {}", verdict));
  PREFLIGHT_TRY(const std::int64_t tables,
                database.integer("SELECT count(*) FROM sqlite_master WHERE type = 'table'"));
  if (tables == 0) return {};
  PREFLIGHT_TRY(const std::int64_t application, database.integer("PRAGMA application_id"));
  if (application != kApplicationId)
    return fail(ErrorCode::kInvalidInput,
                fmt::format("database: application id is {:#x}, expected {:#x}", application,
                            kApplicationId));
  PREFLIGHT_TRY(const std::int64_t version, database.integer("PRAGMA user_version"));
  if (version > kSchemaVersion)
    return fail(ErrorCode::kUnsupported,
                fmt::format("database: version {} was written by a newer preflightd, this one "
                            "reads {}",
                            version, kSchemaVersion));
  if (version != kSchemaVersion)
    return fail(ErrorCode::kInvalidInput,
                fmt::format("database: version is {}, expected {}", version, kSchemaVersion));
  PREFLIGHT_TRY(const std::int64_t ours,
                database.integer("SELECT count(*) FROM sqlite_master WHERE type = 'table' AND "
                                 "name IN ('reviews', 'events')"));
  if (ours != 2) return fail(ErrorCode::kInvalidInput, "database: a table is missing");
  return {};
}

Result<Database> open_checked(const std::filesystem::path& path) {
  PREFLIGHT_TRY(Database database, Database::open(path));
  PREFLIGHT_TRY_VOID(database.run("PRAGMA journal_mode = WAL"));
  PREFLIGHT_TRY_VOID(check(database));
  PREFLIGHT_TRY(const std::int64_t version, database.integer("PRAGMA user_version"));
  if (version == 0) {
    PREFLIGHT_TRY(Transaction transaction, Transaction::begin(database));
    PREFLIGHT_TRY_VOID(database.run(kSchema));
    PREFLIGHT_TRY_VOID(database.run(fmt::format("PRAGMA application_id = {}; "
                                                "PRAGMA user_version = {}",
                                                kApplicationId, kSchemaVersion)
                                        .c_str()));
    PREFLIGHT_TRY_VOID(transaction.commit());
  }
  PREFLIGHT_TRY_VOID(database.run("PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL"));
  return database;
}

/// Renames the database and its two companions out of the way.
Result<std::string> move_aside(const std::filesystem::path& path) {
  const std::string suffix =
      fmt::format(".corrupt-{:%Y%m%dT%H%M%SZ}", fmt::gmtime(std::time(nullptr)));
  for (const char* part : {"", "-wal", "-shm"}) {
    const std::filesystem::path from = path.string() + part;
    std::error_code error;
    if (!std::filesystem::exists(from, error)) continue;
    std::filesystem::rename(from, path.string() + suffix + part, error);
    if (error)
      return fail(ErrorCode::kIo,
                  fmt::format("cannot rename {}: {}", from.string(), error.message()));
  }
  return path.string() + suffix;
}

}  // namespace

Result<std::unique_ptr<Store>> Store::open(const std::filesystem::path& path) {
  Result<Database> database = open_checked(path);
  std::string moved_aside;
  if (!database && database.error().code == ErrorCode::kInvalidInput) {
    PREFLIGHT_TRY(const std::string where, move_aside(path));
    moved_aside = fmt::format("{}; the old file is {}, a fresh one was begun",
                              database.error().message, where);
    database = open_checked(path);
  }
  if (!database) {
    Error error = std::move(database).error();
    error.message = fmt::format("{}: {}", path.string(), error.message);
    return tl::unexpected(std::move(error));
  }
  std::unique_ptr<Store> store(new Store(*std::move(database)));
  store->moved_aside_ = std::move(moved_aside);
  return store;
}

Result<void> Store::add_event(std::string_view id, std::string_view name, std::string_view data) {
  PREFLIGHT_TRY(Statement insert,
                database_.prepare("INSERT INTO events (review, seq, name, data) SELECT ?1, "
                                  "coalesce(max(seq), 0) + 1, ?2, ?3 FROM events "
                                  "WHERE review = ?1"));
  PREFLIGHT_TRY_VOID(insert.bind(id, name, data));
  PREFLIGHT_TRY_VOID(insert.step());
  return {};
}

Result<void> Store::finish_locked(std::string_view id, ReviewState state, std::string_view reason,
                                  std::string_view report, std::int64_t now_ms) {
  PREFLIGHT_TRY(Statement update,
                database_.prepare("UPDATE reviews SET state = ?2, reason = ?3, report = "
                                  "nullif(?4, ''), finished_ms = ?5 WHERE id = ?1"));
  PREFLIGHT_TRY_VOID(update.bind(id, protocol::to_string(state), reason, report, now_ms));
  PREFLIGHT_TRY_VOID(update.step());
  nlohmann::json data = {{"event", protocol::to_string(state)}};
  if (!reason.empty()) data["reason"] = reason;
  return add_event(id, protocol::to_string(state),
                   data.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

Result<std::vector<std::string>> Store::recover(std::int64_t now_ms) {
  const std::scoped_lock lock(mutex_);
  PREFLIGHT_TRY(Transaction transaction, Transaction::begin(database_));
  std::vector<std::pair<std::string, bool>> ended;  // id, was cancelled
  {
    PREFLIGHT_TRY(Statement select,
                  database_.prepare("SELECT id, cancelling FROM reviews WHERE state = 'running' "
                                    "AND (cancelling OR attempts >= ?1)"));
    PREFLIGHT_TRY_VOID(select.bind(std::int64_t{kMaxAttempts}));
    for (;;) {
      PREFLIGHT_TRY(const bool has_row, select.step());
      if (!has_row) break;
      ended.emplace_back(select.text(0), select.integer(1) != 0);
    }
  }
  std::vector<std::string> ids;
  for (auto& [id, was_cancelled] : ended) {
    const std::string reason =
        was_cancelled ? std::string("cancelled by its owner")
                      : fmt::format(
                            "the daemon died {} times while it worked on this review; it "
                            "will not try again",
                            kMaxAttempts);
    PREFLIGHT_TRY_VOID(finish_locked(
        id, was_cancelled ? ReviewState::kCancelled : ReviewState::kFailed, reason, "", now_ms));
    ids.push_back(std::move(id));
  }
  PREFLIGHT_TRY_VOID(database_.run("UPDATE reviews SET state = 'queued' WHERE state = 'running'"));
  PREFLIGHT_TRY_VOID(transaction.commit());
  return ids;
}

Result<bool> Store::knows_key(uid_t uid, std::string_view key) {
  const std::scoped_lock lock(mutex_);
  PREFLIGHT_TRY(Statement select,
                database_.prepare("SELECT 1 FROM reviews WHERE uid = ?1 AND key = ?2"));
  PREFLIGHT_TRY_VOID(select.bind(std::int64_t{uid}, key));
  return select.step();
}

Result<Store::Insertion> Store::insert(const NewReview& review) {
  const std::scoped_lock lock(mutex_);
  PREFLIGHT_TRY(Transaction transaction, Transaction::begin(database_));
  if (!review.key.empty()) {
    PREFLIGHT_TRY(Statement select,
                  database_.prepare("SELECT id, digest FROM reviews WHERE uid = ?1 AND key = ?2"));
    PREFLIGHT_TRY_VOID(select.bind(std::int64_t{review.uid}, std::string_view(review.key)));
    PREFLIGHT_TRY(const bool known, select.step());
    if (known)
      return Insertion{select.text(1) == review.digest ? Taken::kSame : Taken::kConflict,
                       select.text(0)};
  }
  {
    PREFLIGHT_TRY(Statement insert,
                  database_.prepare("INSERT INTO reviews (id, uid, key, digest, bundle_id, "
                                    "facts_only, bytes, state, created_ms) VALUES (?1, ?2, "
                                    "nullif(?3, ''), ?4, ?5, ?6, ?7, 'queued', ?8)"));
    PREFLIGHT_TRY_VOID(insert.bind(std::string_view(review.id), std::int64_t{review.uid},
                                   std::string_view(review.key), std::string_view(review.digest),
                                   std::string_view(review.bundle_id),
                                   std::int64_t{review.facts_only},
                                   static_cast<std::int64_t>(review.bytes), review.created_ms));
    PREFLIGHT_TRY_VOID(insert.step());
  }
  PREFLIGHT_TRY_VOID(transaction.commit());
  return Insertion{Taken::kNew, review.id};
}

Result<std::vector<ReviewStatus>> Store::list(uid_t uid) {
  const std::scoped_lock lock(mutex_);
  const std::string sql =
      fmt::format("{} FROM reviews WHERE uid = ?1 ORDER BY place DESC LIMIT 500", kStatusColumns);
  PREFLIGHT_TRY(Statement select, database_.prepare(sql.c_str()));
  PREFLIGHT_TRY_VOID(select.bind(std::int64_t{uid}));
  std::vector<ReviewStatus> out;
  for (;;) {
    PREFLIGHT_TRY(const bool has_row, select.step());
    if (!has_row) return out;
    out.push_back(read_status(select));
  }
}

Result<std::optional<ReviewStatus>> Store::find(uid_t uid, std::string_view id) {
  const std::scoped_lock lock(mutex_);
  const std::string sql =
      fmt::format("{}, report FROM reviews WHERE uid = ?1 AND id = ?2", kStatusColumns);
  PREFLIGHT_TRY(Statement select, database_.prepare(sql.c_str()));
  PREFLIGHT_TRY_VOID(select.bind(std::int64_t{uid}, id));
  PREFLIGHT_TRY(const bool has_row, select.step());
  if (!has_row) return std::optional<ReviewStatus>();
  ReviewStatus status = read_status(select);
  if (!select.is_null(12)) {
    status.report = nlohmann::json::parse(select.text(12), nullptr, /*allow_exceptions=*/false);
    if (status.report.is_discarded())
      return fail(ErrorCode::kInternal, fmt::format("the report of {} is not JSON", status.id));
  }
  return std::optional(std::move(status));
}

Result<std::optional<Job>> Store::start_next(std::int64_t now_ms) {
  const std::scoped_lock lock(mutex_);
  PREFLIGHT_TRY(Transaction transaction, Transaction::begin(database_));
  Job job;
  {
    PREFLIGHT_TRY(Statement select,
                  database_.prepare("SELECT id, uid, facts_only, bytes, attempts FROM reviews "
                                    "WHERE state = 'queued' ORDER BY place LIMIT 1"));
    PREFLIGHT_TRY(const bool has_row, select.step());
    if (!has_row) return std::optional<Job>();
    job = {select.text(0), static_cast<uid_t>(select.integer(1)), select.integer(2) != 0,
           static_cast<std::uint64_t>(select.integer(3)),
           static_cast<std::uint32_t>(select.integer(4)) + 1};
    PREFLIGHT_TRY(Statement update,
                  database_.prepare("UPDATE reviews SET state = 'running', attempts = ?2, "
                                    "started_ms = ?3 WHERE id = ?1"));
    PREFLIGHT_TRY_VOID(update.bind(std::string_view(job.id), std::int64_t{job.attempt}, now_ms));
    PREFLIGHT_TRY_VOID(update.step());
    const nlohmann::json data = {{"event", protocol::kEventStarted}, {"attempt", job.attempt}};
    PREFLIGHT_TRY_VOID(add_event(job.id, protocol::kEventStarted, data.dump()));
  }
  PREFLIGHT_TRY_VOID(transaction.commit());
  return std::optional(std::move(job));
}

Result<void> Store::finish(std::string_view id, ReviewState state, std::string_view reason,
                           std::string_view report, std::int64_t now_ms) {
  const std::scoped_lock lock(mutex_);
  PREFLIGHT_TRY(Transaction transaction, Transaction::begin(database_));
  PREFLIGHT_TRY_VOID(finish_locked(id, state, reason, report, now_ms));
  return transaction.commit();
}

Result<void> Store::requeue(std::string_view id, bool count) {
  const std::scoped_lock lock(mutex_);
  PREFLIGHT_TRY(Statement update,
                database_.prepare("UPDATE reviews SET state = 'queued', attempts = attempts - ?2 "
                                  "WHERE id = ?1 AND state = 'running'"));
  PREFLIGHT_TRY_VOID(update.bind(id, std::int64_t{count ? 0 : 1}));
  PREFLIGHT_TRY_VOID(update.step());
  return {};
}

Result<Store::Cancelled> Store::cancel(uid_t uid, std::string_view id, std::int64_t now_ms) {
  const std::scoped_lock lock(mutex_);
  PREFLIGHT_TRY(Transaction transaction, Transaction::begin(database_));
  std::string state;
  {
    PREFLIGHT_TRY(Statement select,
                  database_.prepare("SELECT state FROM reviews WHERE uid = ?1 AND id = ?2"));
    PREFLIGHT_TRY_VOID(select.bind(std::int64_t{uid}, id));
    PREFLIGHT_TRY(const bool has_row, select.step());
    if (has_row) state = select.text(0);
  }
  Cancelled out = Cancelled::kNone;
  if (state == protocol::to_string(ReviewState::kQueued)) {
    PREFLIGHT_TRY_VOID(
        finish_locked(id, ReviewState::kCancelled, "cancelled by its owner", "", now_ms));
    out = Cancelled::kNow;
  } else if (state == protocol::to_string(ReviewState::kRunning)) {
    PREFLIGHT_TRY(Statement update,
                  database_.prepare("UPDATE reviews SET cancelling = 1 WHERE id = ?1"));
    PREFLIGHT_TRY_VOID(update.bind(id));
    PREFLIGHT_TRY_VOID(update.step());
    out = Cancelled::kSoon;
  }
  PREFLIGHT_TRY_VOID(transaction.commit());
  return out;
}

Result<bool> Store::erase(uid_t uid, std::string_view id) {
  const std::scoped_lock lock(mutex_);
  PREFLIGHT_TRY(Statement remove,
                database_.prepare("DELETE FROM reviews WHERE uid = ?1 AND id = ?2 AND state NOT "
                                  "IN ('queued', 'running')"));
  PREFLIGHT_TRY_VOID(remove.bind(std::int64_t{uid}, id));
  PREFLIGHT_TRY_VOID(remove.step());
  return database_.changes() > 0;
}

Result<std::int64_t> Store::prune(std::int64_t before_ms) {
  const std::scoped_lock lock(mutex_);
  PREFLIGHT_TRY(Statement remove,
                database_.prepare("DELETE FROM reviews WHERE finished_ms < ?1 AND state NOT IN "
                                  "('queued', 'running')"));
  PREFLIGHT_TRY_VOID(remove.bind(before_ms));
  PREFLIGHT_TRY_VOID(remove.step());
  return database_.changes();
}

Result<void> Store::append_event(std::string_view id, std::string_view name,
                                 std::string_view data) {
  const std::scoped_lock lock(mutex_);
  PREFLIGHT_TRY_VOID(database_.run("PRAGMA synchronous = NORMAL"));
  const auto write = [&]() -> Result<void> {
    PREFLIGHT_TRY(Transaction transaction, Transaction::begin(database_));
    // The number of the replaced one is never used again, since the new one has a higher one.
    PREFLIGHT_TRY_VOID(add_event(id, name, data));
    if (name == protocol::kEventPrefill) {
      PREFLIGHT_TRY(Statement remove,
                    database_.prepare("DELETE FROM events WHERE review = ?1 AND name = ?2 AND "
                                      "seq < (SELECT max(seq) FROM events WHERE review = ?1)"));
      PREFLIGHT_TRY_VOID(remove.bind(id, name));
      PREFLIGHT_TRY_VOID(remove.step());
    }
    return transaction.commit();
  };
  const Result<void> written = write();
  PREFLIGHT_TRY_VOID(database_.run("PRAGMA synchronous = FULL"));
  return written;
}

Result<std::vector<protocol::Event>> Store::events_after(std::string_view id, std::uint64_t after,
                                                         std::uint32_t limit) {
  const std::scoped_lock lock(mutex_);
  PREFLIGHT_TRY(Statement select,
                database_.prepare("SELECT seq, name, data FROM events WHERE review = ?1 AND seq > "
                                  "?2 ORDER BY seq LIMIT ?3"));
  PREFLIGHT_TRY_VOID(select.bind(id, static_cast<std::int64_t>(after), std::int64_t{limit}));
  std::vector<protocol::Event> out;
  for (;;) {
    PREFLIGHT_TRY(const bool has_row, select.step());
    if (!has_row) return out;
    nlohmann::json data =
        nlohmann::json::parse(select.text(2), nullptr, /*allow_exceptions=*/false);
    if (data.is_discarded())
      return fail(ErrorCode::kInternal,
                  fmt::format("event {} of {} is not JSON", select.integer(0), id));
    out.push_back({static_cast<std::uint64_t>(select.integer(0)), select.text(1), std::move(data)});
  }
}

Result<bool> Store::is_over(std::string_view id) {
  const std::scoped_lock lock(mutex_);
  PREFLIGHT_TRY(Statement select,
                database_.prepare("SELECT 1 FROM reviews WHERE id = ?1 AND state IN ('queued', "
                                  "'running')"));
  PREFLIGHT_TRY_VOID(select.bind(id));
  PREFLIGHT_TRY(const bool unfinished, select.step());
  return !unfinished;
}

Result<std::vector<Usage>> Store::usage() {
  const std::scoped_lock lock(mutex_);
  PREFLIGHT_TRY(Statement select,
                database_.prepare("SELECT uid, count(*), sum(bytes) FROM reviews WHERE state IN "
                                  "('queued', 'running') GROUP BY uid"));
  std::vector<Usage> out;
  for (;;) {
    PREFLIGHT_TRY(const bool has_row, select.step());
    if (!has_row) return out;
    out.push_back({static_cast<uid_t>(select.integer(0)),
                   static_cast<std::uint64_t>(select.integer(1)),
                   static_cast<std::uint64_t>(select.integer(2))});
  }
}

Result<std::vector<std::string>> Store::unfinished_ids() {
  const std::scoped_lock lock(mutex_);
  PREFLIGHT_TRY(Statement select,
                database_.prepare("SELECT id FROM reviews WHERE state IN ('queued', 'running')"));
  std::vector<std::string> out;
  for (;;) {
    PREFLIGHT_TRY(const bool has_row, select.step());
    if (!has_row) return out;
    out.push_back(select.text(0));
  }
}

Result<Store::Counts> Store::counts() {
  const std::scoped_lock lock(mutex_);
  PREFLIGHT_TRY(const std::int64_t queued,
                database_.integer("SELECT count(*) FROM reviews WHERE state = 'queued'"));
  PREFLIGHT_TRY(const std::int64_t running,
                database_.integer("SELECT count(*) FROM reviews WHERE state = 'running'"));
  return Counts{static_cast<std::uint64_t>(queued), static_cast<std::uint64_t>(running)};
}

}  // namespace preflight::daemon
