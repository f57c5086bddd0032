// The few calls of SQLite that the store needs, with owners and Results.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include <sqlite3.h>

#include "vk/error.h"

namespace preflight::daemon {

/// One prepared statement, bound and stepped; ended by its destructor.
class Statement {
 public:
  explicit Statement(sqlite3_stmt* handle) : handle_(handle) {}

  /// Binds the values to the parameters in order. Texts need not outlive the call.
  template <class... Values>
  Result<void> bind(const Values&... values) {
    int at = 0;
    Result<void> result;
    ((result = result ? bind_one(++at, values) : result), ...);
    return result;
  }
  /// True: there is a row to read. False: done.
  Result<bool> step();

  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] bool is_null(int column) const;

 private:
  Result<void> bind_one(int at, std::int64_t value);
  Result<void> bind_one(int at, std::string_view value);
  Result<void> bind_one(int at, std::nullptr_t);

  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
};

/// One connection. Errors carry SQLite's own sentence: kLimit when the disk is full, kInvalidInput
/// when the file is no sound database, else kIo.
class Database {
 public:
  static Result<Database> open(const std::filesystem::path& path);

  Result<void> run(const char* sql);  // one or more statements without parameters
  Result<Statement> prepare(const char* sql);
  /// The first column of the first row.
  Result<std::int64_t> integer(const char* sql);
  Result<std::string> text(const char* sql);
  /// Rows changed by the last statement.
  [[nodiscard]] std::int64_t changes() const { return sqlite3_changes64(handle_.get()); }

 private:
  struct Close {
    void operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }
  };
  explicit Database(sqlite3* handle) : handle_(handle) {}

  std::unique_ptr<sqlite3, Close> handle_;
};

/// BEGIN IMMEDIATE; rolls back unless commit() was called.
class Transaction {
 public:
  static Result<Transaction> begin(Database& database);
  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  Result<void> commit();

 private:
  explicit Transaction(Database& database) : database_(&database) {}
  Database* database_;
};

}  // namespace preflight::daemon
