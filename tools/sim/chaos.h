#pragma once
// Chaos: faults as data. plan_chaos() draws a schedule from a seed; Chaos carries it out on a world, asking the test
// before each fault. Each fault ends by itself, so that any subset of a schedule is a schedule: a failing one can be
// shrunk by leaving faults out.
// Owner: the test; a Chaos ends with its world or before it. Thread: the world's.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/runtime.h"
#include "tools/sim/network.h"
#include "tools/sim/world.h"

namespace chordfs {

enum class FaultKind : std::uint8_t {
  crash,       ///< kill -9 of one host; restarted at the end.
  power_off,   ///< Its machine loses power; restarted at the end.
  power_loss,  ///< All machines at once; restarted at the end.
  pause,       ///< SIGSTOP; resumed at the end.
  partition,   ///< Into two groups; healed at the end.
  cut,         ///< One host no longer hears some others, one way; mended at the end.
  weather,     ///< Loss, duplication and late messages.
  clock_jump,  ///< One host's wall clock.
  join,        ///< A new host.
  leave,       ///< A host leaves for good, in good order.
  one_way,     ///< Two groups, of which only one hears the other; healed at the end.
  slow_disk,   ///< One host's disk takes its time to sync; as before at the end.
  wipe,        ///< One host loses its disk and comes back as a new one, if the rules say how.
  isolate,  ///< One host, a leader perhaps, is cut off from all others that may be struck, and from some of the rest.
  echo,     ///< Every request of a while comes once more, seconds later, in the old order.
  disk_error,  ///< One host's disk fails now and then; as before at the end.
  disk_full,   ///< One host's disk has no room; as before at the end.
  bit_flip,    ///< A bit on one host's disk.
  stranger,    ///< One host is off, and a node of another ring has its address; restarted at the end.
};
std::string_view name_of(FaultKind kind);

struct Fault {
  Duration at{};  ///< Since Chaos::start().
  FaultKind kind = FaultKind::crash;
  Duration lasts{};
  std::uint64_t choice = 0;  ///< Chooses the victims among the hosts of that moment.

  std::string text() const;  ///< "12.345 s: crash for 2.500 s (choice 1f3a…)"
};

/// How many per minute of virtual time, on average, and for how long.
struct ChaosOptions {
  Duration duration = 1min;
  std::map<FaultKind, double> per_minute = {
      {FaultKind::crash, 15},     {FaultKind::power_off, 5}, {FaultKind::power_loss, 1}, {FaultKind::pause, 8},
      {FaultKind::partition, 10}, {FaultKind::cut, 6},       {FaultKind::weather, 4},    {FaultKind::clock_jump, 2},
  };
  Duration lasts_min = 200ms, lasts_max = 8s;
  Duration pause_max = 8s;  ///< Of lasts_max, for pauses.
  double loss_max = 0.15, duplication_max = 0.15, spike_max = 0.1;
  Duration echo_min = 1s, echo_max = 8s;
};

/// Ordered by time; the same for the same options and seed.
std::vector<Fault> plan_chaos(const ChaosOptions& options, std::uint64_t seed);

/// What the test permits, and does itself. Everything has a default.
struct ChaosRules {
  /// Whom faults may strike and who is restarted; default: all hosts. Leave out those that have left for good.
  std::function<std::vector<SimHost*>()> victims;
  /// May this happen now? For faults without a single victim the host is null. Default: always.
  std::function<bool(const Fault&, SimHost*)> may;
  /// Default: SimHost::start. Not called if the host runs already.
  std::function<void(SimHost&)> restart;
  /// Told of each power cut, after the host's death and before its restart (disks lose what was not synced).
  std::function<void(SimHost&)> lost_power;
  /// Default: joins and leaves are passed over.
  std::function<void()> join;
  std::function<void(SimHost&)> leave;
  /// slow_disk, disk_error, disk_full, bit_flip; and the end of it. Default: passed over.
  std::function<void(SimHost&, const Fault&)> harm_disk;
  std::function<void(SimHost&)> mend_disk;
  std::function<void(SimHost&)> wipe;
  /// The host is off: somebody else may come up at its address, and must go. Default: passed over.
  std::function<void(SimHost&, const Fault&)> lend;
  std::function<void(SimHost&)> take_back;
  /// Whom to isolate; default: any victim.
  std::function<SimHost*(std::uint64_t choice)> leader;
  /// Hosts that are no victims, of which an isolated one still hears some. Default: none.
  std::function<std::vector<SimHost*>()> bystanders;
};

class Chaos {
 public:
  Chaos(World& world, const ChaosOptions& options, std::vector<Fault> plan, ChaosRules rules = {});
  ~Chaos();
  Chaos(const Chaos&) = delete;

  /// The faults happen from now on, while the world runs.
  void start();
  /// Every fault has begun and ended.
  bool over() const { return events_left_ == 0; }
  /// Ends every fault now and lets none follow: links whole, weather fair, nobody paused, every victim restarted.
  void calm();
  /// How many faults really happened, the rules permitting.
  std::size_t struck() const { return struck_; }
  const std::map<FaultKind, std::size_t>& struck_by_kind() const { return struck_by_kind_; }

 private:
  void begin(const Fault& fault);
  void strike(const Fault& fault);
  void later(Duration delay, std::move_only_function<void()> action);
  SimHost* victim(const Fault& fault, bool (*fit)(const SimHost&)) const;
  std::vector<SimHost*> victims() const;
  bool permitted(const Fault& fault, SimHost* host) const { return !rules_.may || rules_.may(fault, host); }
  void strike_host(const Fault& fault);
  void lose_all_power(const Fault& fault);
  void partition(const Fault& fault);
  void one_way(const Fault& fault);
  void cut(const Fault& fault);
  void isolate(const Fault& fault);
  void echo(const Fault& fault);
  SimNetwork::Hosts group_of(const Fault& fault, bool chosen) const;
  void weather(const Fault& fault);
  void power_off(SimHost& host);
  void restart(SimHost& host);

  World& world_;
  const ChaosOptions options_;
  const std::vector<Fault> plan_;
  const ChaosRules rules_;
  NetworkOptions fair_weather_;
  std::vector<EventQueue::Id> events_;
  std::size_t events_left_ = 0;
  std::size_t struck_ = 0;
  std::map<FaultKind, std::size_t> struck_by_kind_;
};

}  // namespace chordfs
