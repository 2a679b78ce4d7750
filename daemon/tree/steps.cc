// Running steps in order; and the steps on directories.
#include "daemon/tree/steps.h"

#include "daemon/arc/raft/defects.h"
#include "proto/wire/inode_flags.h"
#include "proto/wire/limits.h"
#include "proto/wire/steps.h"

namespace chordfs::tree {

namespace {
/// The inode that a step names, of which an answer tells the attributes; 0 if none.
std::uint64_t described_ino(const wire::Step& step) {
  return step.has_set_lock() ? step.set_lock().ino() : changed_inode(step);
}

wire::Answer found_instead(Errc code, const Entry& found) {
  auto answer = refusal(code, "the name stands for something else");
  answer.set_found(found.ino);
  answer.set_found_type(found.type);
  return answer;
}
}  // namespace

Outcome StepRunner::run(const Steps& steps) {
  if (steps.size() > kStepsPerPartMax) return refusal(Errc::invalid, "too many steps");
  for (const auto& step : steps) TRY_VOID(run(step));
  return {};
}

Outcome StepRunner::run(const wire::Step& step) {
  switch (step.kind_case()) {
    case wire::Step::kInsert:
      return insert_entry(step.insert());
    case wire::Step::kRemove:
      return remove_entry(step.remove());
    case wire::Step::kCreate:
      return create_inode(step.create());
    case wire::Step::kLink:
      return link_inode(step.link());
    case wire::Step::kUnlink:
      return unlink_inode(step.unlink());
    case wire::Step::kMoved:
      return moved_inode(step.moved());
    case wire::Step::kSetAttr:
      return set_attr(step.set_attr());
    case wire::Step::kCommit:
      return commit(step.commit());
    case wire::Step::kAllocate:
      return allocate(step.allocate());
    case wire::Step::kSetXattr:
      return set_xattr(step.set_xattr());
    case wire::Step::kRemoveXattr:
      return remove_xattr(step.remove_xattr());
    case wire::Step::kDirmove:
      return take_dirmove();
    case wire::Step::kSetLock:
      return set_lock(step.set_lock());
    case wire::Step::kEndWriting:
      return end_writing(step.end_writing());
    case wire::Step::KIND_NOT_SET:
      break;
  }
  return refusal(Errc::bad_message, "a step of unknown kind");
}

void StepRunner::describe(const Steps& steps, wire::Answer& answer) {
  for (const auto& step : steps) {
    auto ino = described_ino(step);
    if (ino == 0) continue;
    const auto* inode = state_.inode(ino);
    if (!inode) continue;
    *answer.add_attrs() = inode->attr();
    if (changer(state_.records(), inode->attr())) answer.set_unsettled(true);
  }
}

Outcome StepRunner::check_directory(std::uint64_t dir) {
  TRY_VOID(check_present(dir));
  const auto& attr = state_.inode(dir)->attr();
  if (attr.type() != wire::FILE_DIRECTORY) return refusal(Errc::not_directory, "an entry in what is no directory");
  if (attr.nlink() == 0) return refusal(Errc::not_found, "the directory was removed");
  return {};
}

Outcome StepRunner::check_name(std::uint64_t dir, std::string_view name) {
  if (name.size() > kNameBytesMax) return refusal(Errc::name_too_long, "a name over 255 bytes");
  if (name.empty() || name == "." || name == ".." || name.find('/') != name.npos || name.find('\0') != name.npos)
    return refusal(Errc::invalid, "not a name");
  if (locks_ == Locks::own) return {};
  if (auto holder = entry_lock(state_.records(), dir, name)) return locked_by(*holder);
  return {};
}

Outcome StepRunner::insert_entry(const wire::InsertEntry& step) {
  TRY_VOID(check_directory(step.dir()));
  TRY_VOID(check_name(step.dir(), step.name()));
  if (step.ino() == 0 || step.type() == wire::FILE_NONE || !wire::FileType_IsValid(step.type()))
    return refusal(Errc::invalid, "an entry for nothing");
  if (locks_ == Locks::foreign) {
    auto lock = inode_lock(state_.records(), step.dir());
    if (lock && lock->removes) return locked_by(lock->holder);
  }
  Entry found;
  state_.entry(step.dir(), step.name(), found);
  if (found.ino != step.expected()) return found_instead(step.expected() == 0 ? Errc::exists : Errc::stale, found);
  // Whatever takes a name's place sends the old one away.
  TRY_VOID(check_flags(step.dir(), step.expected() == 0 ? kFlagImmutable : kFlagsSticking));
  state_.put_entry(step.dir(), step.name(), {step.ino(), step.type()});
  directory_changed(step.dir(), found.type, step.type());
  return {};
}

Outcome StepRunner::remove_entry(const wire::RemoveEntry& step) {
  TRY_VOID(check_directory(step.dir()));
  TRY_VOID(check_name(step.dir(), step.name()));
  Entry found;
  if (!state_.entry(step.dir(), step.name(), found)) return refusal(Errc::not_found, "no such entry");
  if (found.ino != step.expected()) return found_instead(Errc::stale, found);
  TRY_VOID(check_flags(step.dir(), kFlagsSticking));
  state_.erase_entry(step.dir(), step.name());
  directory_changed(step.dir(), found.type, wire::FILE_NONE);
  return {};
}

void StepRunner::directory_changed(std::uint64_t dir, wire::FileType gone, wire::FileType come) {
  auto& inode = *state_.inode(dir);
  auto* attr = inode.mutable_attr();
  // The ".." of each sub-directory is a link to this one.
  auto nlink = attr->nlink() + (come == wire::FILE_DIRECTORY ? 1 : 0);
  attr->set_nlink(nlink - (gone == wire::FILE_DIRECTORY ? 1 : 0));
  attr->set_mtime(state_.now());
  attr->set_ctime(state_.now());
  state_.changed(inode);
}

Outcome StepRunner::take_dirmove() {
  if (state_.place().arc != 0) return refusal(Errc::invalid, "dirmove is held in the root's arc");
  if (locks_ == Locks::own) return {};
  if (auto holder = dirmove_lock(state_.records()); holder && !planted(Defect::dirmove_shared))
    return locked_by(*holder);
  return {};
}

}  // namespace chordfs::tree
