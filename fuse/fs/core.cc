#include "fuse/fs/core.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "proto/client/leases.h"

namespace chordfs::fs {

const wire::Attr* attr_in(const wire::Answer& answer, Ino ino) {
  const wire::Attr* last = nullptr;
  for (const auto& attr : answer.attrs())
    if (attr.ino() == ino) last = &attr;
  return last;
}

wire::Transaction transaction_of(const Client& client, Ino ino, wire::Step step) {
  wire::Transaction transaction;
  auto& part = *transaction.add_parts();
  part.set_arc(client.arc_of_ino(ino));
  *part.add_steps() = std::move(step);
  return transaction;
}

Core::Core(Client& ring_client, CacheSizes cache_sizes)
    : client(ring_client),
      sizes(cache_sizes),
      tasks(ring_client.runtime()),
      names(cache_sizes.names),
      answers(ring_client, cache_sizes.answer_bytes),
      directories(cache_sizes.directories),
      closed_versions(cache_sizes.versions),
      maps_(cache_sizes.map_bytes) {}

std::shared_ptr<InodeState> Core::find_inode(Ino ino) {
  auto found = inodes.find(ino);
  return found == inodes.end() ? nullptr : found->second;
}

// ---- The session ----

awaitable<Result<void>> Core::open_session(std::string name) {
  name_ = std::move(name);
  CO_TRY_VOID(co_await client.open_session(name_));
  ++session;
  co_return Result<void>();
}

awaitable<Result<void>> Core::replace_session(std::uint64_t expired) {
  if (lost_ < expired) {
    lost_ = expired;
    for (auto& [ino, state] : inodes) {
      state->written_as = 0;
      state->stop_writing_behind();
      const bool locked = std::ranges::any_of(state->locks, [](const auto& one) { return one.second.granted; });
      if (state->unsent.empty() && !locked) continue;
      state->lost_session = expired;
      state->failed({Errc::io_error, fmt::format("inode {:x}: the session expired: {} lost", ino,
                                                 state->unsent.empty() ? "its locks are" : "what was not synced is")});
      // Whoever still waits may yet get one, in the new session.
      for (auto& [owner, held] : state->locks) held.granted = false;
      locks_held -= std::erase_if(state->locks, [](const auto& one) { return one.second.asking == 0; });
      state->unsent.clear();
      count_unsent(*state);
    }
  }
  auto turn = co_await replacing_.acquire();
  if (session != expired) co_return Result<void>();
  spdlog::warn("the session has expired; opening a new one");
  CO_TRY_VOID(co_await client.open_session(name_));
  ++session;
  co_return Result<void>();
}

awaitable<Result<wire::Answer>> Core::transact(wire::Transaction transaction, Ino opened) {
  CO_TRY_VOID(co_await confirm_locks());
  auto present = session;
  auto answer = co_await change(transaction, opened);
  if (answer.code() != Errc::session_closed) co_return answer;
  CO_TRY_VOID(co_await replace_session(present));
  co_return co_await change(std::move(transaction), opened);
}

awaitable<Result<wire::Answer>> Core::change(wire::Transaction transaction, Ino opened) {
  // Nobody recalls what is ours from us. Answers that are on their way meanwhile are of before or of after: neither is
  // kept.
  answers.changed(transaction);
  const auto asked = answers.asking();
  auto answer = co_await client.transact(transaction, opened);
  const bool alone = answers.unchanged_since(transaction, asked);
  answers.changed(transaction);
  if (answer && alone) answers.keep(transaction, *answer);
  co_return answer;
}

awaitable<Result<wire::Answer>> Core::transact_data(wire::Transaction transaction) {
  auto present = session;
  CO_TRY_VOID(co_await confirm_locks());
  if (session != present) co_return Error{Errc::session_closed, "the session has expired"};
  auto answer = co_await change(std::move(transaction), 0);
  if (answer.code() != Errc::session_closed) co_return answer;
  CO_TRY_VOID(co_await replace_session(present));
  co_return answer;
}

awaitable<Result<void>> Core::confirm_locks() {
  if (locks_held == 0) co_return Result<void>();
  auto present = session;
  auto sure = co_await client.confirm_session();
  if (sure.code() != Errc::session_closed) co_return sure;
  co_return co_await replace_session(present);
}

awaitable<Result<wire::Answer>> Core::transact_step(wire::Step step, Ino ino) {
  co_return co_await transact(transaction_of(client, ino, std::move(step)));
}

// ---- Questions ----

awaitable<Result<wire::QueryAnswer>> Core::ask(Ino ino, wire::Query query) {
  if (auto kept = answers.find(query)) {
    if (kept->error() != 0) co_return Error{static_cast<Errc>(kept->error()), kept->context()};
    co_return *kept;
  }
  const auto asked = answers.asking();
  CO_TRY(auto answer, co_await client.look(client.arc_of_ino(ino), query));
  answers.keep(query, answer, asked);
  if (answer.error() != 0) co_return Error{static_cast<Errc>(answer.error()), answer.context()};
  co_return answer;
}

awaitable<Result<wire::QueryAnswer>> Core::get_inode(Ino ino, GetInode how) {
  wire::Query query;
  auto& get = *query.mutable_get_inode();
  get.set_ino(ino);
  get.set_open(how == GetInode::opens);
  get.set_with_xattrs(how == GetInode::with_xattrs);
  CO_TRY(auto answer, co_await ask(ino, std::move(query)));
  saw(answer.inode().attr());
  co_return answer;
}

awaitable<Result<wire::Attr>> Core::get_attr(Ino ino) {
  CO_TRY(auto answer, co_await get_inode(ino, GetInode::plain));
  co_return answer.inode().attr();
}

// ---- What was learnt ----

void Core::saw(const wire::Attr& attr) {
  // The list itself is not among the attributes: who makes something there asks for it.
  if (attr.default_acl())
    directories.erase(attr.ino());
  else if (attr.type() == wire::FILE_DIRECTORY)
    directories.put(attr.ino(), {attr.mode(), attr.gid(), {}, attr.flags()});
  if (attr.acl())
    no_acls_.erase(attr.ino());
  else
    no_acls_.put(attr.ino(), runtime().now());
  if (auto state = find_inode(attr.ino())) state->saw(attr);
}

Core::Asking Core::asking() {
  return {answers.asking(), runtime().now()};
}

void Core::note_writer(InodeState& inode, const wire::Attr& attr, Asking asked) {
  const bool ours = attr.writer() != 0 && attr.writer() == client.last_session();
  inode.written_as = ours ? attr.written_as() : 0;
  const bool recalled = inode.asked_back > 0 || answers.forgotten_since(inode.ino, asked.clock);
  // After a long while it may have been ended without our hearing of it.
  const bool late = runtime().now() > asked.at + kLeaseFor;
  inode.writing_stamp = ours && !recalled && !late ? client.lease_stamp(client.arc_of_ino(inode.ino)) : 0;
}

bool Core::may_write_behind(const InodeState& inode) {
  if (!client.leases()) return true;
  return inode.asked_back == 0 && client.holds(client.arc_of_ino(inode.ino), inode.writing_stamp);
}

bool Core::without_acl(Ino ino) {
  auto* seen = no_acls_.find(ino);
  return seen && runtime().now() - *seen < kNoAclFor;
}

void Core::changed(const wire::Attr& attr) {
  saw(attr);
  if (auto state = find_inode(attr.ino())) {
    if (state->cached_version + 1 == attr.version()) state->cached_version = attr.version();
  } else if (auto* version = closed_versions.find(attr.ino())) {
    if (*version + 1 == attr.version()) *version = attr.version();
  }
}

void Core::changed(const wire::Answer& answer) {
  for (const auto& attr : answer.attrs()) changed(attr);
}

wire::Attr Core::shown(const wire::Attr& attr) {
  auto state = find_inode(attr.ino());
  return state ? state->shown(attr) : attr;
}

void Core::remember(InodeState& inode, std::uint64_t index, std::shared_ptr<const MapPiece> piece) {
  inode.map.remember(index, piece);
  if (piece->record) return;
  const auto cost = kPieceCost + piece->extents.size() * kExtentCost;
  maps_.put({inode.ino, index}, std::move(piece), cost);
}

void Core::count_unsent(InodeState& state) {
  auto bytes = state.unsent.bytes();
  unsent_bytes += bytes;
  unsent_bytes -= std::exchange(state.unsent_counted, bytes);
  unsent_changed.notify_all();
}

}  // namespace chordfs::fs
