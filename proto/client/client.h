#pragma once
// Client: any arc of a ring, from anywhere. Knows how to find an arc (iterative Chord lookup, then a location cache),
// follows redirects, retries under one identity until the deadline, and goes on when the node it came in by dies.
//
// Owner: a mount, a tool, or a node (for its own transactions). Thread: the Runtime's.
// Errors: those of the tree, as they are; `unavailable` when no holder of the arc answered within the deadline;
// `session_closed` when this client's session has expired; `cancelled`.
// Limits: kClientDeadline for a call; kSessionCallsMax operations of one session at once, further ones wait.

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "proto/base/task.h"
#include "proto/id/id.h"
#include "proto/rpc/transport.h"

namespace chordfs {

inline constexpr Duration kClientDeadline = 3s;
inline constexpr Duration kClientCallTimeout = 1s;
inline constexpr std::size_t kSessionCallsMax = 64;
inline constexpr Duration kSessionRenewEvery = 3s;
inline constexpr Duration kSessionTtl = 12s;

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
  Id point;                     ///< The arc's first identifier.
  wire::Peer owner;             ///< The node of the position that follows it on the ring.
  std::vector<wire::Peer> successors;  ///< Further distinct nodes, clockwise.
  std::vector<Hop> hops;
};

class Client {
 public:
  Client(Runtime& runtime, Transport& transport, std::vector<Endpoint> via);
  ~Client();

  /// Learns the ring's identity and its arcs from any of `via`. unreachable, wrong_version, bad_message …
  awaitable<Result<void>> connect();
  const ArcMap& arcs() const;
  const Uuid& ring() const;
  ArcNumber arc_of_ino(std::uint64_t ino) const;
  /// A new inode number of this arc: its top bits are the arc, the rest is random and never 0 or the root.
  std::uint64_t new_ino(ArcNumber arc);
  ArcNumber random_arc();
  /// A block's arc: that of the hash of its identifier.
  ArcNumber arc_of_block(std::string_view block) const;

  /// Opens a session and renews it until stop(). Transactions need one. `name` is for people ("host:/mnt/dht pid 7").
  awaitable<Result<void>> open_session(std::string name);
  awaitable<void> close_session();
  /// Stops background work. Call before destruction; calls under way end with `cancelled`.
  awaitable<void> stop();

  /// Parts that lie in one arc are one log entry; several are a two-phase commit. Exactly once, or an error; after
  /// `unavailable` it may have happened. Never returns `locked` or `busy`: it waits and retries until the deadline.
  /// `opened`: an inode created here that this session has open from the first moment.
  awaitable<Result<wire::Answer>> transact(wire::Transaction transaction, std::uint64_t opened = 0);
  /// Linearizable read at the arc's leader.
  awaitable<Result<wire::QueryAnswer>> query(ArcNumber arc, wire::Query query);

  /// Durable at the members of the block's arc when it returns. `block`: 16 random bytes, from new_block().
  std::string new_block();
  awaitable<Result<void>> put_block(std::string block, Bytes contents);
  /// Verified bytes [offset, offset + length) of a block. no_block: no member has it (read the map again).
  awaitable<Result<Bytes>> get_block(std::string block, std::uint32_t offset, std::uint32_t length);

  /// This session has the inode open until released: told to the arc's leader every kSessionRenewEvery.
  void opened(std::uint64_t ino);
  void released(std::uint64_t ino);

  /// Chord lookup of an identifier without the cache, every hop recorded.
  awaitable<Result<Location>> locate(Id id);
  /// One request to one node.
  awaitable<Result<Reply>> call(Endpoint to, Request request, Duration timeout = kClientCallTimeout);
  /// Every node of the ring, found by walking the successors all the way round, with what each says of itself.
  awaitable<Result<std::vector<wire::Status>>> walk(bool with_blocks = false);

  Runtime& runtime();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace chordfs
