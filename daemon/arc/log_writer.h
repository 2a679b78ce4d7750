#pragma once
// LogWriter: the one log of a node. What the replicas of all arcs want to be durable while a sync is under way shares
// the next one (group commit).
// Owner: Arcs. Thread: the Runtime's.
// In a relaxed ring a group of nothing but late entries is written and not synced; the next sync covers it.
// Errors: io_error: nothing more is written (an fsync that failed must not be tried again), `on_fatal` is told.
// disk_full: the same group is tried again until there is room; full() says so meanwhile.

#include <deque>
#include <functional>

#include "daemon/arc/arc.h"
#include "daemon/store/disk.h"

namespace chordfs {

class LogWriter {
 public:
  struct Hooks {
    std::function<void(const ArcPtr&)> written;
    std::function<void(Error)> fatal;
  };
  LogWriter(Runtime& runtime, Disk& disk, Hooks hooks);
  void set_relaxed(bool relaxed) { relaxed_ = relaxed; }

  void start();
  awaitable<void> stop();

  void add(ArcPtr arc, Raft::Write write);
  bool full() const { return full_; }

 private:
  struct Job {
    ArcPtr arc;
    std::shared_ptr<Raft> raft;  ///< Another may have taken its place: then this is not written.
    Raft::Write write;
  };
  awaitable<void> write_loop();
  std::vector<Job> take_group(Batch& batch);

  Runtime& runtime_;
  Disk& disk_;
  Hooks hooks_;
  std::deque<Job> queue_;
  Signal added_;
  bool full_ = false;
  bool relaxed_ = false;
  TaskGroup tasks_;
};

/// One log entry as it stands on disk, and back.
std::string encode_entry(ArcNumber arc, std::uint64_t index, const LogEntry& entry);
Result<LogEntry> decode_entry(ArcNumber arc, std::uint64_t index, std::string_view stored);
/// Puts where the log of the replica begins now. `stable`: Raft::stable().
void put_base(Batch& batch, ArcNumber arc, const RaftLog& log, std::uint64_t stable, bool installing);
void put_applied(Batch& batch, ArcNumber arc, std::uint64_t index);

}  // namespace chordfs
