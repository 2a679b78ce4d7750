#pragma once
// InvariantTracker: check_invariant() of a whole ring after every change, at a cost in proportion to what changed. It
// is told of every change and keeps count of who skips whom; as long as the counts say that the invariant holds it says
// so, and in all other cases it asks check_invariant(), so that both always give the same verdict.
//
// Why counts are enough: while some member is skipped by nobody's list, walks along first live successors cannot pass
// it and cannot end elsewhere; so there is one ring, in order, and every such member is in it (C7 to C11).
//
// Pure. Owner, thread: whoever observes a ring. Errors: in what check() returns. Limits: none of its own.

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "daemon/ring/invariant.h"

namespace chordfs {

class InvariantTracker {
 public:
  /// Names a list outside of any member's state: one that a message carries, or that a half-finished operation holds.
  using Carried = std::uint64_t;

  explicit InvariantTracker(int successor_nodes) : successor_nodes_(successor_nodes) {}

  /// This position has joined, or what it knows has changed.
  void member(const View& view);
  /// It has failed or left. Harmless if it was no member.
  void gone(const Id& position);
  void carry(Carried number, const View& view);
  /// Harmless if nothing is carried under this number.
  void drop(Carried number);

  /// Violations of C1 to C11 now, and in ordinary mode of C17: members that have stopped being principals since the
  /// last call. C17 is not asked of members that were away before: their old pointers were still about.
  std::vector<Violation> check(RingMode mode);
  /// On how many nodes principals lie.
  int principal_nodes();
  /// Without the carried lists named.
  RingSnapshot snapshot(const std::set<Carried>& without = {}) const;
  bool contains(const Id& position) const { return live_.contains(position); }
  /// How often check() could not answer by itself.
  std::uint64_t full_checks() const { return full_checks_; }

 private:
  struct List {
    View view;
    int live = 0;  ///< Entries that are live members.
  };
  struct Member {
    List list;
    int skips = 0;           ///< Gaps of lists that this member lies in.
    bool principal = false;  ///< When last looked at.
    bool malformed = false;
    bool returned = false;  ///< Has been gone before.
  };

  void add(List& list);
  void remove(const List& list);
  void set_live(List& list, int by);
  static bool stranded(const List& list) { return list.live == 0 && !list.view.successors.empty(); }
  void skip(const View& view, int by);
  int gaps_over(const Id& id) const;
  bool is_principal(const Id& id, const Member& member) const;
  void look_again(const Id& id, Member& member, std::vector<Violation>* fallen);
  void look_again(std::vector<Violation>* fallen);

  int successor_nodes_;
  std::map<Id, Member> live_;
  std::map<Carried, List> carried_;
  std::map<Id, std::vector<List*>> listed_by_;
  std::map<Id, int> lonely_;  ///< Empty lists, by whose they are.
  int stranded_ = 0;          ///< Lists with entries, none of them live.
  int malformed_ = 0;
  std::vector<Id> touched_;  ///< Whose skips became or left zero.
  bool all_touched_ = false;
  std::map<Uuid, int> principals_;  ///< Positions that are principals, by node.
  std::set<Id> away_;
  std::vector<Violation> fallen_;
  std::uint64_t full_checks_ = 0;
};

}  // namespace chordfs
