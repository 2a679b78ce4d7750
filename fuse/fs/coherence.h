#pragma once
// Coherence: what this mount keeps of files (attributes, maps, the kernel's pages, bytes that are not committed) is
// never older, for a program here, or newer than what is known elsewhere, than one filesystem allows: what anybody has
// done everybody sees at his next call. daemon/node/leases.h has the rules; this is a mount's part in them.
//
// - refresh() before contents are used: free while the inode is leased, or this mount is its writer.
// - A write may stay here while this mount is the file's writer and its lease holds (may_write_behind). Else it is
//   committed before it is acknowledged; who does that twice becomes the writer.
// - When somebody else asks, the arc recalls: what is unsent is committed, the kernel's pages go, and then we say so.
// - Pages that were read without a lease go at once, and when the lease runs out unasked.
//
// Owner: FileSystem. Thread: the Runtime's. Errors: none of its own; what cannot be committed is tried again until the
// arc waits no longer.
// A client that knows no leases (tests) leaves all this out: close-to-open.

#include <map>
#include <set>

#include "fuse/fs/write_behind.h"

namespace chordfs::fs {

class Coherence final : public LeaseHolder {
 public:
  Coherence(Core& core, WriteBehind& writes) : core_(core), writes_(writes) { core_.client.lease(*this); }

  void start();
  /// Drops the kernel's pages of the file before it returns. Default: there are none.
  void drops_pages(std::function<awaitable<void>(Ino)> drop) { drop_ = std::move(drop); }

  /// What is known of an open file is what is so now.
  awaitable<Result<void>> refresh(std::shared_ptr<InodeState> inode);
  /// The kernel is about to be given pages of it, or to keep those of a write.
  void cover(InodeState& inode);
  /// Nobody has it open here any more.
  void closed(const std::shared_ptr<InodeState>& inode);

  bool recalled(Ino ino, bool writing) override;
  awaitable<void> give_back(Ino ino, bool writing) override;

 private:
  using Lease = std::pair<ArcNumber, std::uint64_t>;  ///< With its stamp.
  Lease lease_of(const InodeState& inode) { return {core_.client.arc_of_ino(inode.ino), inode.pages_stamp}; }
  void uncover(InodeState& inode);
  awaitable<void> watch();
  /// This mount is its writer no more, and the arc is to know.
  void end_writing(InodeState& inode);
  awaitable<void> say_that_it_ended(Ino ino, std::uint64_t written_as);

  Core& core_;
  WriteBehind& writes_;
  std::function<awaitable<void>(Ino)> drop_;
  std::map<Lease, std::set<Ino>> covered_;                      ///< Whose pages the kernel may have.
  std::multimap<Ino, std::shared_ptr<InodeState>> asked_back_;  ///< Recalled, and to be given back.
};

}  // namespace chordfs::fs
