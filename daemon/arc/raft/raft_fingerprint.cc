// Raft: what tells two replicas apart, for exploration (tools/sim/explore_members.cc). Every member variable is here,
// or cannot matter in the role that the replica has.
#include <algorithm>
#include <concepts>

#include "daemon/arc/raft/raft.h"

namespace chordfs {

namespace {
class Print {
 public:
  void put(std::integral auto number) {
    auto rest = static_cast<std::uint64_t>(number);
    for (; rest >= 0x80; rest >>= 7) bytes.push_back(static_cast<char>(rest | 0x80));
    bytes.push_back(static_cast<char>(rest));
  }
  void put(const std::string& text) {
    put(text.size());
    bytes += text;
  }
  void put(const Uuid& node) { bytes += node.bytes(); }
  void put(const Generation& generation) { put(generation.term), put(generation.index); }
  void put(const Replica& replica) { put(replica.node), put(replica.generation); }
  void put(const Replicas& replicas) {
    put(replicas.size());
    for (const auto& one : replicas) put(one);
  }
  void put(const ArcView& view) { put(view.voters), put(view.old_voters), put(view.learners); }
  void put(const Raft::Outgoing& out) { put(out.to), put(out.message.SerializeAsString()); }
  template <class T>
  void put(const std::optional<T>& value) {
    put(value.has_value());
    if (value) put(*value);
  }

  std::string bytes;
};
}  // namespace

std::string Raft::fingerprint() const {
  Print print;
  auto all = [&](const auto&... values) { (print.put(values), ...); };
  const auto after = [&](std::uint64_t write) { return write > persisted_ ? write - persisted_ : 0; };

  all(self_, static_cast<int>(role_), hard_.term, hard_.vote, hard_.doubt);
  all(log_.base(), log_.base_term(), log_.view_index_at(log_.base()), log_.view_at(log_.base()), log_.size());
  for (auto index = log_.base() + 1; index <= log_.last(); ++index) {
    const auto& entry = log_.at(index);
    all(entry.term, static_cast<int>(entry.kind), entry.payload);
  }
  all(commit_, durable_, leader_, wanted_snapshot_, passive_, gone_, fault_.has_value(), diverged_, stable_);
  all(std::min(silence_, std::max(timeout_, options_.election)), timeout_, since_leases_, leasing_, lease_wait_);
  all(std::min(leaderless_, 2 * options_.election), since_knock_, mourned_, mourning_, hurries_);

  if (leads()) {
    all(progress_.size());
    for (const auto& [member, known] : progress_) {
      all(member.first, member.second, known.match, known.next, known.probing, known.waiting, known.snapshot);
      all(known.round, std::min(known.silent, std::max(kLiveTicks, options_.election + 1)), known.in_flight,
          known.sent.size());
      for (const auto& [last, bytes] : known.sent) all(last, bytes);
    }
    all(first_of_term_, rounds_wanted_, rounds_started_, since_heartbeat_, since_check_);
    all(lease_pause_, transfer_, transfer_ticks_, transfer_rest_, transfer_pause_);
  } else {
    all(agreed_, acknowledged_);
  }
  if (role_ == Role::candidate || role_ == Role::pre_candidate) {
    all(votes_.size(), doubtful_.size());
    for (const auto& [voter, ticks] : votes_) all(voter.first, voter.second, ticks);
    for (const auto& voter : doubtful_) all(voter.first, voter.second);
  }

  all(hard_dirty_, base_dirty_, truncate_, written_, after(writes_), after(hard_write_), after(base_write_));
  all(writing_.size());
  for (const auto& write : writing_) all(after(write.id), write.epoch == epoch_, write.last, write.hard);
  all(outgoing_.size());
  for (const auto& out : outgoing_) all(out);
  all(held_.size());
  for (const auto& [write, out] : held_) all(after(write), out);
  return std::move(print.bytes);
}

}  // namespace chordfs
