#pragma once
// Namespace: everything that changes a directory. Each operation is planned from what is believed to stand where it
// works, first from hints, and is one transaction; if an arc finds it otherwise, it is looked up and planned anew, at
// most kPlansMax times.
// Owner: FileSystem. Thread: the Runtime's. Errors: those of POSIX, decided by what stood there at one moment.

#include "fuse/fs/attributes.h"
#include "fuse/fs/core.h"

namespace chordfs::fs {

/// A path this long is not walked up: something is wrong with it.
inline constexpr int kAncestorsMax = 10000;

class Namespace {
 public:
  Namespace(Core& core, Attributes& attributes) : core_(core), attributes_(attributes) {}

  /// `opens`: the session has it open from the first moment.
  enum class Make { closed, opens };
  awaitable<Result<wire::Attr>> make(Place place, NewObject object, Caller caller, Make how);
  awaitable<Result<wire::Attr>> link(Ino ino, Place place);
  awaitable<Result<void>> unlink(Place place);
  awaitable<Result<void>> remove_directory(Place place);
  awaitable<Result<void>> rename(RenameAsk ask);

 private:
  enum class Trust { hints, nothing };
  /// What stands there, and whether that is only a hint.
  struct Believed {
    Found found;
    bool hint = false;
  };
  enum class Outcome { done, plan_again };

  awaitable<Result<Believed>> believe(Place place, Trust trust);
  awaitable<Result<DirectoryTraits>> traits(Ino dir);
  /// The mode and the access control lists of a new object.
  static Result<void> hand_down(const DirectoryTraits& parent, std::uint32_t umask, wire::Inode& inode);
  awaitable<Result<void>> remove(Place place, wire::UnlinkInode::Kind kind);
  /// Carries a plan out. `hinted`: its errors are to be believed only after a look at what really stands there.
  /// `gone`: the inode whose name it takes away, if any; the arc is told if it is open here, and keeps it.
  awaitable<Result<Outcome>> carry_out(Result<wire::Transaction> plan, bool hinted, Ino gone);
  awaitable<Result<void>> check_ancestors(RenameAsk ask, Found source, Found target);
  awaitable<Result<bool>> lies_below(Ino dir, Ino ancestor);

  Core& core_;
  Attributes& attributes_;
};

}  // namespace chordfs::fs
