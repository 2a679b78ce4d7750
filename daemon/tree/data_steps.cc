// Steps on what an inode holds: attributes, contents, extended attributes. They lock nothing.
#include <algorithm>
#include <optional>
#include <vector>

#include "daemon/arc/raft/defects.h"
#include "daemon/tree/extents.h"
#include "daemon/tree/file_locks.h"
#include "daemon/tree/keys.h"
#include "daemon/tree/steps.h"
#include "proto/base/check.h"
#include "proto/wire/acl.h"
#include "proto/wire/block_id.h"
#include "proto/wire/inode_flags.h"
#include "proto/wire/limits.h"

namespace chordfs::tree {

namespace {
constexpr std::uint32_t kSetUser = 04000, kSetGroup = 02000, kGroupExecutes = 010;

bool has_extents(const wire::Inode& inode) {
  return inode.attr().allocated() > inode.inline_data().size();
}

void resize_inline(State& state, wire::Inode& inode, std::size_t size) {
  auto before = inode.inline_data().size();
  inode.mutable_inline_data()->resize(size);
  state.allocate(inode, static_cast<std::int64_t>(size) - static_cast<std::int64_t>(before));
}

std::size_t xattr_bytes(const wire::Inode& inode) {
  std::size_t bytes = 0;
  for (const auto& [name, value] : inode.xattrs()) bytes += name.size() + value.size();
  return bytes;
}

/// An access control list says what the mode says.
void set_mode(wire::Inode& inode, std::uint32_t mode) {
  inode.mutable_attr()->set_mode(mode & 07777);
  if (!inode.attr().acl()) return;
  auto& value = inode.mutable_xattrs()->at(std::string(kAccessAcl));
  auto acl = Acl::parse(value);
  CHECK(acl, "inode {:x}", inode.attr().ino());
  acl->set_mode(mode);
  value = acl->value();
}

Outcome check_extent(const wire::Extent& extent) {
  if (extent.block().size() != kBlockIdBytes || extent.length() == 0 || extent.block_length() > kBlockBytesMax ||
      extent.block_offset() > extent.block_length() || extent.length() > extent.block_length() - extent.block_offset())
    return refusal(Errc::invalid, "an extent that is not within its block");
  if (extent.offset() > kFileBytesMax || extent.length() > kFileBytesMax - extent.offset())
    return refusal(Errc::file_too_large, "an extent beyond 2^63 bytes");
  return {};
}

/// Is every byte of [0, size) in one of the extents?
bool covers(const google::protobuf::RepeatedPtrField<wire::Extent>& extents, std::uint64_t size) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  for (const auto& extent : extents) ranges.emplace_back(extent.offset(), extent.offset() + extent.length());
  std::sort(ranges.begin(), ranges.end());
  std::uint64_t covered = 0;
  for (auto [from, to] : ranges)
    if (from <= covered) covered = std::max(covered, to);
  return covered >= size;
}

/// The same with what begins at append_at or later moved to the end of the file; nothing if that is too far.
std::optional<wire::Commit> moved_to_end(wire::Commit step, std::uint64_t size) {
  const auto from = step.append_at();
  bool fits = true;
  auto moved = [&](std::uint64_t offset) {
    if (offset < from) return offset;
    if (size > kFileBytesMax || offset - from > kFileBytesMax - size) fits = false;
    return offset - from + size;
  };
  for (auto& extent : *step.mutable_extents()) extent.set_offset(moved(extent.offset()));
  for (auto& piece : *step.mutable_pieces()) piece.set_offset(moved(piece.offset()));
  step.set_size_at_least(moved(step.size_at_least()));
  step.clear_append_at();
  return fits ? std::optional(std::move(step)) : std::nullopt;
}
}  // namespace

Outcome StepRunner::check_present(std::uint64_t ino) {
  if (state_.inode(ino)) return {};
  // It may be about to be created by a transaction that is decided already and only not finished here.
  if (locks_ == Locks::foreign)
    if (auto lock = inode_lock(state_.records(), ino)) return locked_by(lock->holder);
  return refusal(Errc::bad_handle, "the inode is gone");
}

Outcome StepRunner::check_file(std::uint64_t ino) {
  TRY_VOID(check_present(ino));
  auto type = state_.inode(ino)->attr().type();
  if (type == wire::FILE_DIRECTORY) return refusal(Errc::is_directory, "contents of a directory");
  if (type != wire::FILE_REGULAR) return refusal(Errc::invalid, "contents of what is no regular file");
  return {};
}

