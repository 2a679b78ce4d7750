// Steps on inodes as such: to create, name, unname and move them. They lock the inode, so that a prepared one holds.
#include <algorithm>

#include "daemon/tree/keys.h"
#include "daemon/tree/steps.h"
#include "proto/wire/inode_flags.h"
#include "proto/wire/limits.h"

namespace chordfs::tree {

namespace {
Outcome check_new(const wire::Inode& inode) {
  const auto& attr = inode.attr();
  if (attr.type() == wire::FILE_NONE || !wire::FileType_IsValid(attr.type()))
    return refusal(Errc::invalid, "a new inode without a type");
  bool is_link = attr.type() == wire::FILE_SYMLINK;
  if (inode.target().size() > kSymlinkBytesMax) return refusal(Errc::name_too_long, "a target over 4095 bytes");
  if (is_link == inode.target().empty()) return refusal(Errc::invalid, "a target is for symbolic links, and for all");
  bool has_data = attr.size() > 0 || !inode.inline_data().empty();
  if (has_data && attr.type() != wire::FILE_REGULAR && !is_link) return refusal(Errc::invalid, "contents of no file");
  if (inode.inline_data().size() > (is_link ? 0 : std::min(kInlineBytesMax, attr.size())))
    return refusal(Errc::invalid, "contents beyond the size");
  if (attr.type() == wire::FILE_DIRECTORY ? attr.nlink() != 2 : attr.nlink() > kLinksMax)
    return refusal(Errc::invalid, "a new inode with the links of an old one");
  if (attr.size() > kFileBytesMax) return refusal(Errc::file_too_large, "a new file over 2^63 bytes");
  return check_xattrs(inode);
}
}  // namespace

Outcome StepRunner::create_inode(const wire::CreateInode& step) {
  const auto& given = step.inode();
  auto ino = given.attr().ino();
  if (ino == 0 || !state_.place().is_home_of(ino))
    return refusal(Errc::invalid, "the inode's number is of another arc");
  TRY_VOID(check_new(given));
  if (locks_ == Locks::foreign)
    if (auto lock = inode_lock(state_.records(), ino)) return locked_by(lock->holder);
  if (state_.inode(ino)) return refusal(Errc::exists, "an inode of this number");

  auto inode = given;
  auto* attr = inode.mutable_attr();
  attr->set_mode(attr->mode() & 07777);
  attr->set_atime(state_.now());
  attr->set_mtime(state_.now());
  attr->set_ctime(state_.now());
  attr->set_version(1);
  attr->set_flags(attr->flags() & kFlagsInherited);
  attr->set_allocated(inode.inline_data().size());
  attr->set_writer(0);
  note_acls(inode);
  if (attr->type() == wire::FILE_SYMLINK) attr->set_size(inode.target().size());
  if (attr->nlink() == 0) state_.add_orphan(ino);
  state_.create_inode(std::move(inode));
  if (given.attr().type() == wire::FILE_REGULAR) wrote(*state_.inode(ino), step.goes_on());
  return {};
}

Outcome StepRunner::check_named(std::uint64_t ino) {
  if (locks_ == Locks::foreign)
    if (auto lock = inode_lock(state_.records(), ino)) return locked_by(lock->holder);
  const auto* inode = state_.inode(ino);
  if (!inode || inode->attr().nlink() == 0) return refusal(Errc::not_found, "the inode has no name left");
  return {};
}

Outcome StepRunner::link_inode(const wire::LinkInode& step) {
  TRY_VOID(check_named(step.ino()));
  auto& inode = *state_.inode(step.ino());
  auto* attr = inode.mutable_attr();
  if (attr->type() == wire::FILE_DIRECTORY) return refusal(Errc::not_permitted, "a second name for a directory");
  TRY_VOID(check_flags(step.ino(), kFlagsSticking));
  if (attr->nlink() >= kLinksMax) return refusal(Errc::too_many_links, "65000 names");
  attr->set_nlink(attr->nlink() + 1);
  attr->set_ctime(state_.now());
  state_.changed(inode);
  return {};
}

Outcome StepRunner::check_removable(const wire::UnlinkInode& step) {
  TRY_VOID(check_named(step.ino()));
  TRY_VOID(check_flags(step.ino(), kFlagsSticking));
  bool is_directory = state_.inode(step.ino())->attr().type() == wire::FILE_DIRECTORY;
  if (step.kind() == wire::UnlinkInode::MUST_BE_DIRECTORY && !is_directory)
    return refusal(Errc::not_directory, "not a directory");
  if (step.kind() == wire::UnlinkInode::MUST_NOT_BE_DIRECTORY && is_directory)
    return refusal(Errc::is_directory, "a directory");
  if (!is_directory) return {};
  if (step.ino() == kRootIno) return refusal(Errc::not_permitted, "the root stays");
  if (locks_ == Locks::foreign)
    if (auto holder = entry_lock_within(state_.records(), step.ino(), 0, kNameHashMax)) return locked_by(*holder);
  if (state_.has_entries(step.ino())) return refusal(Errc::not_empty, "the directory has entries");
  return {};
}

Outcome StepRunner::unlink_inode(const wire::UnlinkInode& step) {
  TRY_VOID(check_removable(step));
  auto& inode = *state_.inode(step.ino());
  auto* attr = inode.mutable_attr();
  attr->set_nlink(attr->type() == wire::FILE_DIRECTORY ? 0 : attr->nlink() - 1);
  attr->set_ctime(state_.now());
  state_.changed(inode);
  if (attr->nlink() == 0) state_.add_orphan(step.ino());
  return {};
}

Outcome StepRunner::moved_inode(const wire::MovedInode& step) {
  TRY_VOID(check_named(step.ino()));
  TRY_VOID(check_flags(step.ino(), kFlagsSticking));
  auto& inode = *state_.inode(step.ino());
  auto* attr = inode.mutable_attr();
  if (attr->type() == wire::FILE_DIRECTORY && step.parent() != 0) attr->set_parent(step.parent());
  attr->set_ctime(state_.now());
  state_.changed(inode);
  return {};
}

}  // namespace chordfs::tree
