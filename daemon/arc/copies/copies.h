#pragma once
// Copies: the blocks of every arc, on all members of the arc. What the leader acknowledges has a majority of every set
// of voters; what somebody missed, lost, or finds broken is fetched from the others. README.md says why that is enough.
//
// Owner: Arcs, or a test; what it is given outlives it. Thread: the Runtime's. start() it, and stop() it before
// destruction; also call changed() where that says so.
// Errors: not_owner: this node is no replica, or not the leader where only that one may act. stale: the sender, or the
// block, is not of today. timed_out: unknown. busy: try again soon. Those of BlockStore.
// Limits: kComparisonsAtOnce comparisons and kTransfersAtOnce fetched or pushed blocks at once, over all arcs.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "daemon/arc/copies/tombstones.h"
#include "daemon/arc/raft/view.h"
#include "daemon/store/block_store.h"
#include "proto/base/task.h"
#include "proto/rpc/transport.h"

namespace chordfs {

class Copies {
 public:
  /// Of one arc, as this replica knows it at this moment.
  struct Members {
    ArcView view;                  ///< The newest, committed or not.
    std::uint64_t term = 0;        ///< Raft's.
    std::uint64_t view_index = 0;  ///< Of the entry that made `view`.
    Replica self;
    bool leads = false;
    std::set<Uuid> live;  ///< At the leader: who was heard lately.
  };
  struct Hooks {
    /// One call to another node, with this ring's identity filled in.
    std::function<awaitable<Result<Reply>>(wire::Peer, Request, Duration)> call;
    /// Nothing: this node is no replica of the arc. Must not call back.
    std::function<std::optional<Members>(ArcNumber)> members;
  };

  Copies(Runtime& runtime, BlockStore& blocks, Hooks hooks);

  void start();
  awaitable<void> stop();
  /// This node became a replica of the arc, or is none any more; its view or its leader changed; it was cut off for a
  /// while: compare soon. Call it for each arc after start().
  void changed(ArcNumber arc);

  // ---- Blocks. ----

  /// At the leader, from a client. Durable, when it returns, at a majority of every set of voters, and at all other
  /// members that are live and answered within kPutTime. It takes no longer than about that.
  /// timed_out: there was no majority in time. stale: it has been dropped.
  awaitable<Result<void>> put(ArcNumber arc, std::string block, Bytes contents, std::uint32_t crc);
  /// From another member. stale: there is a newer leader or view than the sender knows, or it has been dropped.
  awaitable<Result<void>> put_here(wire::PutBlock put, Bytes contents);
  /// A copy that is missing or broken here is read from another member, and put here. no_block: no member has it. busy:
  /// none of those that answered has it. `here`: this node's own copy or an error.
  enum class Look { here, anywhere };
  awaitable<Result<BlockStore::Part>> get(ArcNumber arc, std::string block, std::uint32_t offset, std::uint32_t length,
                                          Look look);
  /// At the leader: erased here when it returns; the other members are told until they have heard it or this node no
  /// longer leads. At others (`passed_on`): erased here. Who is never told keeps garbage.
  enum class Drop { everywhere, passed_on };
  awaitable<Result<void>> drop(ArcNumber arc, std::vector<std::string> blocks, Drop drop);

  // ---- Comparing. ----

  Result<wire::BlockSums> sums(const wire::BlockSumsRequest& request) const;
  /// At a member, asked by the leader: returns within kCompareReplyTime, done or not.
  awaitable<Result<wire::CompareProgress>> compare(wire::CompareBlocks ask);
  /// At the leader: lets the learner compare until it is done. True: it holds every block that has been acknowledged.
  /// False: it missed some meanwhile; call it again. An error: it did not answer, or the view changed.
  awaitable<Result<bool>> make_complete(ArcNumber arc, Replica learner);
  /// At the leader: the member has missed no put since it was complete, or caught up. Ask again just before it is made
  /// a voter.
  bool owes_nothing(ArcNumber arc, const Replica& member) const;
  /// At a removed replica: pushes to every one of `members` what that one lacks and this node has. True: now they all
  /// have everything. False: this node is a replica again. An error: one of them could not be reached.
  awaitable<Result<bool>> hand_back(ArcNumber arc, ArcView members);

  /// About how much is still to be fetched here, of what is known.
  std::uint64_t bytes_left(ArcNumber arc) const;
  /// The same of another member, as it last told this leader.
  std::uint64_t bytes_left_at(ArcNumber arc, const Replica& member) const;

  /// A short while ago.
  bool dropped(ArcNumber arc, const std::string& block) const { return tombstones_.has(arc, block, runtime_.now()); }