Outcome StepRunner::check_flags(std::uint64_t ino, std::uint32_t forbidden) {
  if (locks_ == Locks::own) return {};
  const auto* inode = state_.inode(ino);
  if (!inode || !(inode->attr().flags() & forbidden)) return {};
  return refusal(Errc::not_permitted, "it is immutable, or may only be appended to");
}

// ---- Who writes ----

Outcome StepRunner::check_writer(std::uint64_t ino) {
  if (locks_ == Locks::own) return {};
  const auto* inode = state_.inode(ino);
  if (!inode || inode->attr().writer() == 0 || inode->attr().writer() == writer_) return {};
  if (planted(Defect::written_behind_others)) return {};
  auto answer = refusal(Errc::being_written, "another session writes it");
  *answer.mutable_written() = inode->attr();
  return answer;
}

/// After changed().
void StepRunner::wrote(wire::Inode& inode, bool goes_on) {
  const auto session = writer_.value_or(0);
  inode.set_wrote(session);
  state_.set_writer(inode, goes_on ? session : 0);
}

Outcome StepRunner::end_writing(const wire::EndWriting& step) {
  auto* inode = state_.inode(step.ino());
  if (inode && inode->attr().writer() == step.writer() && inode->attr().written_as() == step.written_as())
    state_.set_writer(*inode, 0);
  return {};
}

// ---- Attributes ----

/// notify_change() of Linux, and ext4: what only grows may be touched, and nothing else.
Outcome StepRunner::check_settable(const wire::SetAttr& step) {
  if (step.has_flags() && step.flags() & ~kFlagsAll) return refusal(Errc::not_supported, "unknown flags");
  const bool times = step.has_atime() || step.has_mtime() || (step.atime_now() != step.mtime_now());
  if (step.has_mode() || step.has_uid() || step.has_gid() || step.has_size() || times)
    return check_flags(step.ino(), kFlagsSticking);
  return step.has_flags() ? Outcome() : check_flags(step.ino(), kFlagImmutable);
}

Outcome StepRunner::set_attr(const wire::SetAttr& step) {
  if (step.has_size()) {
    TRY_VOID(check_file(step.ino()));
    if (step.size() > kFileBytesMax) return refusal(Errc::file_too_large, "a size over 2^63 bytes");
  }
  TRY_VOID(check_present(step.ino()));
  TRY_VOID(check_settable(step));
  TRY_VOID(check_writer(step.ino()));
  auto& inode = *state_.inode(step.ino());
  auto* attr = inode.mutable_attr();
  if (step.has_flags()) attr->set_flags(step.flags());
  if (step.has_mode()) set_mode(inode, step.mode());
  if (step.has_uid()) attr->set_uid(step.uid());
  if (step.has_gid()) attr->set_gid(step.gid());
  if (step.has_size()) truncate(inode, step.size());
  if (step.has_atime() || step.atime_now()) attr->set_atime(step.atime_now() ? state_.now() : step.atime());
  if (step.has_mtime() || step.mtime_now()) attr->set_mtime(step.mtime_now() ? state_.now() : step.mtime());
  attr->set_ctime(step.has_ctime() ? step.ctime() : state_.now());
  state_.changed(inode);
  if (step.has_size()) wrote(inode, step.goes_on() || inode.attr().writer() != 0);
  return {};
}

void StepRunner::truncate(wire::Inode& inode, std::uint64_t size) {
  if (size < inode.inline_data().size()) resize_inline(state_, inode, size);
  if (size < inode.attr().size() && has_extents(inode)) {
    ExtentMap map(state_, inode);
    map.cut(size, kFileBytesMax);
    map.settle();
  }
  inode.mutable_attr()->set_size(size);
  inode.mutable_attr()->set_mtime(state_.now());
}

// ---- Contents ----

/// Who asks whether a block is garbage relies on this: once its session is closed nobody names it any more.
Outcome StepRunner::check_block(std::uint64_t ino, const std::string& block) {
  if (!writer_) return refusal(Errc::invalid, "a block in a transaction of several parts");
  if (ino_of_block(block) != ino) return refusal(Errc::invalid, "a block of another inode");
  if (session_of_block(block) == *writer_ || state_.records().get(block_key(block))) return {};
  return refusal(Errc::stale, "a block of another session");
}

