#include "fuse/fs/coherence.h"

namespace chordfs::fs {

namespace {
/// A lease outlives its renewals by kLeaseFor, and the arc's leader counts on more: pages go in between.
constexpr Duration kWatchEvery = 100ms;
constexpr Duration kCommitAgainAfter = 200ms;
constexpr int kEndAttempts = 5;
}  // namespace

void Coherence::start() {
  core_.tasks.spawn("watch over leases", watch());
}

awaitable<Result<void>> Coherence::refresh(std::shared_ptr<InodeState> inode) {
  if (!core_.client.leases() || core_.may_write_behind(*inode)) co_return Result<void>();
  // What others cannot see must not be seen here first: it may never be committed (replicas 5).
  if (!inode->unsent.empty()) CO_TRY_VOID(co_await writes_.commit(inode));
  if (core_.answers.about(inode->ino)) co_return Result<void>();
  CO_TRY_VOID(co_await core_.get_attr(inode->ino));
  co_return Result<void>();
}

// ---- The kernel's pages ----

void Coherence::uncover(InodeState& inode) {
  if (inode.pages_stamp == 0) return;
  if (auto same = covered_.find(lease_of(inode)); same != covered_.end()) {
    same->second.erase(inode.ino);
    if (same->second.empty()) covered_.erase(same);
  }
  inode.pages_stamp = 0;
}

void Coherence::cover(InodeState& inode) {
  if (!drop_) return;
  std::uint64_t stamp = 0;
  if (core_.may_write_behind(inode))
    stamp = inode.writing_stamp;
  else if (auto kept = core_.answers.about(inode.ino))
    stamp = kept->lease();
  if (stamp == inode.pages_stamp && stamp != 0) return;
  const bool gap = inode.pages_stamp != 0 && !core_.client.holds(core_.client.arc_of_ino(inode.ino), inode.pages_stamp);
  uncover(inode);
  if (stamp == 0 || gap) core_.pages_are_old(inode.ino);
  if (stamp == 0) return;
  inode.pages_stamp = stamp;
  covered_[lease_of(inode)].insert(inode.ino);
}

awaitable<void> Coherence::watch() {
  for (;;) {
    co_await core_.runtime().sleep(kWatchEvery);
    for (auto one = covered_.begin(); one != covered_.end();) {
      const auto& [lease, inos] = *one;
      if (core_.client.holds(lease.first, lease.second)) {
        ++one;
        continue;
      }
      for (auto ino : inos) {
        core_.pages_are_old(ino);
        if (auto inode = core_.find_inode(ino)) inode->pages_stamp = 0;
      }
      one = covered_.erase(one);
    }
    for (const auto& [ino, inode] : core_.inodes)
      // Another leads the arc, perhaps, and does not hear of us: whoever wants the file would wait for nothing.
      if (!inode->owes() && !core_.may_write_behind(*inode) && inode->asked_back == 0) end_writing(*inode);
  }
}

// ---- What is recalled ----

bool Coherence::recalled(Ino ino, bool writing) {
  core_.answers.forget(ino);
  auto inode = core_.find_inode(ino);
  if (!inode) return true;
  inode->page_recalls += drop_ != nullptr;
  if (writing)
    inode->stop_writing_behind();
  else if (!drop_)
    return true;
  inode->asked_back += writing;
  asked_back_.emplace(ino, std::move(inode));
  return false;
}

/// What has not been acknowledged to its program yet need not be waited for: it may well wait for whoever asks here.
awaitable<void> Coherence::give_back(Ino ino, bool writing) {
  auto found = asked_back_.find(ino);
  if (found == asked_back_.end()) co_return;
  auto inode = std::move(found->second);
  asked_back_.erase(found);
  struct End {
    InodeState& inode;
    bool writing;
    ~End() { inode.asked_back -= writing; }
  } end{*inode, writing};
  // What cannot be stored now is tried for as long as the arc waits.
  while (writing && inode->owes() && !core_.tasks.stopping())
    if (!co_await writes_.commit(inode, WriteBehind::After::done) && inode->owes())
      co_await core_.runtime().sleep(kCommitAgainAfter);
  if (!drop_) co_return;
  // Also where it has no pages: of an open file the kernel knows the size.
  uncover(*inode);
  co_await drop_(ino);
}

void Coherence::closed(const std::shared_ptr<InodeState>& inode) {
  uncover(*inode);
  inode->stop_writing_behind();
  end_writing(*inode);
}

/// Otherwise it is asked for when somebody wants the file, or ends with the session.
void Coherence::end_writing(InodeState& inode) {
  const auto written_as = std::exchange(inode.written_as, 0);
  if (written_as != 0 && !core_.tasks.stopping())
    core_.tasks.spawn("end writing", say_that_it_ended(inode.ino, written_as));
}

awaitable<void> Coherence::say_that_it_ended(Ino ino, std::uint64_t written_as) {
  wire::Step step;
  auto& end = *step.mutable_end_writing();
  end.set_ino(ino);
  end.set_writer(core_.client.last_session());
  end.set_written_as(written_as);
  const auto session = core_.session;
  for (int attempt = 0; attempt < kEndAttempts && session == core_.session; ++attempt) {
    auto done = co_await core_.transact_data(transaction_of(core_.client, ino, step));
    if (done || (done.code() != Errc::unavailable && done.code() != Errc::timed_out)) co_return;
    co_await core_.runtime().sleep(kCommitAgainAfter);
  }
}

}  // namespace chordfs::fs
