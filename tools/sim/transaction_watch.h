#pragma once
// TransactionWatch: the omniscient judge of operations on several arcs. It reads every operation when it is committed:
//   I14 who finishes a transaction by applying it: it was decided so, before.
//   I15 no intent begins to stand for a transaction that is over and forgotten (finding 10).
//
// Owner: RingWorld. Thread: the world's. Errors: to RingWorld::violation.

#include <cstdint>
#include <map>
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
  /// Prepares that came after all was over.
  std::uint64_t late_prepares() const { return late_prepares_; }

 private:
  using Tx = std::pair<ArcNumber, std::uint64_t>;  ///< Coordinator, and index of its Begin.
  struct Late {
    ArcNumber arc;
    std::uint64_t index;
    Tx tx;
  };
  bool judged(const Late& late) const;

  RingWorld& ring_;
  std::map<Tx, bool> decisions_;
  std::set<Tx> forgotten_;
  std::vector<Late> late_;  ///< Committed, applied nowhere yet.
  std::uint64_t late_prepares_ = 0;
};

}  // namespace chordfs
