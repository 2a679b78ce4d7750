#pragma once
// Arc: what this node knows of one arc it has a part in. Plain data that Arcs, Committer and Mover share.
// Owner: Arcs, by shared_ptr, because coroutines keep it across waits. Thread: the Runtime's.

#include <memory>
#include <optional>

#include "daemon/arc/arc.pb.h"
#include "proto/base/result.h"
#include "proto/base/task.h"
#include "proto/id/id.h"

namespace chordfs {

struct Arc {
  explicit Arc(ArcNumber n) : number(n) {}

  ArcNumber number;
  disk::ArcStatus status;
  std::uint64_t last = 0;     ///< Index of the last entry that is durable in the log.
  std::uint64_t applied = 0;  ///< Index of the last entry whose effect can be read.
  Time led_since{};

  /// While frozen nothing new is begun: callers wait for `changed` and look again.
  bool frozen = false;
  /// Proposals and block writes begun and not ended.
  std::size_t under_way = 0;
  /// A node that is being filled: blocks written or dropped here are passed on to it.
  std::optional<wire::Peer> moving_to;
  bool pass_on_failed = false;
  /// The log must not be cut after this index while a move still needs what follows.
  std::optional<std::uint64_t> keep_log_from;
  std::uint64_t log_cut = 0;  ///< Entries up to here are erased.
  /// One message of a move is being worked in; others are told to come back.
  bool receiving = false;
  Time touched{};  ///< LEARNING: when the holder was last heard.
  /// Some record failed its checksum: serves no more, says which.
  std::optional<Error> broken;

  Signal changed;

  bool leads() const { return status.state() == disk::ArcStatus::LEADING; }
};

using ArcPtr = std::shared_ptr<Arc>;

}  // namespace chordfs
