#include "fuse/fs/plan.h"

#include <fmt/format.h>

namespace chordfs::fs {

wire::Step& Plan::step(ArcNumber arc) {
  for (auto& part : *transaction_.mutable_parts())
    if (part.arc() == arc) return *part.add_steps();
  auto& part = *transaction_.add_parts();
  part.set_arc(arc);
  return *part.add_steps();
}

void Plan::insert(const Place& place, Found what, Ino expected) {
  auto& insert = *step_at(place.dir).mutable_insert();
  insert.set_dir(place.dir);
  insert.set_name(place.name);
  insert.set_ino(what.ino);
  insert.set_type(what.type);
  insert.set_expected(expected);
}

void Plan::remove(const Place& place, Ino expected) {
  auto& remove = *step_at(place.dir).mutable_remove();
  remove.set_dir(place.dir);
  remove.set_name(place.name);
  remove.set_expected(expected);
}

void Plan::create(wire::Inode inode, bool goes_on) {
  auto ino = inode.attr().ino();
  auto& create = *step_at(ino).mutable_create();
  create.set_goes_on(goes_on);
  *create.mutable_inode() = std::move(inode);
}

void Plan::link(Ino ino) {
  step_at(ino).mutable_link()->set_ino(ino);
}

void Plan::unlink(Ino ino, wire::UnlinkInode::Kind kind) {
  auto& unlink = *step_at(ino).mutable_unlink();
  unlink.set_ino(ino);
  unlink.set_kind(kind);
}

void Plan::moved(Found what, Ino parent) {
  auto& moved = *step_at(what.ino).mutable_moved();
  moved.set_ino(what.ino);
  if (what.is_directory()) moved.set_parent(parent);
}

void Plan::move_directory(Ino ino, Ino new_parent) {
  step(0).mutable_dirmove();
  transaction_.set_moved(ino);
  transaction_.set_new_parent(new_parent);
}

// ---- Planners ----

wire::Transaction plan_make(const Client& client, const Place& place, wire::Inode inode, bool goes_on) {
  Plan plan(client);
  plan.insert(place, {inode.attr().ino(), inode.attr().type()}, 0);
  plan.create(std::move(inode), goes_on);
  return plan.take();
}

wire::Transaction plan_link(const Client& client, const Place& place, Found what) {
  Plan plan(client);
  plan.insert(place, what, 0);
  plan.link(what.ino);
  return plan.take();
}

Result<wire::Transaction> plan_unlink(const Client& client, const Place& place, Found found,
                                      wire::UnlinkInode::Kind kind) {
  if (!found.present()) return Error{Errc::not_found, "no entry " + place.name};
  if (kind == wire::UnlinkInode::MUST_BE_DIRECTORY && !found.is_directory())
    return Error{Errc::not_directory, place.name};
  if (kind == wire::UnlinkInode::MUST_NOT_BE_DIRECTORY && found.is_directory())
    return Error{Errc::is_directory, place.name};
  Plan plan(client);
  plan.remove(place, found.ino);
  plan.unlink(found.ino, kind);
  return plan.take();
}

namespace {
/// What Linux (vfs_rename, may_delete) says before it begins.
Result<void> check_rename(const RenameAsk& ask, Found source, Found target) {
  if (!source.present()) return Error{Errc::not_found, "no entry " + ask.from.name};
  if (ask.how == Rename::no_replace && target.present()) return Error{Errc::exists, ask.to.name};
  if (ask.how == Rename::exchange && !target.present()) return Error{Errc::not_found, "no entry " + ask.to.name};
  if (source.is_directory() && ask.to.dir == source.ino) return Error{Errc::invalid, "a directory into itself"};
  if (ask.how == Rename::exchange) {
    bool swallowed = target.is_directory() && ask.from.dir == target.ino;
    if (swallowed) return Error{Errc::invalid, "a directory into itself"};
    return {};
  }
  if (!target.present() || target.ino == source.ino) return {};
  if (source.is_directory() && !target.is_directory()) return Error{Errc::not_directory, ask.to.name};
  if (!source.is_directory() && target.is_directory()) return Error{Errc::is_directory, ask.to.name};
  return {};
}

wire::Transaction plan_exchange(const Client& client, const RenameAsk& ask, Found source, Found target) {
  Plan plan(client);
  plan.insert(ask.from, target, source.ino);
  bool parents_change = ask.from.dir != ask.to.dir;
  if (parents_change && source.is_directory())
    plan.move_directory(source.ino, ask.to.dir);
  else if (parents_change && target.is_directory())
    plan.move_directory(target.ino, ask.from.dir);
  plan.insert(ask.to, source, target.ino);
  plan.moved(source, ask.to.dir);
  plan.moved(target, ask.from.dir);
  return plan.take();
}

wire::Transaction plan_replace(const Client& client, const RenameAsk& ask, Found source, Found target) {
  Plan plan(client);
  plan.remove(ask.from, source.ino);
  if (source.is_directory() && ask.from.dir != ask.to.dir) plan.move_directory(source.ino, ask.to.dir);
  plan.insert(ask.to, source, target.ino);
  if (target.present())
    plan.unlink(target.ino, target.is_directory() ? wire::UnlinkInode::MUST_BE_DIRECTORY
                                                  : wire::UnlinkInode::MUST_NOT_BE_DIRECTORY);
  plan.moved(source, ask.to.dir);
  return plan.take();
}
}  // namespace

Result<wire::Transaction> plan_rename(const Client& client, const RenameAsk& ask, Found source, Found target) {
  TRY_VOID(check_rename(ask, source, target));
  // rename(2): two names of one file, or one name twice: nothing happens, and it is a success.
  if (target.ino == source.ino) return wire::Transaction();
  if (ask.how == Rename::exchange) return plan_exchange(client, ask, source, target);
  return plan_replace(client, ask, source, target);
}

}  // namespace chordfs::fs
