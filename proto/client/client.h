#pragma once
// Client: any arc of a ring, from anywhere. Knows how to find an arc (iterative Chord lookup, then a location cache),
// follows redirects, retries under one identity until the deadline, and goes on when the node it came in by dies.
//
// This is the interface; RingClient (ring_client.h) is the real one, LocalClient (tests) keeps every arc in memory.
//
// Owner: a mount, a tool, or a node (for its own transactions). Thread: the Runtime's.
// Errors: those of the tree, as they are; `unavailable` when no holder of the arc answered within the deadline;
// `session_closed` when this client's session has expired; `cancelled`.
// Limits: kClientDeadline for a call; kSessionCallsMax operations of one session at once, further ones wait.

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proto/base/task.h"
#include "proto/id/id.h"
#include "proto/rpc/transport.h"

namespace chordfs {

/// A program hears of a ring that is gone within 3 s: this, and what it takes to tell it.
inline constexpr Duration kClientDeadline = 2500ms;
inline constexpr Duration kClientCallTimeout = 1s;
inline constexpr std::size_t kSessionCallsMax = 64;
inline constexpr Duration kSessionRenewEvery = 3s;
inline constexpr Duration kSessionTtl = 12s;
/// Renewed so lately, a session cannot have been closed; afterwards it may have been.
inline constexpr Duration kSessionSureFor = kSessionTtl - 3s;
/// How long what a session tells of its waiting for locks counts.
inline constexpr Duration kLockWaitAge = 2s;

/// One hop of a lookup, for people: whom we asked, what it said, how long it took.
struct Hop {
  Endpoint node;
  std::uint32_t index = 0;  ///< Which of the node's positions was meant.
  Id position;
  Duration took{};
  std::string outcome;  ///< "next", "owner", "unreachable", "timed_out" …
};

struct Location {
  ArcNumber arc = 0;
  Id point;                            ///< The arc's first identifier.
  wire::Peer owner;                    ///< The node of the position that follows it on the ring.
  std::vector<wire::Peer> successors;  ///< Further distinct nodes, clockwise.
  std::vector<Hop> hops;
};

/// Whoever answers from memory what was leased, and keeps what was written.
class LeaseHolder {
 public:
  virtual ~LeaseHolder() = default;
  /// What is known of this inode is to be forgotten before it returns; `writing`: others wait for what was written and
  /// not committed, too. True: that was all; else see give_back().
  virtual bool recalled(std::uint64_t ino, bool writing) = 0;
  /// Returns when the rest of it is done.
  virtual awaitable<void> give_back(std::uint64_t ino, bool writing) = 0;
};

class Client {
 public:
  virtual ~Client() = default;

  virtual Runtime& runtime() = 0;
  virtual const ArcMap& arcs() const = 0;
  ArcNumber arc_of_ino(std::uint64_t ino) const {
    return arcs().bits() == 0 ? 0 : static_cast<ArcNumber>(ino >> (64 - arcs().bits()));
  }
  /// A block's arc: that of the hash of its identifier.
  ArcNumber arc_of_block(std::string_view block) const { return arcs().arc_of(Id::hash(block)); }
  ArcNumber random_arc() { return static_cast<ArcNumber>(runtime().below(arcs().count())); }
  /// A new inode number of this arc: its top bits are the arc, the rest is random, never 0 or the root's.
  std::uint64_t new_ino(ArcNumber arc);
  /// The identifier of a new block of this inode, which this session alone may name. Needs a session.
  std::string new_block(std::uint64_t ino);
  /// False: the block was made for a session that is over, and has to be stored anew under another identifier.
  bool may_name(std::string_view block) const;

  /// The session that was opened last, closed or not; 0: none was.
  virtual std::uint64_t last_session() const = 0;

  /// Opens a session and renews it until close_session(). Transactions need one. `name` is for people.
  virtual awaitable<Result<void>> open_session(std::string name) = 0;
  virtual awaitable<void> close_session() = 0;

  /// Asks, if it has not been renewed for kSessionSureFor: this process may have been stopped for longer than the
  /// session lives. session_closed: it is over, and with it every lock.
  virtual awaitable<Result<void>> confirm_session() { co_return Result<void>(); }

  /// Parts that lie in one arc are one log entry; several are a two-phase commit. Exactly once, or an error; after
  /// `unavailable` it may have happened. Never returns `locked` or `busy`: it waits and retries until the deadline.
  /// An Answer whose `error` is set is returned as that Error, except `stale`, whose Answer tells what was found:
  /// look at Answer.error. `opened`: an inode created here that this session has open from the first moment.
  virtual awaitable<Result<wire::Answer>> transact(wire::Transaction transaction, std::uint64_t opened = 0) = 0;
  /// Linearizable read at the arc's leader. A QueryAnswer whose `error` is set is returned as that Error.
  virtual awaitable<Result<wire::QueryAnswer>> query(ArcNumber arc, wire::Query query) = 0;
  /// The same, but an error of the tree stays in the answer; and if the answer may be given again while holds(), its
  /// `lease` is the stamp to ask that with, otherwise 0.
  virtual awaitable<Result<wire::QueryAnswer>> look(ArcNumber arc, wire::Query query) {
    CO_TRY(auto answer, co_await this->query(arc, std::move(query)));
    answer.set_lease(0);
    co_return std::move(answer);
  }
  virtual bool holds(ArcNumber arc, std::uint64_t stamp) {
    static_cast<void>(arc), static_cast<void>(stamp);
    return false;
  }
  /// Of what the arc's leader grants now; 0: nothing.
  virtual std::uint64_t lease_stamp(ArcNumber arc) {
    static_cast<void>(arc);
    return 0;
  }
  /// Before anybody changes what was leased, or sees what this client writes, the holder is told. Without one there are
  /// no leases.
  virtual void lease(LeaseHolder& holder) { static_cast<void>(holder); }
  virtual bool leases() const { return false; }

  /// Durable at the members of the block's arc when it returns. `block`: from new_block().
  virtual awaitable<Result<void>> put_block(std::string block, Bytes contents) = 0;
  /// Verified bytes [offset, offset + length) of a block. no_block: no member has it (read the map again).
  virtual awaitable<Result<Bytes>> get_block(std::string block, std::uint32_t offset, std::uint32_t length) = 0;

  /// The ring's changes may be acknowledged before they are synced: call sync() where a program asked for it.
  virtual bool relaxed() const { return false; }
  /// Everything that this client has changed, and all that had been acknowledged in `arc`, is durable on a majority.
  virtual awaitable<Result<void>> sync(ArcNumber arc) {
    static_cast<void>(arc);
    co_return Result<void>();
  }

  /// This session has the inode open until released: told to the arc's leader every kSessionRenewEvery.
  /// (A query GetInode with `open`, or transact's `opened`, tells the leader of the first moment.) Counted.
  virtual void opened(std::uint64_t ino) = 0;
  virtual void released(std::uint64_t ino) = 0;

  /// Chord lookup of an identifier without the cache, every hop recorded.
  virtual awaitable<Result<Location>> locate(Id id) = 0;
  /// Every node of the ring, found by walking the successors all the way round, with what each says of itself.
  virtual awaitable<Result<std::vector<wire::Status>>> walk(bool with_blocks = false) = 0;

 private:
  std::uint64_t blocks_made_ = 0;
};

}  // namespace chordfs