 private:
  using Key = std::pair<Uuid, Generation>;
  static Key key(const Replica& replica) { return {replica.node, replica.generation}; }
  struct Put;
  struct Asking;
  struct Fetching;
  struct Run;
  /// What the leader knows that a member has missed.
  struct Debt {
    std::uint64_t missed = 0;   ///< Acknowledged puts, ever.
    std::uint64_t settled = 0;  ///< Of those.
    std::set<std::string> drops;
    bool running = false;
    bool comparing = false;  ///< The member is being asked: two at once would only break off each other's run.
    std::uint64_t bytes_left = 0;
    bool any(bool votes) const { return !drops.empty() || (votes && missed > settled); }
  };
  /// When a voter compares its arc by itself.
  struct Due {
    Time at{};
    Duration pause{};
    bool running = false;
    bool again = false;
    std::set<Key> compared;  ///< In this round.
  };

  // copies.cc
  awaitable<void> store_own(std::shared_ptr<Put> put);
  awaitable<void> send(std::shared_ptr<Put> put, Replica to);
  void note_missed(const Put& put, const Members& members);
  awaitable<Result<Reply>> call(const Replica& to, Request request, Duration timeout);
  // reading.cc
  awaitable<Result<BlockStore::Part>> fetch(ArcNumber arc, std::string block, Replica from);
  awaitable<void> ask(std::shared_ptr<Asking> asking, Replica member);
  awaitable<Result<BlockStore::Part>> fetch_anywhere(ArcNumber arc, std::string block, Members members);
  awaitable<Result<void>> keep(ArcNumber arc, std::string block, BlockStore::Part part);
  awaitable<void> mend(ArcNumber arc, std::string block, std::optional<BlockStore::Part> found);
  void start_mending(ArcNumber arc, const std::string& block, std::optional<BlockStore::Part> found);
  // comparison.cc
  awaitable<Result<wire::BlockSums>> ask_sums(Replica of, wire::BlockSumsRequest request);
  awaitable<Result<void>> compare_with(ArcNumber arc, std::uint64_t term, Replica self, Replica other);
  awaitable<Result<void>> fetch_all(ArcNumber arc, Replica from, wire::BlockSums listed);
  awaitable<void> fetch_some(std::shared_ptr<Fetching> fetching);
  awaitable<void> run(std::shared_ptr<Run> run);
  void abandon_run(ArcNumber arc);
  awaitable<Result<void>> push_to(ArcNumber arc, Replica member);
  awaitable<Result<void>> push(ArcNumber arc, std::string block, std::uint32_t length, Replica to);
  // debts.cc
  Debt& owe(ArcNumber arc, const Replica& member) { return debts_[{arc, key(member)}]; }
  void start_settling(ArcNumber arc, const Replica& member);
  /// Of those that have become voters.
  void resume_settling(ArcNumber arc, const Members& members);
  awaitable<void> settle(ArcNumber arc, Replica member);
  awaitable<Result<void>> pay(ArcNumber arc, Replica member, bool votes);
  awaitable<Result<void>> tell_dropped(ArcNumber arc, Replica member, std::vector<std::string> blocks);
  awaitable<Result<void>> let_compare(ArcNumber arc, Replica member);
  // repair.cc
  awaitable<void> compare_when_due();
  awaitable<void> compare_own(ArcNumber arc);
  awaitable<void> scrub();

  Runtime& runtime_;
  BlockStore& blocks_;
  const Hooks hooks_;
  Tombstones tombstones_;
  std::map<std::pair<ArcNumber, Key>, Debt> debts_;
  std::map<ArcNumber, std::shared_ptr<Run>> runs_;  ///< The last that a leader asked for.
  std::map<ArcNumber, Due> due_;
  std::map<ArcNumber, Semaphore> one_comparison_;  ///< Of an arc, so that nothing is fetched twice.
  std::map<ArcNumber, std::uint64_t> left_;
  std::map<Uuid, Time> silent_until_;  ///< Nodes that are not asked again before.
  std::set<std::pair<ArcNumber, std::string>> mending_;
  Semaphore comparisons_;
  Semaphore transfers_;
  Signal wake_;
  TaskGroup tasks_;
};

inline constexpr Duration kPutTime = 1s;
inline constexpr Duration kCompareReplyTime = 500ms;
inline constexpr Duration kCompareEvery = 10min;
inline constexpr Duration kScrubTime = std::chrono::hours(7 * 24);
inline constexpr std::size_t kComparisonsAtOnce = 4;
inline constexpr std::size_t kTransfersAtOnce = 4;

}  // namespace chordfs
