#pragma once
// SimHost: a slot for one process on one machine of the virtual world. start() makes an incarnation of its program with
// a runtime and a transport of its own; crash() and power_off() end it at once.
// Owner: the World, for ever; hosts are never removed. Thread: the world's.
//
// How an incarnation dies. In the very call of crash() every door closes: nothing that it sends leaves, nothing comes
// in, its calls return Errc::cancelled, its timers no longer strike. Then, before the world's next event, it is buried:
// its coroutines are cancelled, Program::stop() is awaited, its handlers and run() are joined, and only then is the
// program destroyed. What it does meanwhile nobody sees, so the same host may be started again at once.
//
// What a program must do for that: own its coroutines in TaskGroups; in stop(), stop and join them. stop() is called
// exactly once for an incarnation. Whatever else an incarnation can reach (a disk, an oracle of the test) is told by
// on_death(), before anything of the burial runs.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proto/base/task.h"
#include "proto/rpc/transport.h"
#include "tools/sim/events.h"
#include "tools/sim/runtime.h"

namespace chordfs {

class SimTransport;
class World;

/// What runs on a host; one object per incarnation.
class Program {
 public:
  virtual ~Program() = default;
  /// Spawned at start, cancelled at the end. May return early: handlers go on being served.
  virtual awaitable<void> run() { co_return; }
  /// Cancels and joins everything that the program has spawned. With doors open (SimHost::stop) or closed (crash).
  virtual awaitable<void> stop() { co_return; }
};
using ProgramFactory = std::function<std::unique_ptr<Program>(Runtime&, Transport&)>;

struct HostOptions {
  std::optional<Endpoint> endpoint;  ///< Default: 10.0.0.N:4100, the N-th host from 1 on.
  double clock_rate = 1.0;           ///< Of its steady clock; 0.8 to 1.25 is what protocols must bear.
  ProgramFactory program = {};       ///< Default: set later by set_program.
};

class SimHost {
 public:
  /// What the neighbours notice.
  enum class Death {
    process,  ///< kill -9: connections are reset, new ones refused.
    machine,  ///< Power: silence.
  };
  struct Traffic {
    std::uint64_t sent = 0, received = 0, bytes_sent = 0, bytes_received = 0;
  };

  SimHost(World& world, std::uint32_t index, HostOptions options);
  ~SimHost();
  SimHost(const SimHost&) = delete;

  std::uint32_t index() const { return index_; }
  const Endpoint& endpoint() const { return endpoint_; }
  void set_program(ProgramFactory factory) { factory_ = std::move(factory); }

  /// The host must be down. The machine is switched on if it was off.
  void start();
  void crash() { die(Death::process); }
  void power_off() { die(Death::machine); }
  /// Awaits Program::stop() with all doors open, then ends the incarnation. Not to be awaited by the program itself.
  awaitable<void> stop();
  /// SIGSTOP and SIGCONT: no timers, no messages; afterwards all of them, late and in order.
  void pause();
  void resume();

  bool alive() const { return current_ != nullptr; }
  bool paused() const { return paused_; }
  /// The machine has power: what is sent to a dead process is refused and not just lost.
  bool powered() const { return powered_; }
  /// 1 for the first, counted on by start().
  std::uint64_t incarnation() const { return incarnation_; }

  /// Of the present incarnation. Not to be kept across a crash; coroutines that use them belong into the program.
  Runtime& runtime();
  Transport& transport();
  Program& program();
  template <class P>
  P& program_as() {
    return dynamic_cast<P&>(program());
  }

  /// Called at every death, at once, while the doors are closing.
  void on_death(std::function<void(Death)> callback) { on_death_.push_back(std::move(callback)); }
  /// By how much the wall clock is wrong; may jump at any time.
  void set_wall_error(Duration error) { wall_error_ = error; }
  Duration wall_error() const { return wall_error_; }
  /// All that its transports ever sent and were given.
  const Traffic& traffic() const { return traffic_; }

 private:
  friend class SimNetwork;
  friend class SimRuntime;
  friend class World;
  struct Incarnation;

  void die(Death death);
  awaitable<void> bury(Incarnation* incarnation);
  awaitable<void> stop_program(Incarnation* incarnation);
  awaitable<void> stop_and_die(Incarnation* incarnation);
  SimTransport* listening_transport();
  SimTransport* transport_of(std::uint64_t incarnation);
  void hold(EventQueue::Slot slot) { held_.push_back(slot); }

  World& world_;
  const std::uint32_t index_;
  const Endpoint endpoint_;
  SimClock clock_;
  ProgramFactory factory_;
  std::unique_ptr<Incarnation> current_;
  std::uint64_t incarnation_ = 0;
  bool paused_ = false;
  bool powered_ = true;
  std::vector<EventQueue::Slot> held_;  ///< What would have happened while paused.
  Duration wall_error_{};
  Traffic traffic_;
  Signal died_;
  std::vector<std::function<void(Death)>> on_death_;
};

}  // namespace chordfs
