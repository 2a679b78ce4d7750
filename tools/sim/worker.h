#pragma once
// Worker: one program on a mount that does one thing at a time under names of its own, and tells the Oracle.
// RegisterWorker: one that reads and overwrites the registers, and tells the History.
// Owner: the Mount. Thread: the world's. Private to Workload.

#include "tools/sim/rng.h"
#include "tools/sim/workload.h"

namespace chordfs {

/// What every call took.
class Workload::Timed {
 protected:
  explicit Timed(Workload& load) : load_(load) {}
  void begin() { since_ = load_.ring_.world().now(); }
  template <class T>
  bool judge(std::string_view what, const Result<T>& result) {
    const auto now = load_.ring_.world().now();
    load_.took(what, now - since_);
    since_ = now;
    return load_.judge(what, result);
  }

  Workload& load_;

 private:
  Time since_;
};

class Workload::Worker : private Timed {
 public:
  Worker(Workload& load, Runtime& runtime, FileSystem& files, std::uint32_t number);

  /// Makes its directory. Before any fault: an error is a violation.
  awaitable<void> prepare();
  awaitable<void> run();

 private:
  awaitable<void> one_operation();
  awaitable<void> create_file();
  awaitable<void> overwrite();
  awaitable<void> modify();
  awaitable<void> resize();
  awaitable<void> read_back();
  awaitable<void> unlink();
  awaitable<void> link();
  awaitable<void> rename();
  awaitable<void> rename_over(ObjectId id, Place from, ObjectId over);
  awaitable<void> make_directory();
  awaitable<void> remove_directory();
  awaitable<void> move_directory();
  awaitable<void> list_directory();
  /// One rename call, and what it makes of the oracle.
  awaitable<void> move(Place from, Place to, Rename how, Doubt::State before, Doubt::State after);
  /// Writes at `offset` through an open handle, flushes and closes it. True: acknowledged.
  awaitable<bool> write_and_close(Handle handle, std::uint64_t offset, std::string bytes);
  void wrote(ObjectId id, bool acknowledged, std::string whole, bool mixes);
  void settle(const Doubt::State& state);

  Ino ino(ObjectId id) const { return load_.oracle_[id].ino; }
  std::string new_name();
  std::string new_contents();
  std::optional<ObjectId> any_file(bool certain);
  std::optional<ObjectId> any_directory();
  ObjectId any_parent();
  Place any_name(ObjectId id);

  Runtime& runtime_;
  FileSystem& files_;
  const std::uint32_t number_;
  Rng rng_;
  ObjectId home_ = 0;
  std::vector<ObjectId> own_;
  std::uint64_t names_ = 0;
};

class Workload::RegisterWorker : private Timed {
 public:
  RegisterWorker(Workload& load, Runtime& runtime, FileSystem& files, std::uint32_t number);
  awaitable<void> run();

 private:
  awaitable<void> read(std::size_t which);
  awaitable<void> write(std::size_t which);
  /// A mount that was cut off may find that others have written what it had begun to.
  template <class T>
  bool judge(std::string_view what, const Result<T>& result) {
    if (result.code() != Errc::overtaken) return Timed::judge(what, result);
    return Timed::judge(what, Result<void>(Error{Errc::unavailable, result.error().context}));
  }
  awaitable<Result<Handle>> handle_of(std::size_t which);
  std::string contents_of(std::size_t which, const std::string& value) const;

  Runtime& runtime_;
  FileSystem& files_;
  const std::uint32_t number_;
  Rng rng_;
  std::uint64_t writes_ = 0;
  std::map<std::size_t, Handle> kept_;
};

}  // namespace chordfs
