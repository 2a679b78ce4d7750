#include "fuse/fs/namespace.h"

#include <fmt/format.h>

#include "proto/wire/acl.h"
#include "proto/wire/inode_flags.h"

namespace chordfs::fs {

namespace {
constexpr std::uint32_t kSetGroup = 02000;

Result<void> check_name(const Place& place) {
  if (place.name.size() > kNameBytesMax) return Error{Errc::name_too_long, "a name over 255 bytes"};
  return {};
}

/// An error that a hint which is out of date may have brought about.
bool blames_hint(Errc code) {
  switch (code) {
    case Errc::not_found:
    case Errc::exists:
    case Errc::not_directory:
    case Errc::is_directory:
    case Errc::not_empty:
    case Errc::invalid:
    case Errc::bad_handle:
    case Errc::not_permitted:
      return true;
    default:
      return false;
  }
}

Error gave_up(const Place& place) {
  return {Errc::busy, place.name + " changes faster than it can be looked up"};
}
}  // namespace

awaitable<Result<Namespace::Believed>> Namespace::believe(Place place, Trust trust) {
  if (trust == Trust::hints)
    if (auto hint = core_.names.find(place)) co_return Believed{*hint, true};
  CO_TRY(auto entry, co_await attributes_.entry(std::move(place)));
  co_return Believed{entry.found, false};
}

awaitable<Result<Namespace::Outcome>> Namespace::carry_out(Result<wire::Transaction> plan, bool hinted, Ino gone) {
  if (plan && plan->parts_size() == 0 && !hinted) co_return Outcome::done;
  if (plan && plan->parts_size() == 0) co_return Outcome::plan_again;
  Error error;
  if (plan) {
    auto answer = co_await core_.transact(std::move(*plan), core_.find_inode(gone) ? gone : 0);
    if (answer) {
      if (static_cast<Errc>(answer->error()) == Errc::stale) co_return Outcome::plan_again;
      core_.changed(*answer);
      co_return Outcome::done;
    }
    error = answer.error();
  } else {
    error = plan.error();
  }
  if (hinted && blames_hint(error.code)) co_return Outcome::plan_again;
  co_return error;
}

// ---- New names ----

awaitable<Result<DirectoryTraits>> Namespace::traits(Ino dir) {
  if (auto* known = core_.directories.find(dir)) co_return *known;
  CO_TRY(auto answer, co_await core_.get_inode(dir, GetInode::with_xattrs));
  const auto& attr = answer.inode().attr();
  if (attr.type() != wire::FILE_DIRECTORY) co_return Error{Errc::not_directory, fmt::format("inode {:x}", dir)};
  DirectoryTraits traits{attr.mode(), attr.gid(), {}, attr.flags()};
  const auto& xattrs = answer.inode().xattrs();
  if (auto list = xattrs.find(std::string(kDefaultAcl)); list != xattrs.end()) traits.default_acl = list->second;
  co_return traits;
}

Result<void> Namespace::hand_down(const DirectoryTraits& parent, std::uint32_t umask, wire::Inode& inode) {
  auto& attr = *inode.mutable_attr();
  if (attr.type() == wire::FILE_SYMLINK) return {};
  if (parent.default_acl.empty()) {
    attr.set_mode(attr.mode() & ~umask);
    return {};
  }
  TRY(auto acl, Acl::parse(parent.default_acl));
  attr.set_mode(acl.create_with(attr.mode()));
  if (!acl.minimal()) (*inode.mutable_xattrs())[std::string(kAccessAcl)] = acl.value();
  if (attr.type() == wire::FILE_DIRECTORY) (*inode.mutable_xattrs())[std::string(kDefaultAcl)] = parent.default_acl;
  return {};
}

awaitable<Result<wire::Attr>> Namespace::make(Place place, NewObject object, Caller caller, Make how) {
  CO_TRY_VOID(check_name(place));
  if (object.target.size() > kSymlinkBytesMax) co_return Error{Errc::name_too_long, "a target over 4095 bytes"};
  CO_TRY(auto parent, co_await traits(place.dir));
  bool is_directory = object.type == wire::FILE_DIRECTORY;
  bool inherits = parent.mode & kSetGroup;
  auto arc = is_directory ? core_.client.random_arc() : core_.client.arc_of_ino(place.dir);
  auto ino = core_.client.new_ino(arc);

  wire::Inode inode;
  auto& attr = *inode.mutable_attr();
  attr.set_ino(ino);
  attr.set_type(object.type);
  attr.set_mode((object.mode & 07777) | (is_directory && inherits ? kSetGroup : 0));
  attr.set_uid(caller.uid);
  attr.set_gid(inherits ? parent.gid : caller.gid);
  attr.set_nlink(is_directory ? 2 : 1);
  attr.set_rdev(object.rdev);
  attr.set_flags(parent.flags & kFlagsInherited);
  if (is_directory) attr.set_parent(place.dir);
  CO_TRY_VOID(hand_down(parent, caller.umask, inode));
  inode.set_target(std::move(object.target));

  auto type = object.type;
  const bool opens = how == Make::opens;
  auto plan = plan_make(core_.client, place, std::move(inode), opens && core_.client.leases());
  CO_TRY(auto answer, co_await core_.transact(std::move(plan), opens ? ino : 0));
  if (answer.error() != 0) co_return gave_up(place);
  core_.changed(answer);
  core_.names.put(place, {ino, type});
  if (const auto* made = attr_in(answer, ino)) co_return *made;
  co_return co_await core_.get_attr(ino);
}

awaitable<Result<wire::Attr>> Namespace::link(Ino ino, Place place) {
  CO_TRY_VOID(check_name(place));
  CO_TRY(auto attr, co_await core_.get_attr(ino));
  if (attr.type() == wire::FILE_DIRECTORY) co_return Error{Errc::not_permitted, "a second name for a directory"};
  Found what{ino, attr.type()};
  CO_TRY(auto answer, co_await core_.transact(plan_link(core_.client, place, what)));
  if (answer.error() != 0) co_return gave_up(place);
  core_.changed(answer);
  core_.names.put(place, what);
  if (const auto* linked = attr_in(answer, ino)) co_return core_.shown(*linked);
  co_return co_await attributes_.get(ino);
}

// ---- Names that go ----

awaitable<Result<void>> Namespace::unlink(Place place) {
  return remove(std::move(place), wire::UnlinkInode::MUST_NOT_BE_DIRECTORY);
}

awaitable<Result<void>> Namespace::remove_directory(Place place) {
  return remove(std::move(place), wire::UnlinkInode::MUST_BE_DIRECTORY);
}

awaitable<Result<void>> Namespace::remove(Place place, wire::UnlinkInode::Kind kind) {
  auto trust = Trust::hints;
  for (int attempt = 0; attempt < kPlansMax; ++attempt, trust = Trust::nothing) {
    CO_TRY(auto there, co_await believe(place, trust));
    auto plan = plan_unlink(core_.client, place, there.found, kind);
    CO_TRY(auto outcome, co_await carry_out(std::move(plan), there.hint, there.found.ino));
    if (outcome == Outcome::plan_again) continue;
    core_.names.put(place, {});
    co_return Result<void>();
  }
  co_return gave_up(place);
}

// ---- Names that move ----

awaitable<Result<void>> Namespace::rename(RenameAsk ask) {
  CO_TRY_VOID(check_name(ask.from));
  CO_TRY_VOID(check_name(ask.to));
  auto trust = Trust::hints;
  for (int attempt = 0; attempt < kPlansMax; ++attempt, trust = Trust::nothing) {
    CO_TRY(auto source, co_await believe(ask.from, trust));
    CO_TRY(auto target, co_await believe(ask.to, trust));
    auto plan = plan_rename(core_.client, ask, source.found, target.found);
    if (plan && ask.how == Rename::exchange) {
      auto checked = co_await check_ancestors(ask, source.found, target.found);
      if (!checked) plan = checked.error();
    }
    CO_TRY(auto outcome, co_await carry_out(std::move(plan), source.hint || target.hint, target.found.ino));
    if (outcome == Outcome::plan_again) continue;
    if (source.found.ino == target.found.ino) co_return Result<void>();
    core_.names.put(ask.from, ask.how == Rename::exchange ? target.found : Found{});
    core_.names.put(ask.to, source.found);
    co_return Result<void>();
  }
  co_return gave_up(ask.from);
}

awaitable<Result<void>> Namespace::check_ancestors(RenameAsk ask, Found source, Found target) {
  // The transaction itself checks the way of one directory only; of two that change places we check both.
  if (!source.is_directory() || !target.is_directory() || ask.from.dir == ask.to.dir) co_return Result<void>();
  CO_TRY(bool target_above, co_await lies_below(ask.from.dir, target.ino));
  CO_TRY(bool source_above, co_await lies_below(ask.to.dir, source.ino));
  if (target_above || source_above) co_return Error{Errc::invalid, "a directory into itself"};
  co_return Result<void>();
}

awaitable<Result<bool>> Namespace::lies_below(Ino dir, Ino ancestor) {
  for (int level = 0; level < kAncestorsMax; ++level) {
    if (dir == ancestor) co_return true;
    if (dir == kRootIno) co_return false;
    CO_TRY(auto attr, co_await core_.get_attr(dir));
    dir = attr.parent();
  }
  co_return Error{Errc::io_error, "a path without an end"};
}

}  // namespace chordfs::fs
