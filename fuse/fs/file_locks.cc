#include "fuse/fs/file_locks.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <utility>
#include <vector>

namespace chordfs::fs {

namespace {
/// The last byte of any file.
constexpr std::uint64_t kLockEndMax = (std::uint64_t{1} << 63) - 1;
/// Most locks are free again before; only then deadlocks are looked for.
constexpr Duration kWatchAfter = 100ms;
constexpr Duration kWatchEvery = 500ms;
/// Between two questions that were answered at once though somebody is in the way, or not at all.
constexpr Duration kAskAgainAfter = 50ms;
constexpr Duration kGiveUpAgainAfter = 1s;
constexpr Duration kGivingUpPoll = 20ms;

LockOwner owner_of(const wire::FileLock& lock) {
  return {lock.kind(), lock.owner()};
}

wire::SetLock whole_file(Ino ino, LockOwner owner) {
  wire::SetLock step;
  step.set_ino(ino);
  step.mutable_lock()->set_kind(owner.kind);
  step.mutable_lock()->set_owner(owner.number);
  step.mutable_lock()->set_type(wire::FileLock::NONE);
  step.mutable_lock()->set_end(kLockEndMax);
  return step;
}
}  // namespace

// ---- Locking ----

class FileLocks::GivingUp {
 public:
  GivingUp(FileLocks& locks, Ino ino, LockOwner owner) : locks_(locks), key_(ino, owner) { ++locks_.giving_up_[key_]; }
  GivingUp(const GivingUp&) = delete;
  ~GivingUp() {
    if (--locks_.giving_up_[key_] == 0) locks_.giving_up_.erase(key_);
  }

 private:
  FileLocks& locks_;
  const std::pair<Ino, LockOwner> key_;
};

awaitable<Result<void>> FileLocks::wait_for_giving_up(Ino ino, LockOwner owner, const Interruption* interruption) {
  const auto until = core_.runtime().now() + kClientDeadline;
  while (giving_up_.contains({ino, owner})) {
    if (core_.tasks.stopping()) co_return Error{Errc::cancelled, "the mount is stopping"};
    if (interruption && interruption->requested()) co_return Error{Errc::interrupted, "a signal came"};
    // Whoever waits waits on; another is told, as if it had asked the arc in vain.
    if (!interruption && core_.runtime().now() >= until)
      co_return Error{Errc::unavailable, fmt::format("inode {:x}: its last lock cannot be given up yet", ino)};
    co_await core_.runtime().sleep(kGivingUpPoll);
  }
  co_return Result<void>();
}

/// Somebody asks for a lock. Noted before: if no answer comes, the arc may have given it all the same, and it is given
/// up with the others. Only a clear refusal leaves nothing behind.
class FileLocks::Asking {
 public:
  Asking(Core& core, std::shared_ptr<InodeState> inode, LockOwner owner, const OpenFile* through)
      : core_(core), inode_(std::move(inode)), owner_(owner) {
    auto [held, is_new] = inode_->locks.try_emplace(owner_);
    core_.locks_held += is_new;
    held->second.through.insert(through);
    ++held->second.asking;
  }
  Asking(const Asking&) = delete;
  void answered(Errc code) {
    switch (code) {
      case Errc::would_block:
      case Errc::deadlock:
      case Errc::interrupted:
      case Errc::no_locks:
      case Errc::invalid:
      case Errc::bad_handle:
        refused_ = true;
        break;
      default:
        break;
    }
  }
  ~Asking() {
    auto held = inode_->locks.find(owner_);
    if (held == inode_->locks.end()) return;  // Lost with the session.
    --held->second.asking;
    if (!refused_)
      held->second.granted = true;
    else if (!held->second.granted && held->second.asking <= 0)
      forget(core_, *inode_, owner_);
  }