Outcome StepRunner::check_data(const wire::Inode& inode, const wire::Commit& step) {
  if (step.size_at_least() > kFileBytesMax) return refusal(Errc::file_too_large, "a size over 2^63 bytes");
  if (step.pieces_size() > 0 && step.extents_size() > 0) return refusal(Errc::invalid, "pieces and extents at once");
  for (const auto& extent : step.extents()) {
    TRY_VOID(check_extent(extent));
    TRY_VOID(check_block(step.ino(), extent.block()));
  }
  for (const auto& piece : step.pieces())
    if (has_extents(inode) || piece.offset() > kInlineBytesMax ||
        piece.data().size() > kInlineBytesMax - piece.offset())
      return refusal(Errc::stale, "the contents are not, or not to be, in the record");
  if (step.extents_size() > 0 && !covers(step.extents(), inode.inline_data().size()))
    return refusal(Errc::stale, "contents in the record, which the extents do not cover");
  return {};
}

Outcome StepRunner::commit(const wire::Commit& step) {
  TRY_VOID(check_file(step.ino()));
  TRY_VOID(check_flags(step.ino(), kFlagImmutable));
  TRY_VOID(check_writer(step.ino()));
  auto& inode = *state_.inode(step.ino());
  if (step.behind() && !planted(Defect::written_behind_others) && inode.attr().writer() != writer_ &&
      inode.wrote() != writer_)
    return refusal(Errc::overtaken, "another session has written it since");
  if (step.has_append_at()) {
    auto moved = moved_to_end(step, inode.attr().size());
    if (!moved) return refusal(Errc::file_too_large, "appended beyond 2^63 bytes");
    return commit(*moved);
  }
  TRY_VOID(check_data(inode, step));
  auto* attr = inode.mutable_attr();
  attr->set_size(std::max(attr->size(), step.size_at_least()));
  write_inline(inode, step);
  write_extents(inode, step);
  attr->set_mtime(step.has_mtime() ? step.mtime() : state_.now());
  attr->set_ctime(state_.now());
  if (step.clear_set_id()) {
    // Without group execution S_ISGID is no set-id bit: Linux leaves it.
    auto clear = kSetUser | (attr->mode() & kGroupExecutes ? kSetGroup : 0);
    attr->set_mode(attr->mode() & ~clear);
  }
  state_.changed(inode);
  wrote(inode, step.goes_on());
  return {};
}

Outcome StepRunner::allocate(const wire::Allocate& step) {
  TRY_VOID(check_file(step.ino()));
  if (step.length() == 0) return refusal(Errc::invalid, "a range without a byte");
  if (step.offset() > kFileBytesMax || step.length() > kFileBytesMax - step.offset())
    return refusal(Errc::file_too_large, "a range beyond 2^63 bytes");
  TRY_VOID(check_flags(step.ino(), step.hole() ? kFlagsSticking : kFlagImmutable));
  TRY_VOID(check_writer(step.ino()));
  auto& inode = *state_.inode(step.ino());
  auto* attr = inode.mutable_attr();
  const auto end = step.offset() + step.length();
  const bool grows = !step.keep_size() && end > attr->size();
  if (step.hole()) make_hole(inode, step.offset(), end);
  if (grows) attr->set_size(end);
  attr->set_mtime(state_.now());  // As Linux: also where nothing is to be seen of it.
  attr->set_ctime(state_.now());
  state_.changed(inode);
  wrote(inode, inode.attr().writer() != 0);
  return {};
}

void StepRunner::make_hole(wire::Inode& inode, std::uint64_t from, std::uint64_t to) {
  const std::uint64_t held = inode.inline_data().size();
  if (from < held && to >= held)
    resize_inline(state_, inode, from);
  else if (from < held)
    inode.mutable_inline_data()->replace(from, to - from, to - from, '\0');
  if (!has_extents(inode)) return;
  ExtentMap map(state_, inode);
  map.cut(from, to);
  map.settle();
}

void StepRunner::write_inline(wire::Inode& inode, const wire::Commit& step) {
  for (const auto& piece : step.pieces()) {
    // Bytes beyond the size, which size_at_least alone decides, would come to light when the file grows.
    auto end = std::min<std::uint64_t>(piece.offset() + piece.data().size(), inode.attr().size());
    if (end <= piece.offset()) continue;
    if (end > inode.inline_data().size()) resize_inline(state_, inode, end);
    inode.mutable_inline_data()->replace(piece.offset(), end - piece.offset(), piece.data(), 0, end - piece.offset());
  }
}

