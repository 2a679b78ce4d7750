#pragma once
// RaftGroup: a few Rafts side by side, for tests that say step by step what happens. Disks are instant unless `slow`.
// Owner, thread: the test's.

#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "daemon/arc/raft/raft.h"

namespace chordfs {

class RaftGroup {
 public:
  static Uuid uuid(int number) { return {1, static_cast<std::uint64_t>(number)}; }
  static Replica replica(int number, Generation generation = {1, 1}) {
    return {uuid(number), {"h", static_cast<std::uint16_t>(number)}, generation};
  }
  static ArcView view_of(std::initializer_list<int> voters) {
    ArcView view;
    for (int one : voters) view.voters.push_back(replica(one));
    return view;
  }

  explicit RaftGroup(std::initializer_list<int> voters) {
    for (int one : voters) add(one, RaftLog(1, 1, view_of(voters), 1));
  }
  Raft& add(int number, RaftLog log, Generation generation = {1, 1}, Raft::HardState hard = {}, bool passive = false) {
    rafts_[number] = std::make_unique<Raft>(
        Raft::Start{
            .arc = 3, .self = replica(number, generation), .hard = hard, .log = std::move(log), .passive = passive},
        [](std::uint64_t) { return 0; });
    return *rafts_[number];
  }
  Raft& operator[](int number) { return *rafts_.at(number); }

  /// Until nobody has anything to write or say.
  void run() {
    for (bool busy = true; busy;) {
      busy = false;
      for (auto& [number, raft] : rafts_) {
        busy |= write(number);
        for (auto& out : raft->take_messages()) {
          busy = true;
          sent.emplace_back(number, out);
          for (auto& [to, other] : rafts_)
            if (uuid(to) == out.to.node && !alone.contains(number) && !alone.contains(to))
              other->step(uuid(number), out.message);
        }
      }
    }
  }
  bool write(int number) {
    bool any = false;
    while (auto write = rafts_.at(number)->take_write()) {
      any = true;
      if (slow.contains(number))
        waiting[number].push_back(write->id);
      else
        rafts_.at(number)->persisted(write->id);
    }
    return any;
  }
  void tick(int number, int times = 1) {
    for (int i = 0; i < times; ++i) {
      rafts_.at(number)->tick();
      run();
    }
  }
  void tick_all(int times = 1) {
    for (int i = 0; i < times; ++i)
      for (auto& [number, raft] : rafts_) tick(number);
  }
  /// Ticks only this one until it leads.
  bool elect(int number) {
    for (int i = 0; i < 40 && !(*this)[number].leads(); ++i) tick(number);
    return (*this)[number].leads();
  }
  void propose_and_commit(int leader) {
    (*this)[leader].propose("x");
    run();
    tick(leader, 2);
  }
  int count(wire::RaftMessage::Kind kind, int to) const {
    int found = 0;
    for (const auto& [from, out] : sent) found += out.message.kind() == kind && out.to.node == uuid(to);
    return found;
  }

  std::set<int> alone, slow;
  std::map<int, std::vector<std::uint64_t>> waiting;
  std::vector<std::pair<int, Raft::Outgoing>> sent;

 private:
  std::map<int, std::unique_ptr<Raft>> rafts_;
};

}  // namespace chordfs
