#include "daemon/node/lock_service.h"

#include <algorithm>

#include "daemon/node/propose.h"

namespace chordfs {

/// One that waits at an inode.
class LockService::Watch {
 public:
  Watch(std::shared_ptr<Here> here, std::uint64_t ino) : here_(std::move(here)), ino_(ino) {
    auto& watched = here_->inodes[ino];
    if (!watched) watched = std::make_shared<Watched>();
    watched_ = watched;
    ++watched_->watchers;
  }
  Watch(const Watch&) = delete;
  ~Watch() {
    if (--watched_->watchers == 0) here_->inodes.erase(ino_);
  }
  Here& here() { return *here_; }
  Watched& operator*() { return *watched_; }
  Watched* operator->() { return watched_.get(); }

 private:
  std::shared_ptr<Here> here_;
  std::uint64_t ino_;
  std::shared_ptr<Watched> watched_;
};

void LockService::changed(Here& here, std::uint64_t ino) {
  auto found = here.inodes.find(ino);
  if (found == here.inodes.end()) return;
  ++found->second->changes;
  found->second->changed.notify_all();
}

awaitable<Result<wire::QueryAnswer>> LockService::look(ArcNumber arc, const wire::AwaitLock& wanted) {
  wire::Query query;
  query.mutable_find_locks()->set_ino(wanted.ino());
  *query.mutable_find_locks()->mutable_lock() = wanted.lock();
  co_return co_await ask(arcs_, arc, std::move(query));
}

awaitable<Result<wire::QueryAnswer>> LockService::await_lock(ArcNumber arc, wire::AwaitLock wanted, Doubt doubt) {
  auto& slot = here_[arc];
  if (!slot) slot = std::make_shared<Here>();
  const auto session = wanted.lock().session();
  const auto ino = wanted.ino();
  if (wanted.leave()) {
    slot->queue.leave(ino, session, wanted.waiter());
    changed(*slot, ino);
    co_return wire::QueryAnswer();
  }
  Watch watch(slot, ino);
  watch.here().queue.join(ino, {session, wanted.waiter(), wanted.lock()}, runtime_.now());
  const auto until = runtime_.now() + kPollMax;
  bool doubted = false;
  for (;;) {
    const auto changes = watch->changes;
    CO_TRY(auto answer, co_await look(arc, wanted));
    if (answer.error() != 0) co_return answer;
    auto wait_until = until;
    if (answer.locks().empty()) {
      auto yields = watch.here().queue.must_yield(ino, session, wanted.waiter(), runtime_.now());
      if (!yields) co_return answer;
      wait_until = std::min(until, *yields);
    } else if (!std::exchange(doubted, true)) {
      for (const auto& lock : answer.locks()) doubt(lock.session());
    }
    if (runtime_.now() >= until) {
      // Only waiters are in the way: they are not told, but it is not free either.
      if (answer.locks().empty()) *answer.add_locks() = wanted.lock();
      co_return answer;
    }
    if (changes == watch->changes && wait_until > runtime_.now())
      co_await watch->changed.wait_for(runtime_, wait_until - runtime_.now());
  }
}

awaitable<Result<wire::QueryAnswer>> LockService::tell_wait(ArcNumber arc, wire::TellWait told) {
  auto& slot = here_[arc];
  if (!slot) slot = std::make_shared<Here>();
  if (told.ended())
    slot->waits.ended(told.wait());
  else
    slot->waits.told(told.wait(), runtime_.now());
  // Whoever is told that it ended relies on it that nobody else leads, and tells of it still.
  wire::Query query;
  query.mutable_session_state()->set_session(told.wait().lock().session());
  co_return co_await ask(arcs_, arc, std::move(query));
}

awaitable<Result<wire::QueryAnswer>> LockService::waits_of(ArcNumber arc, wire::WaitsOf whose) {
  std::vector<wire::LockWait> waits;
  if (auto here = here_.find(arc); here != here_.end())
    waits = here->second->waits.of(whose.session(), whose.owner(), runtime_.now());
  // Looked at before it is known that this node led meanwhile, as it must be.
  wire::Query query;
  query.mutable_session_state()->set_session(whose.session());
  CO_TRY(auto answer, co_await ask(arcs_, arc, std::move(query)));
  if (answer.session_open())
    for (auto& wait : waits) *answer.add_waits() = std::move(wait);
  co_return answer;
}

void LockService::expire() {
  for (auto& [arc, here] : here_) {
    here->queue.expire(runtime_.now());
    here->waits.expire(runtime_.now());
  }
  std::erase_if(here_, [](const auto& one) {
    return one.second->queue.empty() && one.second->waits.empty() && one.second->inodes.empty();
  });
}

void LockService::put_in_line(ArcNumber arc, Session session, wire::Part& part) {
  auto here = here_.find(arc);
  if (here == here_.end() || here->second->queue.empty()) return;
  for (auto& step : *part.mutable_steps()) {
    if (!step.has_set_lock()) continue;
    auto& set = *step.mutable_set_lock();
    auto lock = set.lock();
    lock.set_session(session);
    if (set.waits() && set.waiter() == 0) set.set_yield(here->second->queue.is_wanted(set.ino(), lock, runtime_.now()));
  }
}

void LockService::applied(ArcNumber arc, Session session, const wire::Part& part) {
  auto here = here_.find(arc);
  if (here == here_.end()) return;
  for (const auto& step : part.steps()) {
    if (!step.has_set_lock()) continue;
    const auto& set = step.set_lock();
    if (set.waiter() != 0) here->second->queue.leave(set.ino(), session, set.waiter());
    changed(*here->second, set.ino());
  }
}

void LockService::ended(ArcNumber arc, Session session) {
  auto here = here_.find(arc);
  if (here == here_.end()) return;
  here->second->queue.drop(session);
  here->second->waits.drop(session);
  for (auto& [ino, watched] : here->second->inodes) {
    ++watched->changes;
    watched->changed.notify_all();
  }
}

}  // namespace chordfs
