#include "daemon/sqlite.h"

#include <utility>

#include <fmt/format.h>

namespace preflight::daemon {

namespace {

tl::unexpected<Error> failure(sqlite3* connection, int status) {
  ErrorCode code = ErrorCode::kIo;
  switch (status & 0xff) {
    case SQLITE_FULL:
      code = ErrorCode::kLimit;
      break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      code = ErrorCode::kInvalidInput;
      break;
    default:
      break;
  }
  const char* story = connection != nullptr ? sqlite3_errmsg(connection) : sqlite3_errstr(status);
  return fail(code, fmt::format("database: {}", story));
}

}  // namespace

Result<bool> Statement::step() {
  const int status = sqlite3_step(handle_.get());
  if (status == SQLITE_ROW) return true;
  if (status == SQLITE_DONE) return false;
  return failure(sqlite3_db_handle(handle_.get()), status);
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(handle_.get(), column);
}

std::string Statement::text(int column) const {
  const void* bytes = sqlite3_column_blob(handle_.get(), column);
  const int size = sqlite3_column_bytes(handle_.get(), column);
  if (bytes == nullptr) return {};
  return {static_cast<const char*>(bytes), static_cast<std::size_t>(size)};
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(handle_.get(), column) == SQLITE_NULL;
}

Result<void> Statement::bind_one(int at, std::int64_t value) {
  const int status = sqlite3_bind_int64(handle_.get(), at, value);
  if (status != SQLITE_OK) return failure(sqlite3_db_handle(handle_.get()), status);
  return {};
}

Result<void> Statement::bind_one(int at, std::string_view value) {
  const int status = sqlite3_bind_text64(handle_.get(), at, value.data(), value.size(),
                                         SQLITE_TRANSIENT, SQLITE_UTF8);
  if (status != SQLITE_OK) return failure(sqlite3_db_handle(handle_.get()), status);
  return {};
}

Result<void> Statement::bind_one(int at, std::nullptr_t) {
  const int status = sqlite3_bind_null(handle_.get(), at);
  if (status != SQLITE_OK) return failure(sqlite3_db_handle(handle_.get()), status);
  return {};
}

Result<Database> Database::open(const std::filesystem::path& path) {
  sqlite3* raw = nullptr;
  const int status =
      sqlite3_open_v2(path.c_str(), &raw,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, nullptr);
  Database database(raw);
  if (status != SQLITE_OK) return failure(raw, status);
  sqlite3_extended_result_codes(raw, 1);
  sqlite3_busy_timeout(raw, 5000);
  return database;
}

Result<void> Database::run(const char* sql) {
  const int status = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
  if (status != SQLITE_OK) return failure(handle_.get(), status);
  return {};
}

Result<Statement> Database::prepare(const char* sql) {
  sqlite3_stmt* raw = nullptr;
  const int status = sqlite3_prepare_v2(handle_.get(), sql, -1, &raw, nullptr);
  if (status != SQLITE_OK) return failure(handle_.get(), status);
  return Statement(raw);
}

Result<std::int64_t> Database::integer(const char* sql) {
  PREFLIGHT_TRY(Statement statement, prepare(sql));
  PREFLIGHT_TRY(const bool has_row, statement.step());
  if (!has_row) return fail(ErrorCode::kInternal, fmt::format("database: no row from {}", sql));
  return statement.integer(0);
}

Result<std::string> Database::text(const char* sql) {
  PREFLIGHT_TRY(Statement statement, prepare(sql));
  PREFLIGHT_TRY(const bool has_row, statement.step());
  if (!has_row) return fail(ErrorCode::kInternal, fmt::format("database: no row from {}", sql));
  return statement.text(0);
}

Result<Transaction> Transaction::begin(Database& database) {
  PREFLIGHT_TRY_VOID(database.run("BEGIN IMMEDIATE"));
  return Transaction(database);
}

Transaction::Transaction(Transaction&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)) {}

Transaction::~Transaction() {
  // SQLite may have rolled back by itself (disk full): then this one has nothing to do.
  if (database_ != nullptr) static_cast<void>(database_->run("ROLLBACK"));
}

Result<void> Transaction::commit() {
  PREFLIGHT_TRY_VOID(database_->run("COMMIT"));
  database_ = nullptr;
  return {};
}

}  // namespace preflight::daemon
