#pragma once
// What one position knows of the ring, and every decision it takes: Chord as corrected by Zave (TSE 2017).

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "proto/client/lookup.h"

namespace chordfs {

/// r: how many other nodes a successor list reaches. Any r - 1 of them may die at once.
inline constexpr int kSuccessorNodes = 4;
/// Entries of a successor list; a longer one from a peer is cut, not refused.
inline constexpr std::size_t kSuccessorsMax = 64;

/// What a position tells of itself when asked (wire::Neighbours): all that others may build on.
struct View {
  Position self;
  Position predecessor;
  std::vector<Position> successors;
  friend bool operator==(const View&, const View&) = default;
};

/// Positions of one node do not count as independent: they die together. So a list is the shortest clockwise run that
/// holds `nodes` distinct nodes other than self's. It ends before self, too: in a ring of up to `nodes` other nodes it
/// holds every other position (small-ring mode). What is out of order ends it.
std::vector<Position> cut(const Position& self, std::span<const Position> run, int nodes);
/// `first` and what follows it, as a list of self.
std::vector<Position> cut(const Position& self, const View& first, int nodes);

/// Successors and predecessor of one position, and every decision taken from them.
/// Pure: no I/O, no clock. The caller tells it what was learnt and asks it what to do; it makes sure that between two
/// calls of one operation of Zave's (join, stabilize, rectify) no other operation of this position runs.
/// Invariants: the list is in clockwise order, without self, cut as above; it is replaced whole; a member always has
/// a predecessor (itself when alone); an empty list means that the position is its own successor.
class RingState {
 public:
  enum class Standing { outside, member, left };
  /// What a notify asks for: nothing, adopt the candidate, or adopt it only if the predecessor is dead.
  enum class Verdict { keep, adopt, adopt_if_predecessor_dead };

  RingState(Position self, int successor_nodes) : nodes_(successor_nodes) { view_.self = std::move(self); }

  Standing standing() const { return standing_; }
  bool member() const { return standing_ == Standing::member; }
  const View& view() const { return view_; }
  const Position& self() const { return view_.self; }
  const Position& predecessor() const { return view_.predecessor; }
  const std::vector<Position>& successors() const { return view_.successors; }
  /// The first of the list; self when it is empty.
  const Position& successor() const { return view_.successors.empty() ? view_.self : view_.successors.front(); }
  bool lists(const Uuid& node) const;
  /// The list goes all the way round: fingers could add nothing.
  bool knows_all() const;

  /// key ∈ (predecessor, self].
  bool owns(const Id& key) const { return member() && owned(predecessor().id, key, self().id); }
  /// key ∈ (self, successor].
  bool precedes(const Id& key) const { return member() && owned(self().id, key, successor().id); }

  /// First node of a ring: `ring` are all of its positions, self included.
  void create(std::vector<Position> ring);
  /// Zave's join, after both have answered in this operation.
  void join(const Position& predecessor, const View& successor);
  /// This position is gone for good: others must not find it alive.
  void leave() { standing_ = Standing::left; }

  /// StabilizeFromSuccessor, the successor is dead; or one of the list has said that it leaves. True if something
  /// changed, as with all that follow.
  bool drop(const Id& dead);
  /// StabilizeFromSuccessor, the successor has answered. Not when alone.
  bool from_successor(const View& successor);
  /// What StabilizeFromPredecessor has to ask, given the successor's predecessor.
  std::optional<Position> closer(const Position& successors_predecessor) const;
  /// StabilizeFromPredecessor, it has answered.
  bool from_predecessor(const View& closer);
  /// A live position from another way round (merge), strictly between self and the successor, has answered.
  bool from_elsewhere(const View& found);

  /// Rectify.
  Verdict consider(const Position& candidate) const;
  bool set_predecessor(const Position& predecessor);

 private:
  bool replace(std::vector<Position> list);

  int nodes_;
  Standing standing_ = Standing::outside;
  View view_;
};

}  // namespace chordfs