void StepRunner::write_extents(wire::Inode& inode, const wire::Commit& step) {
  if (step.extents_size() == 0) return;
  resize_inline(state_, inode, 0);
  ExtentMap map(state_, inode);
  for (const auto& extent : step.extents()) {
    map.mention(extent.block());
    if (extent.offset() < inode.attr().size()) map.put(clipped(extent, 0, inode.attr().size()));
  }
  map.settle();
}

// ---- Locks of programs ----

Outcome StepRunner::set_lock(const wire::SetLock& step) {
  if (!writer_ || *writer_ == 0) return refusal(Errc::invalid, "a lock without a session of its own");
  TRY_VOID(check_present(step.ino()));
  return set_file_lock(state_.records(), *writer_, step);
}

// ---- Extended attributes ----

Outcome check_xattrs(const wire::Inode& inode) {
  for (const auto& [name, value] : inode.xattrs()) {
    if (name.empty() || name.size() > kXattrNameBytesMax) return refusal(Errc::out_of_range, "an attribute's name");
    if (value.size() > kXattrValueBytesMax) return refusal(Errc::too_big, "an attribute's value over 64 KiB");
  }
  if (xattr_bytes(inode) > kXattrsBytesMax) return refusal(Errc::too_big, "attributes over 64 KiB together");
  for (const auto& [name, value] : inode.xattrs())
    if (is_acl(name) && !Acl::parse(value)) return refusal(Errc::invalid, "an access control list that is none");
  return {};
}

void note_acls(wire::Inode& inode) {
  inode.mutable_attr()->set_acl(inode.xattrs().contains(std::string(kAccessAcl)));
  inode.mutable_attr()->set_default_acl(inode.xattrs().contains(std::string(kDefaultAcl)));
}

Outcome StepRunner::set_xattr(const wire::SetXattr& step) {
  TRY_VOID(check_present(step.ino()));
  if (step.name().empty() || step.name().size() > kXattrNameBytesMax)
    return refusal(Errc::out_of_range, "an attribute's name");
  if (step.value().size() > kXattrValueBytesMax) return refusal(Errc::too_big, "an attribute's value over 64 KiB");
  TRY_VOID(check_flags(step.ino(), kFlagsSticking));
  auto& inode = *state_.inode(step.ino());
  if (is_acl(step.name())) return set_acl(inode, step);
  auto before = inode.xattrs().find(step.name());
  bool exists = before != inode.xattrs().end();
  if (exists && step.mode() == wire::SetXattr::CREATE) return refusal(Errc::exists, "an attribute of this name");
  if (!exists && step.mode() == wire::SetXattr::REPLACE) return refusal(Errc::no_attribute, "nothing to replace");
  auto bytes = xattr_bytes(inode) - (exists ? before->first.size() + before->second.size() : 0);
  if (bytes + step.name().size() + step.value().size() > kXattrsBytesMax)
    return refusal(Errc::too_big, "attributes over 64 KiB together");
  (*inode.mutable_xattrs())[step.name()] = step.value();
  inode.mutable_attr()->set_ctime(state_.now());
  state_.changed(inode);
  return {};
}

Outcome StepRunner::set_acl(wire::Inode& inode, const wire::SetXattr& step) {
  auto acl = Acl::parse(step.value());
  if (!acl) return refusal(acl.code(), acl.error().context);
  auto changed = inode;
  const bool access = step.name() == kAccessAcl;
  if (access) changed.mutable_attr()->set_mode((inode.attr().mode() & 07000) | acl->mode());
  if (access && acl->minimal())
    changed.mutable_xattrs()->erase(step.name());
  else
    (*changed.mutable_xattrs())[step.name()] = step.value();
  if (xattr_bytes(changed) > kXattrsBytesMax) return refusal(Errc::too_big, "attributes over 64 KiB together");
  inode = std::move(changed);
  note_acls(inode);
  inode.mutable_attr()->set_ctime(state_.now());
  state_.changed(inode);
  return {};
}

Outcome StepRunner::remove_xattr(const wire::RemoveXattr& step) {
  TRY_VOID(check_present(step.ino()));
  TRY_VOID(check_flags(step.ino(), kFlagsSticking));
  auto& inode = *state_.inode(step.ino());
  // Of a list that is not there nothing remains to be removed; Linux says so of lists only.
  if (inode.mutable_xattrs()->erase(step.name()) == 0 && !is_acl(step.name()))
    return refusal(Errc::no_attribute, "no attribute of this name");
  note_acls(inode);
  inode.mutable_attr()->set_ctime(state_.now());
  state_.changed(inode);
  return {};
}

}  // namespace chordfs::tree
