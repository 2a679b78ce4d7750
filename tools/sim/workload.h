#pragma once
// Workload: hosts with mounts on which programs work: files made, written, read back, renamed, linked and removed by
// workers, each under names of its own (in its own directory and in one that all share), and registers: small files
// that everybody overwrites whole and reads, whose history must be linearizable (close-to-open: a write is open to
// flush); counters that everybody adds to under locks (lock_worker.h); and a mount that is killed or stopped while it
// writes (vanisher.h).
//
// Owner: the scenario; ends before its RingWorld. Thread: the world's. Errors: what is certainly wrong goes to
// RingWorld::violation at once; what an error leaves unknown goes to the Oracle.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fuse/fs/filesystem.h"
#include "tools/sim/linearizable.h"
#include "tools/sim/oracle.h"
#include "tools/sim/ring_world.h"

namespace chordfs {

/// Of the sign, before anybody set it.
inline constexpr std::int64_t kSignTime = 7;

struct WorkloadOptions {
  std::size_t clients = 3;
  std::size_t workers = 2;    ///< Of each client.
  std::size_t registers = 3;  ///< Of all together; the later half is kept in blocks.
  Duration think = 120ms;     ///< Between two operations of one worker.
  bool vanishes = true;       ///< One mount is killed or stopped, again and again.
  /// None of a worker's calls may take longer; zero: it may.
  Duration call_max{};
};

class Workload {
 public:
  Workload(RingWorld& ring, WorkloadOptions options);
  ~Workload();

  /// Mounts, and makes what the work needs; before any fault. Runs the world.
  void prepare();
  /// Everybody ends after the operation under way and unmounts. Runs the world; a violation if it takes too long.
  void finish();
  /// Reads the whole tree from a fresh mount and compares; then waits until nothing is left over: no transactions, no
  /// orphans, no inodes without a name; every block that a file names on all who should hold it, and no other block
  /// anywhere (I19 to I21). Runs the world.
  void verify();

  std::uint64_t ok() const { return ok_; }
  std::uint64_t failed() const;
  /// "1,234 ok, 5 unavailable, first at 12.3 s: write failed: …"
  std::string counts() const;
  const std::map<Errc, std::uint64_t>& failures() const { return failures_; }
  /// The call of a worker that took longest, in the world's time.
  Duration longest() const { return longest_; }
  const Oracle& oracle() const { return oracle_; }
  /// After prepare().
  ArcNumber registers_arc() const { return registers_arc_; }
  SimHost& client(std::size_t index) { return *clients_.at(index); }
  std::size_t client_count() const { return clients_.size(); }
  /// How often a mount was killed while it wrote.
  std::uint64_t vanished() const;
  /// To all counters, acknowledged.
  std::uint64_t added() const;
  std::uint64_t registers_given_up() const { return registers_given_up_; }

 private:
  class Mount;
  class Timed;
  class Worker;
  class RegisterWorker;
  class SignWorker;
  class LockWorker;
  class Auditor;
  class Vanisher;

  /// Twenty digits somewhere in a file.
  struct Counter {
    static constexpr std::size_t kDigits = 20;
    static Result<std::uint64_t> parse(std::string_view bytes);
    static std::string text(std::uint64_t value);
    Ino ino = 0;
    std::uint64_t offset = 0;
    std::uint64_t added = 0;     ///< Acknowledged.
    std::uint64_t in_doubt = 0;  ///< Under way, or ended with an error: may have been added, or not.
  };

  void took(std::string_view what, Duration time);
  /// Counts it. An error that only the tree gives cannot happen to who owns all the names: a violation.
  bool judge(std::string_view what, Errc code, const std::string& context);
  template <class T>
  bool judge(std::string_view what, const Result<T>& result) {
    return judge(what, result.code(), result ? std::string() : result.error().context);
  }

  RingWorld& ring_;
  const WorkloadOptions options_;
  Oracle oracle_;
  History history_;
  ObjectId shared_ = 0;
  std::vector<Ino> registers_;
  ArcNumber registers_arc_ = 0;
  Ino sign_ = 0,
      signs_ = 0;  ///< A file whose time all change; a directory in which all give it a name, or take it away.
  std::vector<Counter> counters_;
  std::vector<SimHost*> clients_;
  std::unique_ptr<Vanisher> vanisher_;
  std::size_t ready_ = 0, working_ = 0;
  bool begun_ = false, stopping_ = false;
  std::uint64_t ok_ = 0;
  Duration longest_{};
  std::string first_failure_;
  std::map<Errc, std::uint64_t> failures_;
  std::uint64_t registers_given_up_ = 0;
};

}  // namespace chordfs
