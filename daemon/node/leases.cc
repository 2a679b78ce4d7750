#include "daemon/node/leases.h"

#include <fmt/format.h>

#include "daemon/arc/raft/defects.h"
#include "proto/wire/steps.h"

namespace chordfs {

namespace {
constexpr std::size_t kChangedMax = 4096;
constexpr Duration kLettingGoPause = 50ms, kFirstLook = 10ms;
/// Whoever waited for a writer and has not asked again for so long has given up.
constexpr Duration kWaiterGone = 1s;
}  // namespace

bool touched(const google::protobuf::RepeatedPtrField<wire::Step>& steps, std::set<std::uint64_t>& inos) {
  bool unlinks = false;
  for (const auto& step : steps) {
    if (auto ino = changed_inode(step); ino != 0) inos.insert(ino);
    unlinks |= step.has_unlink();
  }
  return unlinks;
}

std::uint64_t Leases::term_of(ArcNumber number) const {
  auto arc = arcs_.find(number);
  return arc && arc->serves() ? arc->raft->term() : 0;
}

// ---- What sessions hold ----

void Leases::let_go(Incarnation incarnation, Holder& holder, std::uint64_t ino) {
  holder.inos.erase(ino);
  auto found = held_.find(ino);
  if (found == held_.end()) return;
  found->second.erase(incarnation);
  if (found->second.empty()) held_.erase(found);
}

awaitable<Result<Reply>> Leases::renew(wire::RenewLeases request) {
  const auto came = runtime_.now();
  auto incarnation = request.incarnation();
  auto told = request.told();
  std::set<std::uint64_t> done(request.done().begin(), request.done().end());
  std::shared_ptr<Holder> holder;
  if (auto found = holders_.find(incarnation);
      found != holders_.end() && found->second->session == request.session() && runs(*found->second))
    holder = found->second;
  if (!holder || holder->full) {
    incarnation = runtime_.random() | 1;
    told = 0;  // Of another one's recalls.
    done.clear();
    holder = std::make_shared<Holder>();
    holder->session = request.session();
    holders_[incarnation] = holder;
  }
  for (auto ino : request.open())
    if (holder->recalled.contains(ino)) opens_.opened(client_.arc_of_ino(ino), ino, holder->session, came);
  std::erase_if(holder->recalled, [&](const auto& one) {
    if (!done.contains(one.second.number)) return false;
    let_go(incarnation, *holder, one.first);
    if (auto writing = writings_.find(one.first); writing != writings_.end())
      if (auto asked = writing->second.recalls.find(incarnation); asked != writing->second.recalls.end())
        writing->second.done |= asked->second == one.second.number;
    return true;
  });
  let_go_.notify_all();
  holder->renewed = came;

  struct Asked {
    ArcPtr arc;
    std::shared_ptr<Raft> raft;
    std::uint64_t term, round;
  };
  std::vector<Asked> asked;
  for (auto number : request.arcs()) {
    auto arc = arcs_.find(number);
    if (!arc || !arc->serves() || !arc->raft->lease()) continue;
    // With the next heartbeats, in frames that go anyway.
    asked.push_back({arc, arc->raft, arc->raft->term(), arc->raft->request_round()});
  }
  auto news = [&] {
    return holder->full ||
           std::ranges::any_of(holder->recalled, [&](const auto& one) { return one.second.number > told; });
  };
  // Whoever holds nothing yet asks for every answer until it does: it is told as soon as that can be.
  const bool first = incarnation != request.incarnation();
  auto is_confirmed = [](const Asked& one) { return one.raft->confirmed_round() >= one.round; };
  while (!request.arcs().empty() && !news() && runtime_.now() < came + kLeaseRound &&
         !(first && std::ranges::all_of(asked, is_confirmed)))
    co_await holder->news.wait_for(
        runtime_, std::min<Duration>(first ? kFirstLook : kLeaseRound, came + kLeaseRound - runtime_.now()));

  Reply reply;
  auto& leases = *reply.header.mutable_leases();
  leases.set_incarnation(incarnation);
  leases.set_recall(told);
  for (const auto& one : asked) {
    if (one.raft != one.arc->raft || !one.arc->serves() || one.raft->term() != one.term) continue;
    if (!is_confirmed(one)) continue;
    auto& held = *leases.add_held();
    held.set_arc(one.arc->number);
    held.set_term(one.term);
  }
  for (const auto& [ino, recall] : holder->recalled) {
    leases.add_inos(ino);
    leases.add_numbers(recall.number);
    leases.add_writing(recall.writing);
    leases.set_recall(std::max(leases.recall(), recall.number));
  }
  co_return reply;
}

// ---- Granting ----

Leases::Mark Leases::mark(ArcNumber arc) const {
  auto state = states_.find(arc);
  auto found = arcs_.find(arc);
  const bool unknown = state != states_.end() && found && found->applied < state->second.unknown;
  return {unknown ? 0 : term_of(arc), changes_};
}

Leases::Holder* Leases::holder_for(Incarnation incarnation, std::size_t inodes) {
  auto found = holders_.find(incarnation);
  if (found == holders_.end() || !runs(*found->second) || found->second->full) return nullptr;
  auto& holder = *found->second;
  if (holder.inos.size() + inodes <= kLeasesMax) return &holder;
  holder.full = true;
  holder.news.notify_all();
  return nullptr;
}

template <class Answer>
void Leases::grant(Holder& holder, Incarnation incarnation, const std::vector<std::uint64_t>& inos, std::uint64_t term,
                   Answer& answer) {
  ++holder.grants;
  for (auto ino : inos) {
    holder.inos[ino] = holder.grants;
    held_[ino].insert(incarnation);
  }
  answer.set_lease(incarnation);
  answer.set_lease_term(term);
  answer.set_lease_number(holder.grants);
}

void Leases::grant(ArcNumber number, const Mark& mark, Incarnation incarnation, const std::vector<std::uint64_t>& inos,
                   wire::QueryAnswer& answer) {
  auto& state = states_[number];
  if (mark.term == 0 || mark.term != term_of(number) || mark.change < state.floor) return;
  auto* holder = holder_for(incarnation, inos.size());
  if (!holder) return;
  for (auto ino : inos) {
    auto changed = state.changed.find(ino);
    if (changed != state.changed.end() && changed->second > mark.change) return;
    if (state.changing.contains(ino) || holder->recalled.contains(ino)) return;
  }
  grant(*holder, incarnation, inos, mark.term, answer);
}

void Leases::grant(const Change& change, std::uint64_t term, Incarnation incarnation, wire::Answer& answer) {
  auto& state = states_[change.arc_];
  auto* holder = holder_for(incarnation, change.inos_.size());
  if (!holder || answer.unsettled() || answer.error() != 0 || term == 0 || term != term_of(change.arc_)) return;
  std::vector<std::uint64_t> inos;
  for (const auto& attr : answer.attrs()) {
    // Alone since before it was applied: nothing that came later is missing.
    auto changing = state.changing.find(attr.ino());
    if (changing == state.changing.end() || changing->second != 1 || !change.inos_.contains(attr.ino())) return;
    if (holder->recalled.contains(attr.ino())) return;
    inos.push_back(attr.ino());
  }
  if (!inos.empty()) grant(*holder, incarnation, inos, term, answer);
}

// ---- Changing ----

void Leases::note_change(ArcState& state, std::uint64_t ino) {
  state.changed[ino] = ++changes_;
  if (state.changed.size() <= kChangedMax) return;
  state.changed.clear();
  state.floor = changes_;
}

Leases::Change::Change(Leases& leases, ArcNumber arc, std::set<std::uint64_t> inos)
    : leases_(leases), arc_(arc), inos_(std::move(inos)) {
  auto& state = leases_.states_[arc_];
  for (auto ino : inos_) {
    ++state.changing[ino];
    leases_.note_change(state, ino);
  }
}

Leases::Change::~Change() {
  auto& state = leases_.states_[arc_];
  for (auto ino : inos_) {
    if (auto one = state.changing.find(ino); one != state.changing.end() && --one->second == 0)
      state.changing.erase(one);
    leases_.note_change(state, ino);
  }
}

void Leases::Change::unknown() {
  if (auto arc = leases_.arcs_.find(arc_); arc && arc->raft) leases_.states_[arc_].unknown = arc->raft->log().last();
}

awaitable<Result<void>> Leases::recall(ArcNumber arc, std::set<std::uint64_t> inos, Changer changer, bool unlinks,
                                       Time until) {
  // One that leads for the first time, or again, does not know what was granted before.
  while (runtime_.now() < states_[arc].changes_from) {
    if (runtime_.now() >= until) co_return Error{Errc::busy, fmt::format("arc {}: leases of its last leader", arc)};
    co_await runtime_.sleep(std::min(states_[arc].changes_from, until) - runtime_.now());
  }
  while (!planted(Defect::lease_not_recalled)) {
    bool held = false;
    auto wake = until;
    for (auto ino : inos) {
      auto found = held_.find(ino);
      if (found == held_.end()) continue;
      for (auto incarnation : std::vector<Incarnation>(found->second.begin(), found->second.end())) {
        auto& holder = *holders_.at(incarnation);
        if (incarnation == changer.incarnation && holder.inos[ino] <= changer.number) continue;
        if (!runs(holder)) {
          // It may have opened the file by what it held, and have had no time to say so.
          if (unlinks) opens_.opened(arc, ino, holder.session, runtime_.now());
          let_go(incarnation, holder, ino);
          holder.recalled.erase(ino);
          continue;
        }
        held = true;
        wake = std::min(wake, holder.renewed + kLeaseHold);
        if (!holder.recalled.contains(ino)) ask_back(holder, ino, false);
      }
    }
    if (!held) co_return Result<void>();
    if (runtime_.now() >= until) co_return Error{Errc::busy, fmt::format("arc {}: mounts hold leases", arc)};
    co_await let_go_.wait_for(runtime_, std::max<Duration>(wake - runtime_.now(), 1ms));
  }
  co_return Result<void>();
}

std::uint64_t Leases::ask_back(Holder& holder, std::uint64_t ino, bool writing) {
  holder.recalled[ino] = {++recalls_, writing};
  holder.news.notify_all();
  return recalls_;
}

// ---- Writers ----

bool Leases::writer_is_done(const wire::Attr& file) {
  const auto now = runtime_.now();
  auto& writing = writings_[file.ino()];
  const bool same = writing.writer == file.writer() && writing.written_as == file.written_as();
  if (!same || now > writing.asked + kWaiterGone)
    writing = {.writer = file.writer(), .written_as = file.written_as(), .since = now, .asked = now, .recalls = {}};
  writing.asked = now;
  bool heard_of = false;
  for (auto& [incarnation, holder] : holders_) {
    if (holder->session != writing.writer || !runs(*holder)) continue;
    heard_of = true;
    // Under a new number, also if it is recalled already: it may have become the writer after it let go.
    if (!writing.recalls.contains(incarnation)) writing.recalls[incarnation] = ask_back(*holder, file.ino(), true);
  }
  // Once for all that it writes: a mount that has died holds up nobody twice.
  if (heard_of) silent_.erase(writing.writer);
  const bool given_up = heard_of ? now >= writing.since + kWriterFlushMax
                                 : now >= silent_.try_emplace(writing.writer, now).first->second + kWriterGrace;
  const bool done = writing.done || given_up;
  if (done) writings_.erase(file.ino());
  return done;
}

awaitable<void> Leases::wait_for_letting_go() {
  co_await let_go_.wait_for(runtime_, kLettingGoPause);
}

void Leases::led(ArcNumber number) {
  auto arc = arcs_.find(number);
  if (!arc || !arc->raft) return;
  states_[number] = {.changes_from = runtime_.now() + arc->raft->lease_wait() * kRaftTick,
                     .unknown = 0,
                     .floor = changes_,
                     .changed = {},
                     .changing = std::move(states_[number].changing)};
}

void Leases::expire() {
  std::erase_if(silent_, [this](const auto& one) { return runtime_.now() > one.second + 2 * kSessionTtl; });
  std::erase_if(writings_, [this](const auto& one) { return runtime_.now() > one.second.asked + kWaiterGone; });
  std::erase_if(holders_, [this](auto& one) {
    if (runs(*one.second)) return false;
    // What it may have opened by its leases it has told of by now, or will not.
    if (!one.second->inos.empty() && runtime_.now() < one.second->renewed + kSessionTtl) return false;
    while (!one.second->inos.empty()) let_go(one.first, *one.second, one.second->inos.begin()->first);
    return true;
  });
}

}  // namespace chordfs