 private:
  Core& core_;
  std::shared_ptr<InodeState> inode_;
  LockOwner owner_;
  bool refused_ = false;
};

void FileLocks::forget(Core& core, InodeState& inode, LockOwner owner) {
  core.locks_held -= inode.locks.erase(owner);
}

awaitable<Result<wire::Answer>> FileLocks::send(std::shared_ptr<OpenFile> file, wire::SetLock step) {
  for (int attempt = 0;; ++attempt) {
    wire::Step one;
    *one.mutable_set_lock() = step;
    auto answer = co_await core_.transact_data(transaction_of(core_.client, step.ino(), std::move(one)));
    // In the new session, unless what this handle held or wrote went with the old one.
    if (answer.code() != Errc::session_closed || attempt > 0) co_return answer;
    CO_TRY_VOID(file->usable());
  }
}

awaitable<Result<bool>> FileLocks::set(std::shared_ptr<OpenFile> file, wire::FileLock lock,
                                       std::shared_ptr<Interruption> interruption) {
  auto inode = file->inode;
  if (lock.type() == wire::FileLock::NONE) {
    CO_TRY_VOID(co_await unlock(file, std::move(lock)));
    co_return false;
  }
  CO_TRY_VOID(co_await wait_for_giving_up(inode->ino, owner_of(lock), interruption.get()));
  // What was written without it belongs before it.
  if (!inode->unsent.empty()) CO_TRY_VOID(co_await writes_.commit(inode));
  const auto owner = owner_of(lock);
  wire::SetLock step;
  step.set_ino(inode->ino);
  step.set_waits(interruption != nullptr);
  *step.mutable_lock() = std::move(lock);
  Result<wire::Answer> answer = Error{Errc::cancelled, "the mount is stopping"};
  {
    Asking asking(core_, inode, owner, file.get());
    answer = co_await lock_or_wait(file, std::move(step), std::move(interruption));
    asking.answered(answer.code());
  }
  if (!answer) co_return answer.error();
  if (auto usable = file->usable(); !usable) {
    // What else was locked here was lost meanwhile: nobody must think that he still holds any of it.
    std::ignore = co_await give_up(inode, owner);
    co_return usable.error();
  }
  const auto* attr = attr_in(*answer, inode->ino);
  if (!attr) co_return true;
  core_.saw(*attr);
  co_return std::exchange(inode->cached_version, attr->version()) != attr->version();
}

awaitable<Result<wire::Answer>> FileLocks::lock_or_wait(std::shared_ptr<OpenFile> file, wire::SetLock step,
                                                        std::shared_ptr<Interruption> interruption) {
  auto answer = co_await send(file, step);
  if (answer.code() != Errc::would_block) co_return answer;
  const auto owner = owner_of(step.lock());
  auto held = file->inode->locks.find(owner);
  if (owner.kind == wire::FileLock::FLOCK && held != file->inode->locks.end() && held->second.granted) {
    // flock(2): a conversion removes the old lock first, and so two that both wait for one do not wait for ever.
    auto none = whole_file(step.ino(), owner);
    CO_TRY_VOID(co_await send(file, std::move(none)));
  }
  if (!interruption) co_return answer;
  co_return co_await wait_and_lock(std::move(file), std::move(step), std::move(interruption));
}

// ---- Waiting ----

struct FileLocks::Wait {
  wire::LockWait told;
  Time since;
  Signal changed;
  bool polling = false, watching = false;
  bool ended = false;
  bool free = false;  ///< Nothing was in the way a moment ago.
  bool deadlock = false;
  std::optional<Error> error;
};

awaitable<Result<wire::Answer>> FileLocks::wait_and_lock(std::shared_ptr<OpenFile> file, wire::SetLock step,
                                                         std::shared_ptr<Interruption> interruption) {
  auto wait = std::make_shared<Wait>();
  step.set_waiter(next_waiter_++);
  wait->since = core_.runtime().now();
  wait->told.set_waiter(step.waiter());
  wait->told.set_ino(step.ino());
  *wait->told.mutable_lock() = step.lock();
  wait->told.mutable_lock()->set_session(core_.client.last_session());
  struct End {
    Wait& wait;
    Interruption& interruption;
    ~End() {
      wait.ended = true;
      wait.changed.notify_all();
      interruption.wakes({});
    }
  };
  interruption->wakes([weak = std::weak_ptr(wait)] {
    if (auto one = weak.lock()) one->changed.notify_all();
  });
  if (step.lock().kind() == wire::FileLock::RECORD) core_.tasks.spawn("look for a deadlock", watch(wait));
  Result<wire::Answer> outcome = Error{Errc::interrupted, "a signal came"};
  std::optional<End> end(std::in_place, *wait, *interruption);
  while (!interruption->requested()) {
    if (wait->deadlock) {
      outcome = Error{Errc::deadlock, "its holder waits for a lock of this owner"};
      break;
    }
    if (core_.tasks.stopping()) {
      outcome = Error{Errc::cancelled, "the mount is stopping"};
      break;
    }
    if (std::exchange(wait->free, false)) {
      outcome = co_await send(file, step);
      if (outcome.code() != Errc::would_block) break;
    } else if (wait->error) {
      outcome = *wait->error;
      break;
    }
    if (!wait->polling) core_.tasks.spawn("wait for a lock", poll(wait));
    if (!wait->free && !wait->error && !interruption->requested() && !core_.tasks.stopping())
      co_await wait->changed.wait();
  }
  end.reset();
  // Nobody may be told that it waits once it does not.
  while (wait->watching) co_await wait->changed.wait();
  if (!outcome && !core_.tasks.stopping()) core_.tasks.spawn("wait no longer", leave(std::move(step)));
  if (outcome.code() == Errc::would_block) outcome = Error{Errc::interrupted, "a signal came"};
  co_return outcome;
}

awaitable<void> FileLocks::poll(std::shared_ptr<Wait> wait) {
  struct End {
    Wait& wait;
    ~End() {
      wait.polling = false;
      wait.changed.notify_all();
    }
  } end{*wait};
  wait->polling = true;
  const auto begun = core_.runtime().now();
  wire::Query query;
  auto& await = *query.mutable_await_lock();
  await.set_ino(wait->told.ino());
  await.set_waiter(wait->told.waiter());
  *await.mutable_lock() = wait->told.lock();
  await.mutable_lock()->set_session(core_.client.last_session());
  auto answer = co_await core_.ask(wait->told.ino(), std::move(query));
  if (answer && answer->locks().empty()) {
    wait->free = true;
    co_return;
  }
  // While no node answers, whoever waits waits on: a signal ends it.
  if (!answer && answer.code() != Errc::unavailable && answer.code() != Errc::timed_out)
    wait->error = answer.error();
  else if (core_.runtime().now() - begun < kAskAgainAfter)
    co_await core_.runtime().sleep(kAskAgainAfter);
}

awaitable<void> FileLocks::leave(wire::SetLock step) {
  wire::Query query;
  auto& await = *query.mutable_await_lock();
  await.set_ino(step.ino());
  await.set_waiter(step.waiter());
  await.set_leave(true);
  *await.mutable_lock() = step.lock();
  await.mutable_lock()->set_session(core_.client.last_session());
  std::ignore = co_await core_.ask(step.ino(), std::move(query));  // Otherwise it is missed after a while.
}

// ---- Deadlocks ----

awaitable<Result<void>> FileLocks::tell(wire::LockWait wait, bool ended) {
  wire::Query query;
  auto home = core_.client.arc_of_ino(wait.lock().session());
  query.mutable_tell_wait()->set_ended(ended);
  *query.mutable_tell_wait()->mutable_wait() = std::move(wait);
  CO_TRY_VOID(co_await core_.client.query(home, std::move(query)));
  co_return Result<void>();
}

awaitable<void> FileLocks::watch(std::shared_ptr<Wait> wait) {
  struct End {
    Wait& wait;
    ~End() {
      wait.watching = false;
      wait.changed.notify_all();
    }
  } end{*wait};
  wait->watching = true;
  auto& runtime = core_.runtime();
  std::optional<Time> told_at;
  int rounds = 0;
  for (auto pause = kWatchAfter; !wait->ended && !wait->deadlock; pause = kWatchEvery) {
    const auto until = runtime.now() + pause;
    while (!wait->ended && runtime.now() < until) co_await wait->changed.wait_for(runtime, until - runtime.now());
    if (wait->ended) break;
    auto mine = wait->told;
    mine.set_age_ms(static_cast<std::uint64_t>((runtime.now() - wait->since) / 1ms));
    told_at = runtime.now();
    if (!co_await tell(mine, false) || wait->ended) continue;
    if (co_await deadlocks_.must_give_up(mine, rounds) && !wait->ended) {
      wait->deadlock = true;
      wait->changed.notify_all();
    }
  }
  if (!told_at) co_return;
  if (co_await tell(wait->told, true)) co_return;
  // Nobody answers for it: it is forgotten by itself.
  const auto forgotten = *told_at + kClientDeadline + kLockWaitAge;
  if (runtime.now() < forgotten) co_await runtime.sleep(forgotten - runtime.now());
}

// ---- Unlocking ----

awaitable<Result<void>> FileLocks::unlock(std::shared_ptr<OpenFile> file, wire::FileLock lock) {
  auto inode = file->inode;
  // Nothing was locked here, or only in a session that is over.
  if (!inode->locks.contains(owner_of(lock))) co_return Result<void>();
  // Whoever locks next is to see it. If that cannot be, it must not come later behind his back: the lock stays.
  CO_TRY_VOID(co_await writes_.commit(inode, WriteBehind::After::done));
  CO_TRY_VOID(file->usable());
  const auto owner = owner_of(lock);
  const bool all = lock.start() == 0 && lock.end() == kLockEndMax;
  wire::SetLock step;
  step.set_ino(inode->ino);
  *step.mutable_lock() = std::move(lock);
  CO_TRY_VOID(co_await send(file, std::move(step)));
  if (all) forget(core_, *inode, owner);
  co_return Result<void>();
}

awaitable<Result<void>> FileLocks::give_up(std::shared_ptr<InodeState> inode, LockOwner owner) {
  if (!inode->locks.contains(owner)) co_return Result<void>();
  const GivingUp under_way(*this, inode->ino, owner);
  const auto session = core_.session;
  if (!inode->unsent.empty()) CO_TRY_VOID(co_await writes_.commit(inode));
  if (session != core_.session) co_return Result<void>();
  wire::Step step;
  *step.mutable_set_lock() = whole_file(inode->ino, owner);
  auto answer = co_await core_.transact_data(transaction_of(core_.client, inode->ino, std::move(step)));
  // With the session, or the inode, the lock has gone as well.
  if (!answer && answer.code() != Errc::session_closed && answer.code() != Errc::bad_handle) co_return answer.error();
  if (session == core_.session) forget(core_, *inode, owner);
  co_return Result<void>();
}

awaitable<void> FileLocks::give_up_later(std::shared_ptr<InodeState> inode, LockOwner owner) {
  const GivingUp under_way(*this, inode->ino, owner);
  for (;;) {
    co_await core_.runtime().sleep(kGiveUpAgainAfter);
    auto done = co_await give_up(inode, owner);
    if (done) co_return;
    spdlog::warn("inode {:x}: a lock cannot be given up yet: {}", inode->ino, done.error().text());
  }
}

awaitable<void> FileLocks::closed_by(std::shared_ptr<InodeState> inode, std::uint64_t number) {
  const LockOwner owner{wire::FileLock::RECORD, number};
  if (!inode->locks.contains(owner)) co_return;
  if (!co_await give_up(inode, owner)) core_.tasks.spawn("give up a lock", give_up_later(inode, owner));
}

awaitable<void> FileLocks::closed(std::shared_ptr<OpenFile> file) {
  auto inode = file->inode;
  std::vector<LockOwner> left;
  for (auto& [owner, held] : inode->locks)
    if (held.through.erase(file.get()) > 0 && held.through.empty()) left.push_back(owner);
  for (auto owner : left)
    if (!co_await give_up(inode, owner)) core_.tasks.spawn("give up a lock", give_up_later(inode, owner));
}

// ---- Asking ----

awaitable<Result<std::optional<wire::FileLock>>> FileLocks::test(std::shared_ptr<OpenFile> file, wire::FileLock lock) {
  lock.set_session(core_.client.last_session());
  wire::Query query;
  query.mutable_find_locks()->set_ino(file->inode->ino);
  *query.mutable_find_locks()->mutable_lock() = std::move(lock);
  CO_TRY(auto answer, co_await core_.ask(file->inode->ino, std::move(query)));
  std::optional<wire::FileLock> found;
  for (const auto& held : answer.locks())
    if (!found || held.start() < found->start()) found = held;
  co_return found;
}

}  // namespace chordfs::fs
