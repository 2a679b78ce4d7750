#pragma once
// TransactionWatch: the omniscient judge of operations on several arcs. It reads every operation when it is committed:
//   I14 who finishes a transaction by applying it: it was decided so, before.
//   I18 two directories are never moved under the one right to move directories: who is decided so has it until its
//       part in the root's arc is finished.
//   I15 no intent begins to stand for a transaction that is over and forgotten (finding 10).
//
// Owner: RingWorld. Thread: the world's. Errors: to RingWorld::violation.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/id/id.h"

namespace chordfs {

class RingWorld;

class TransactionWatch {
 public:
  explicit TransactionWatch(RingWorld& ring) : ring_(ring) {}

  void committed(ArcNumber arc, std::uint64_t index, std::string_view operation);
  /// After each step.
  void look();

  std::uint64_t decided() const { return decisions_.size(); }
  std::uint64_t directory_moves() const { return directory_moves_; }
  /// Prepares that came after all was over.
  std::uint64_t late_prepares() const { return late_prepares_; }

 private:
  using Tx = std::pair<ArcNumber, std::uint64_t>;  ///< Coordinator, and index of its Begin.
  struct Late {
    ArcNumber arc;
    std::uint64_t index;
    Tx tx;
  };
  void decided(const Tx& tx, bool commit);
  bool judged(const Late& late) const;

  RingWorld& ring_;
  std::map<Tx, bool> decisions_;
  std::set<Tx> forgotten_;
  std::set<Tx> moves_;        ///< Begun, and they move a directory.
  std::optional<Tx> moving_;  ///< Decided, and the right not given back.
  std::vector<Late> late_;    ///< Committed, applied nowhere yet.
  std::uint64_t late_prepares_ = 0;
  std::uint64_t directory_moves_ = 0;
};

}  // namespace chordfs
