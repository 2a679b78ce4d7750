// What a replica does by itself: voters compare with one another now and then, and everything is read once a week.

#include <algorithm>

#include "daemon/arc/copies/copies.h"

namespace chordfs {

namespace {
constexpr Duration kSoon = 500ms;
constexpr Duration kRetryFirst = 1s;
constexpr Duration kRetryLast = 30s;
constexpr Duration kScrubPauseMin = 20ms;
constexpr Duration kScrubPauseMax = std::chrono::hours(1);
}  // namespace

void Copies::changed(ArcNumber arc) {
  auto members = hooks_.members(arc);
  std::erase_if(debts_, [&](const auto& entry) {
    return entry.first.first == arc && !entry.second.running &&
           (!members || std::ranges::none_of(members->view.everybody(),
                                             [&](const Replica& one) { return key(one) == entry.first.second; }));
  });
  if (!members) abandon_run(arc);
  if (members && members->leads) resume_settling(arc, *members);
  auto& due = due_[arc];
  due.again = due.running;
  due.compared.clear();
  due.pause = kRetryFirst;
  due.at = runtime_.now() + Duration(static_cast<std::int64_t>(runtime_.below(kSoon.count())));
  wake_.notify_all();
}

awaitable<void> Copies::compare_when_due() {
  for (;;) {
    auto now = runtime_.now();
    auto next = now + kCompareEvery;
    std::vector<ArcNumber> ready;
    for (auto& [arc, due] : due_) {
      if (due.running) continue;
      if (due.at > now) {
        next = std::min(next, due.at);
        continue;
      }
      due.running = true;
      ready.push_back(arc);
    }
    for (auto arc : ready) tasks_.spawn("compare an arc", compare_own(arc));
    if (ready.empty()) co_await wake_.wait_for(runtime_, next - now);
  }
}

awaitable<void> Copies::compare_own(ArcNumber arc) {
  auto members = hooks_.members(arc);
  if (!members || !members->view.votes(members->self)) {
    due_.erase(arc);  // changed() brings it back.
    co_return;
  }
  bool all = true;
  for (const auto& other : members->view.all_voters()) {
    if (other == members->self || due_[arc].compared.contains(key(other))) continue;
    auto compared = co_await compare_with(arc, 0, members->self, other);
    all &= compared.has_value();
    if (compared && !due_[arc].again) due_[arc].compared.insert(key(other));
  }
  auto& due = due_[arc];
  due.running = false;
  if (!std::exchange(due.again, false)) {
    if (all) due.compared.clear();
    due.at = runtime_.now() + runtime_.jitter(all ? kCompareEvery : due.pause);
    due.pause = all ? kRetryFirst : std::min(2 * due.pause, kRetryLast);
  }
  wake_.notify_all();
}

awaitable<void> Copies::scrub() {
  // Not always from the start: a node that is restarted every day would never see the end.
  auto arcs = blocks_.arcs();
  ArcNumber from = arcs.empty() ? 0 : arcs[runtime_.below(arcs.size())];
  for (;;) {
    arcs = blocks_.arcs();
    std::uint64_t total = 0;
    for (auto arc : arcs) total += blocks_.usage(arc).blocks;
    auto pause = std::clamp(Duration(kScrubTime / std::max<std::uint64_t>(total, 1)), kScrubPauseMin, kScrubPauseMax);
    auto arc = std::ranges::lower_bound(arcs, from);
    if (arc == arcs.end()) {
      from = 0;
      co_await runtime_.sleep(runtime_.jitter(pause));
      continue;
    }
    auto number = *arc;
    from = number + 1;
    for (const auto& block : blocks_.list(number)) {
      co_await runtime_.sleep(runtime_.jitter(pause));
      if (!blocks_.length_of(number, block.id)) continue;
      auto part = co_await blocks_.get(number, block.id, 0, block.length);
      if (part.code() == Errc::corrupt) start_mending(number, block.id, std::nullopt);
    }
  }
}

}  // namespace chordfs
