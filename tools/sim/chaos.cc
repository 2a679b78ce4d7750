#include "tools/sim/chaos.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "tools/sim/rng.h"

namespace chordfs {

std::string_view name_of(FaultKind kind) {
  switch (kind) {
    case FaultKind::crash:
      return "crash";
    case FaultKind::power_off:
      return "power off";
    case FaultKind::power_loss:
      return "power loss";
    case FaultKind::pause:
      return "pause";
    case FaultKind::partition:
      return "partition";
    case FaultKind::cut:
      return "cut";
    case FaultKind::weather:
      return "weather";
    case FaultKind::clock_jump:
      return "clock jump";
    case FaultKind::join:
      return "join";
    case FaultKind::leave:
      return "leave";
    case FaultKind::one_way:
      return "one-way partition";
    case FaultKind::slow_disk:
      return "slow disk";
    case FaultKind::wipe:
      return "wipe";
    case FaultKind::isolate:
      return "isolate";
    case FaultKind::echo:
      return "echo";
    case FaultKind::disk_error:
      return "disk error";
    case FaultKind::disk_full:
      return "disk full";
    case FaultKind::bit_flip:
      return "bit flip";
    case FaultKind::stranger:
      return "stranger";
  }
  return "?";
}

namespace {
bool runs(const SimHost& host) {
  return host.alive();
}
/// Shorter, and nothing comes of it that an isolated leader leads no more.
constexpr Duration kElection = 1s;

bool harms_disk(FaultKind kind) {
  using enum FaultKind;
  return kind == slow_disk || kind == disk_error || kind == disk_full || kind == bit_flip;
}
bool runs_freely(const SimHost& host) {
  return host.alive() && !host.paused();
}
}  // namespace

std::string Fault::text() const {
  auto seconds = [](Duration d) { return static_cast<double>(d.count()) / 1e9; };
  return fmt::format("{:.3f} s: {} for {:.3f} s (choice {:016x})", seconds(at), name_of(kind), seconds(lasts), choice);
}

std::vector<Fault> plan_chaos(const ChaosOptions& options, std::uint64_t seed) {
  std::vector<Fault> plan;
  for (const auto& [kind, per_minute] : options.per_minute) {
    if (per_minute <= 0) continue;
    auto rng = Rng::derived(seed, "chaos", static_cast<std::uint64_t>(kind));
    const Duration gap(static_cast<std::int64_t>(6e10 / per_minute));
    for (Duration at = rng.exponential(gap); at < options.duration; at += rng.exponential(gap) + 1ms)
      plan.push_back(
          {at, kind,
           rng.between(options.lasts_min,
                       kind == FaultKind::pause ? std::min(options.pause_max, options.lasts_max) : options.lasts_max),
           rng.next()});
  }
  std::ranges::sort(plan, {}, [](const Fault& fault) { return std::tuple(fault.at, fault.kind); });
  return plan;
}

Chaos::Chaos(World& world, const ChaosOptions& options, std::vector<Fault> plan, ChaosRules rules)
    : world_(world), options_(options), plan_(std::move(plan)), rules_(std::move(rules)) {}

Chaos::~Chaos() {
  for (auto event : events_) world_.cancel(event);
}

void Chaos::start() {
  fair_weather_ = world_.network().options();
  for (const auto& fault : plan_) later(fault.at, [this, &fault] { begin(fault); });
}

void Chaos::later(Duration delay, std::move_only_function<void()> action) {
  ++events_left_;
  events_.push_back(world_.after(delay, [this, action = std::move(action)]() mutable {
    --events_left_;
    action();
  }));
}

void Chaos::strike(const Fault& fault) {
  ++struck_;
  ++struck_by_kind_[fault.kind];
  world_.note(fault.text());
}

void Chaos::begin(const Fault& fault) {
  switch (fault.kind) {
    case FaultKind::power_loss:
      return lose_all_power(fault);
    case FaultKind::partition:
      return partition(fault);
    case FaultKind::one_way:
      return one_way(fault);
    case FaultKind::cut:
      return cut(fault);
    case FaultKind::weather:
      return weather(fault);
    case FaultKind::isolate:
      return isolate(fault);
    case FaultKind::echo:
      return echo(fault);
    case FaultKind::join:
      if (rules_.join && permitted(fault, nullptr)) {
        strike(fault);
        rules_.join();
      }
      return;
    case FaultKind::crash:
    case FaultKind::power_off:
    case FaultKind::pause:
    case FaultKind::clock_jump:
    case FaultKind::leave:
    case FaultKind::slow_disk:
    case FaultKind::disk_error:
    case FaultKind::disk_full:
    case FaultKind::bit_flip:
    case FaultKind::wipe:
    case FaultKind::stranger:
      return strike_host(fault);
  }
}

std::vector<SimHost*> Chaos::victims() const {
  if (rules_.victims) return rules_.victims();
  std::vector<SimHost*> all;
  for (std::size_t i = 0; i < world_.host_count(); ++i) all.push_back(&world_.host(i));
  return all;
}

SimHost* Chaos::victim(const Fault& fault, bool (*fit)(const SimHost&)) const {
  auto candidates = victims();
  std::erase_if(candidates, [&](const SimHost* host) { return !fit(*host); });
  return candidates.empty() ? nullptr : candidates[fault.choice % candidates.size()];
}

void Chaos::strike_host(const Fault& fault) {
  auto* host = victim(fault, fault.kind == FaultKind::pause ? runs_freely : runs);
  if (host == nullptr || !permitted(fault, host)) return;
  if (fault.kind == FaultKind::leave && !rules_.leave) return;
  if (harms_disk(fault.kind) && !(rules_.harm_disk && rules_.mend_disk)) return;
  if (fault.kind == FaultKind::wipe && !rules_.wipe) return;
  if (fault.kind == FaultKind::stranger && !(rules_.lend && rules_.take_back)) return;
  strike(fault);
  switch (fault.kind) {
    case FaultKind::crash:
      host->crash();
      break;
    case FaultKind::power_off:
      power_off(*host);
      break;
    case FaultKind::pause:
      host->pause();
      return later(fault.lasts, [host] { host->resume(); });
    case FaultKind::clock_jump:
      host->set_wall_error(Duration(static_cast<std::int64_t>(fault.choice % 7'200) - 3'600) * 1'000'000'000);
      return;
    case FaultKind::slow_disk:
    case FaultKind::disk_error:
    case FaultKind::disk_full:
    case FaultKind::bit_flip:
      rules_.harm_disk(*host, fault);
      return later(fault.lasts, [this, host] { rules_.mend_disk(*host); });
    case FaultKind::wipe:
      return rules_.wipe(*host);
    case FaultKind::stranger:
      power_off(*host);
      rules_.lend(*host, fault);
      return later(fault.lasts, [this, host] {
        rules_.take_back(*host);
        restart(*host);
      });
    default:
      return rules_.leave(*host);
  }
  later(fault.lasts, [this, host] { restart(*host); });
}

void Chaos::power_off(SimHost& host) {
  host.power_off();
  if (rules_.lost_power) rules_.lost_power(host);
}

void Chaos::restart(SimHost& host) {
  if (host.alive() || std::ranges::count(victims(), &host) == 0) return;
  if (rules_.restart)
    rules_.restart(host);
  else
    host.start();
}

void Chaos::lose_all_power(const Fault& fault) {
  if (!permitted(fault, nullptr)) return;
  strike(fault);
  for (auto* host : victims()) {
    if (!host->alive()) continue;
    power_off(*host);
    // Not all together: each machine takes its own time to come up.
    const Duration boot = fault.lasts / 4 * static_cast<int>(fault.choice >> host->index() % 60 & 3);
    later(fault.lasts + boot, [this, host] { restart(*host); });
  }
}

SimNetwork::Hosts Chaos::group_of(const Fault& fault, bool chosen) const {
  SimNetwork::Hosts group;
  const auto all = victims();
  for (std::size_t i = 0; i < all.size(); ++i)
    if ((fault.choice >> i % 64 & 1) == (chosen ? 1U : 0U)) group.push_back(all[i]);
  return group;
}

void Chaos::partition(const Fault& fault) {
  const auto group = group_of(fault, true);
  if (group.empty() || group_of(fault, false).empty() || !permitted(fault, nullptr)) return;
  strike(fault);
  world_.network().partition({group});
  later(fault.lasts, [this] { world_.network().heal_partition(); });
}

void Chaos::one_way(const Fault& fault) {
  const auto deaf = group_of(fault, true), heard = group_of(fault, false);
  if (deaf.empty() || heard.empty() || !permitted(fault, nullptr)) return;
  strike(fault);
  world_.network().cut(heard, deaf);
  later(fault.lasts, [this, deaf, heard] {
    for (auto* from : heard)
      for (auto* to : deaf) world_.network().mend(*from, *to);
  });
}

void Chaos::cut(const Fault& fault) {
  auto* host = victim(fault, runs);
  if (host == nullptr || !permitted(fault, host)) return;
  strike(fault);
  const auto all = victims();
  const bool deaf = fault.choice >> 63;
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto* other = all[i];
    if (other == host || !(fault.choice >> i % 60 & 1)) continue;
    auto* from = deaf ? other : host;
    auto* to = deaf ? host : other;
    world_.network().cut(*from, *to);
    later(fault.lasts, [this, from, to] { world_.network().mend(*from, *to); });
  }
}

/// A leader that its group has lost, and some clients have not: whatever it still answers must be true. Every fourth
/// time its disk is lost meanwhile: what it alone has stored is gone. Every second time it is frozen first, for about
/// as long as the others take to choose another: it wakes and believes that it leads.
void Chaos::isolate(const Fault& fault) {
  auto* host = rules_.leader ? rules_.leader(fault.choice) : victim(fault, runs_freely);
  if (host == nullptr || !permitted(fault, host)) return;
  strike(fault);
  auto lost = victims();
  std::erase(lost, host);
  if (rules_.bystanders) {
    const auto others = rules_.bystanders();
    // The first still hears it: what others change meanwhile, that one should see.
    for (std::size_t i = 1; i < others.size(); ++i)
      if ((fault.choice >> (20 + 2 * i % 38) & 3) != 0) lost.push_back(others[i]);
  }
  for (auto* other : lost) world_.network().cut_both(*host, *other);
  later(fault.lasts + kElection, [this, host, lost] {
    for (auto* other : lost) world_.network().mend_both(*host, *other);
  });
  if (fault.choice >> 60 & 1) {
    host->pause();
    later(500ms + Duration(fault.choice >> 8 & 0xff) * 2'000'000, [host] { host->resume(); });
  }
  if (fault.choice >> 61 == 0 || fault.choice >> 61 == 1)
    later(fault.lasts / 4, [this, host] {
      if (rules_.wipe && host->alive()) rules_.wipe(*host);
    });
}

void Chaos::echo(const Fault& fault) {
  if (!permitted(fault, nullptr)) return;
  strike(fault);
  auto& network = world_.network().options();
  network.echo = 1;
  network.echo_after = Rng(fault.choice).between(options_.echo_min, options_.echo_max);
  later(fault.lasts, [this] { world_.network().options().echo = fair_weather_.echo; });
}

void Chaos::weather(const Fault& fault) {
  if (!permitted(fault, nullptr)) return;
  strike(fault);
  Rng rng(fault.choice);
  auto upto = [&rng](double limit) { return limit * static_cast<double>(rng.below(1001)) / 1000; };
  auto& network = world_.network().options();
  network.loss = upto(options_.loss_max);
  network.duplication = upto(options_.duplication_max);
  network.spike = upto(options_.spike_max);
  later(fault.lasts, [this] { world_.network().options() = fair_weather_; });
}

void Chaos::calm() {
  for (auto event : events_) world_.cancel(event);
  events_.clear();
  events_left_ = 0;
  world_.network().options() = fair_weather_;
  world_.network().heal();
  for (auto* host : victims()) {
    host->resume();
    if (rules_.take_back) rules_.take_back(*host);
    if (rules_.mend_disk) rules_.mend_disk(*host);
    restart(*host);
  }
}

}  // namespace chordfs
