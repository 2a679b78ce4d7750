#pragma once
// BlockWatch: the omniscient judge of blocks in a world of whole nodes. It hears what clients are told and looks at the
// simulated disks:
//   I23 whoever is told that a block is stored: then a majority of each set of voters has it on disk.
//   I19 who is about to vote holds every block that was acknowledged and not dropped since.
// It also spoils copies, and says whether they were mended.
// A disk that was wiped since is no witness, for or against.
//
// Owner: RingWorld. Thread: the world's. Errors: to RingWorld::violation.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "daemon/arc/raft/view.h"
#include "proto/id/id.h"
#include "tools/sim/network.h"

namespace chordfs {

class RingWorld;

class BlockWatch final : public NetworkWatch {
 public:
  explicit BlockWatch(RingWorld& ring) : ring_(ring) {}

  bool wants_reply_to(const Request& request) const override;
  void request_arrived(const SimHost& at, const Request& request) override;
  void served(const SimHost& at, const wire::Request& asked, const Reply& reply) override;

  /// A leader has just appended this joint view.
  void joint_begins(ArcNumber arc, const ArcView& view);

  /// Inverts a bit of some block on this node's disk.
  void spoil(std::size_t node);
  std::uint64_t spoilt() const { return spoilt_.size(); }
  /// Copies that have been spoilt and are bad still. Whoever reads one finds out.
  std::uint64_t bad_copies() const;
  /// The copy on this disk is what was written. Looked at only where anything was spoilt.
  bool whole(std::size_t node, ArcNumber arc, const std::string& block) const;

  std::uint64_t acknowledged() const { return acknowledgements_; }

 private:
  struct Spoilt {
    std::size_t node = 0;
    std::string file;
  };
  bool was_spoilt(ArcNumber arc, const std::string& block) const;
  bool dropped_at_a_voter(ArcNumber arc, const ArcView& view, const std::string& block) const;
  bool file_is_whole(std::size_t node, const std::string& file) const;
  bool may_hold(ArcNumber arc, const Replica& replica, const std::string& block) const;

  RingWorld& ring_;
  std::map<ArcNumber, std::set<std::string>> acknowledged_;
  std::set<std::string> dropped_;
  std::uint64_t acknowledgements_ = 0;
  std::vector<Spoilt> spoilt_;
};

}  // namespace chordfs
