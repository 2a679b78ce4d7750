#pragma once
// Snapshots: the records of an arc for a replica that is too far behind for the log. The one behind fetches, page by
// page, from the leader, which serves them as they were at one moment and keeps its log from there on.
//
// While pages come the old records are no more: `installing` stands on disk, and the replica is passive (it votes and
// acknowledges what its log holds, but neither applies nor campaigns). A crash begins anew.
// Owner: Arcs. Thread: the Runtime's. Errors of page(): busy (too many at once, or no such snapshot any more).

#include <functional>
#include <map>
#include <memory>

#include "daemon/arc/arc.h"
#include "daemon/arc/state_machine.h"
#include "daemon/store/disk.h"
#include "proto/rpc/transport.h"

namespace chordfs {

class Snapshots {
 public:
  struct Hooks {
    std::function<awaitable<Result<Reply>>(wire::Peer, Request, Duration)> call;
    std::function<ArcPtr(ArcNumber)> find;
    std::function<Endpoint(const Replica&)> address;
    std::function<void(const ArcPtr&)> touch;
    std::function<void(Error)> fatal;
  };
  Snapshots(Runtime& runtime, Disk& disk, std::shared_ptr<const StateMachine> machine, Hooks hooks);

  awaitable<void> stop();

  awaitable<Result<Reply>> page(wire::ArcPageRequest request);
  /// Fetches the records from this leader, unless that is under way.
  void fetch(const ArcPtr& arc, const Replica& from);

 private:
  /// A view of the records that somebody reads page by page.
  struct Open {
    ArcNumber arc = 0;
    std::shared_ptr<const RecordView> records;
    std::uint64_t index = 0, term = 0, view_index = 0, stable = 0;
    ArcView view;
    Time touched{};
  };
  awaitable<Result<std::uint64_t>> open(ArcPtr arc);
  void close_idle();
  awaitable<void> run(ArcPtr arc, Replica from);
  awaitable<Result<void>> copy(ArcPtr arc, std::shared_ptr<Raft> raft, Replica from);
  awaitable<Result<wire::ArcPage>> ask(const Replica& from, wire::ArcPageRequest request);

  Runtime& runtime_;
  Disk& disk_;
  std::shared_ptr<const StateMachine> machine_;
  Hooks hooks_;
  std::map<std::uint64_t, std::shared_ptr<Open>> open_;
  Semaphore fetching_;
  TaskGroup tasks_;
};

}  // namespace chordfs
