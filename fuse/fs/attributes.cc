#include "fuse/fs/attributes.h"

#include <fmt/format.h>

#include <algorithm>

namespace chordfs::fs {

// ---- Names ----

awaitable<Result<Attributes::Entry>> Attributes::entry(Place place) {
  if (place.name.size() > kNameBytesMax) co_return Error{Errc::name_too_long, "a name over 255 bytes"};
  wire::Query query;
  query.mutable_lookup()->set_dir(place.dir);
  query.mutable_lookup()->set_name(place.name);
  auto answer = co_await core_.ask(place.dir, std::move(query));
  Entry entry;
  if (answer) {
    entry.found = {answer->entry().ino(), answer->entry().type()};
    if (answer->has_attr()) {
      entry.found = {answer->attr().ino(), answer->attr().type()};
      entry.attr = answer->attr();
      core_.saw(*entry.attr);
    }
  } else if (answer.code() != Errc::not_found) {
    co_return answer.error();
  }
  core_.names.put(place, entry.found);
  co_return entry;
}

/// What stood there last lives in another arc (a directory, most often): asked for beside the name, not after it.
Attributes::Guess Attributes::guess(const Place& place) {
  Guess guess;
  auto known = core_.names.find(place);
  if (!known || !known->present() || core_.tasks.stopping()) return guess;
  if (core_.client.arc_of_ino(known->ino) == core_.client.arc_of_ino(place.dir)) return guess;
  guess.ino = known->ino;
  core_.tasks.spawn("guess what a name stands for", fetch(guess.ino, guess.attr));
  return guess;
}

awaitable<void> Attributes::fetch(Ino ino, OneShot<Result<wire::Attr>> attr) {
  struct Answered {
    OneShot<Result<wire::Attr>> attr;
    ~Answered() { attr.set(Error{Errc::cancelled, "this mount is stopping"}); }  // Unless there was an answer.
  } answered{attr};
  attr.set(co_await core_.get_attr(ino));
}

awaitable<Result<wire::Attr>> Attributes::lookup(Place place) {
  auto guessed = guess(place);
  for (int attempt = 0; attempt < kPlansMax; ++attempt) {
    CO_TRY(auto there, co_await entry(place));
    if (!there.found.present()) co_return Error{Errc::not_found, "no entry " + place.name};
    if (there.attr) co_return core_.shown(*there.attr);
    bool right = attempt == 0 && guessed.ino == there.found.ino;
    auto attr = right ? co_await guessed.attr.wait() : co_await core_.get_attr(there.found.ino);
    if (attr) co_return core_.shown(*attr);
    // The name went between the two questions.
    if (attr.code() != Errc::not_found && attr.code() != Errc::bad_handle) co_return attr;
  }
  co_return Error{Errc::io_error, "an entry without its inode: " + place.name};
}

// ---- Attributes ----

awaitable<Result<wire::Attr>> Attributes::get(Ino ino) {
  CO_TRY(auto attr, co_await core_.get_attr(ino));
  co_return core_.shown(attr);
}

awaitable<Result<wire::Attr>> Attributes::set(Ino ino, SetAttributes set) {
  wire::SetAttr step;
  step.set_ino(ino);
  if (set.mode) step.set_mode(*set.mode & 07777);
  if (set.uid) step.set_uid(*set.uid);
  if (set.gid) step.set_gid(*set.gid);
  if (set.size) step.set_size(*set.size);
  step.set_goes_on(set.goes_on);
  if (set.atime) step.set_atime(*set.atime);
  if (set.mtime) step.set_mtime(*set.mtime);
  step.set_atime_now(set.atime_now);
  step.set_mtime_now(set.mtime_now);
  if (set.flags) step.set_flags(*set.flags);
  if (set.size && *set.size > kFileBytesMax) co_return Error{Errc::file_too_large, "a size over 2^63 bytes"};

  auto inode = core_.find_inode(ino);
  // A later commit of earlier writes must not put their time, or their bytes, over what is set now.
  // Nor does what was written before a file was made immutable come too late.
  bool before_writes = set.flags || set.mtime || set.mtime_now || (set.size && *set.size > 0);
  if (inode && before_writes) CO_TRY_VOID(co_await writes_.commit(inode));
  if (inode && set.size) co_return co_await resize(inode, std::move(step));
  CO_TRY(auto attr, co_await send(std::move(step)));
  co_return core_.shown(attr);
}

awaitable<Result<wire::Attr>> Attributes::resize(std::shared_ptr<InodeState> inode, wire::SetAttr set) {
  // No commit may pass by, and find the file longer again than it was made.
  auto turn = co_await inode->committing.acquire();
  auto size = set.size();
  const auto asked = core_.asking();
  auto attr = co_await send(std::move(set));
  if (!attr) co_return attr;
  core_.note_writer(*inode, *attr, asked);
  inode->unsent.truncate(size);
  core_.count_unsent(*inode);
  co_return inode->shown(*attr);
}

awaitable<Result<wire::Attr>> Attributes::send(wire::SetAttr set) {
  auto ino = set.ino();
  wire::Step step;
  *step.mutable_set_attr() = std::move(set);
  CO_TRY(auto answer, co_await core_.transact_step(std::move(step), ino));
  core_.changed(answer);
  const auto* attr = attr_in(answer, ino);
  if (!attr) co_return co_await core_.get_attr(ino);
  co_return *attr;
}

awaitable<Result<std::string>> Attributes::read_link(Ino ino) {
  CO_TRY(auto answer, co_await core_.get_inode(ino, GetInode::plain));
  if (answer.inode().attr().type() != wire::FILE_SYMLINK) co_return Error{Errc::invalid, "not a symbolic link"};
  co_return std::move(*answer.mutable_inode()->mutable_target());
}

// ---- Listings ----

awaitable<Result<std::vector<DirectoryEntry>>> Attributes::read_directory(Ino dir, std::uint64_t cookie,
                                                                          std::size_t entries_max, bool plus) {
  wire::Query query;
  auto& read = *query.mutable_read_dir();
  read.set_dir(dir);
  read.set_after(cookie);
  read.set_entries_max(static_cast<std::uint32_t>(std::clamp<std::size_t>(entries_max, 1, kEntriesPerPageMax)));
  read.set_plus(plus);
  CO_TRY(auto answer, co_await core_.ask(dir, std::move(query)));
  std::vector<DirectoryEntry> entries;
  entries.reserve(static_cast<std::size_t>(answer.entries_size()));
  for (auto& from : *answer.mutable_entries()) {
    auto& entry = entries.emplace_back();
    entry.ino = from.ino();
    entry.type = from.type();
    entry.cookie = from.cookie();
    if (from.has_attr()) {
      core_.saw(from.attr());
      entry.attr = core_.shown(from.attr());
    }
    if (plus) core_.names.put({dir, from.name()}, {entry.ino, entry.type});
    entry.name = std::move(*from.mutable_name());
  }
  co_return entries;
}

awaitable<Result<Usage>> Attributes::usage() {
  auto turn = co_await asking_usage_.acquire();
  if (usage_at_ && core_.runtime().now() - *usage_at_ < kUsageAge) co_return usage_;
  CO_TRY(auto nodes, co_await core_.client.walk());
  Usage sum;
  for (const auto& node : nodes) {
    sum.bytes_total += node.disk_total();
    sum.bytes_free += node.disk_free();
    sum.inodes += node.files_total();
  }
  usage_ = sum;
  usage_at_ = core_.runtime().now();
  co_return sum;
}

}  // namespace chordfs::fs
