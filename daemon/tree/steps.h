#pragma once
// Steps: what each kind of step checks and changes. One member function per kind; the meaning of each is written beside
// its message in proto/wire/tree.proto. A step checks everything before it changes anything, and sees the effects of
// the steps before it.
//
// Owner: one operation. Thread: the caller's.
// Errors, besides those that POSIX gives: `bad_handle` when the inode of a directory or of a file that is worked on is
// gone, `not_found` when the inode that is named, unnamed or moved is gone or has no name left, `stale`, `locked`.
// Limits: kStepsPerPartMax steps in one part, and those of proto/wire/limits.h.

#include <optional>

#include "daemon/tree/locks.h"
#include "daemon/tree/outcome.h"
#include "daemon/tree/state.h"

namespace chordfs::tree {

inline constexpr int kStepsPerPartMax = 128;

/// `foreign`: any lock that is met is another's, and refuses the step. `own`: the steps hold their own locks already.
enum class Locks { foreign, own };

/// The session that asks; 0: nobody. Nothing: a transaction of several parts does, and no block may be named: whether
/// it is would be undecided for a while, during which the session may be closed and the block deleted.
using Writer = std::optional<std::uint64_t>;

class StepRunner {
 public:
  StepRunner(State& state, Locks locks, Writer writer = {}) : state_(state), locks_(locks), writer_(writer) {}

  Outcome run(const Steps& steps);
  Outcome run(const wire::Step& step);

  /// The attributes, as they are now, of each inode that the steps name.
  void describe(const Steps& steps, wire::Answer& answer);

 private:
  Outcome insert_entry(const wire::InsertEntry& step);
  Outcome remove_entry(const wire::RemoveEntry& step);
  Outcome take_dirmove();
  Outcome check_directory(std::uint64_t dir);
  Outcome check_name(std::uint64_t dir, std::string_view name);
  /// The directory has one entry of type `gone` less and one of type `come` more (FILE_NONE: none).
  void directory_changed(std::uint64_t dir, wire::FileType gone, wire::FileType come);

  Outcome create_inode(const wire::CreateInode& step);
  Outcome link_inode(const wire::LinkInode& step);
  Outcome unlink_inode(const wire::UnlinkInode& step);
  Outcome moved_inode(const wire::MovedInode& step);
  Outcome check_named(std::uint64_t ino);
  Outcome check_removable(const wire::UnlinkInode& step);

  Outcome set_attr(const wire::SetAttr& step);
  Outcome commit(const wire::Commit& step);
  Outcome allocate(const wire::Allocate& step);
  Outcome set_lock(const wire::SetLock& step);
  Outcome set_xattr(const wire::SetXattr& step);
  Outcome set_acl(wire::Inode& inode, const wire::SetXattr& step);
  Outcome remove_xattr(const wire::RemoveXattr& step);
  Outcome end_writing(const wire::EndWriting& step);
  Outcome check_present(std::uint64_t ino);
  /// What another session has written and not committed comes first.
  Outcome check_writer(std::uint64_t ino);
  void wrote(wire::Inode& inode, bool goes_on);
  /// Refuses what any of these flags of the inode forbids. What is prepared goes on: only who comes after the flag.
  Outcome check_flags(std::uint64_t ino, std::uint32_t forbidden);
  Outcome check_settable(const wire::SetAttr& step);
  Outcome check_file(std::uint64_t ino);
  Outcome check_block(std::uint64_t ino, const std::string& block);
  Outcome check_data(const wire::Inode& inode, const wire::Commit& step);
  void truncate(wire::Inode& inode, std::uint64_t size);
  void make_hole(wire::Inode& inode, std::uint64_t from, std::uint64_t to);
  void write_inline(wire::Inode& inode, const wire::Commit& step);
  void write_extents(wire::Inode& inode, const wire::Commit& step);

  State& state_;
  Locks locks_;
  Writer writer_;
};

/// Attributes of one inode all together are capped, and each alone; access control lists are whole.
Outcome check_xattrs(const wire::Inode& inode);
/// What the inode's attributes tell of its access control lists.
void note_acls(wire::Inode& inode);

}  // namespace chordfs::tree
