#pragma once
// SimNetwork: carries calls between hosts through every fault a network has, and SimTransport: one incarnation's door
// to it. Headers cross as bytes and are parsed again, so nothing is shared but payloads, which are immutable.
//
// A call as TCP would do it (proto/rpc/tcp.h): the host is dead or not listening: unreachable. The process dies while
// it serves: timed_out at once (a reset). The machine dies, the link is cut, a message is lost: timed_out when the
// caller's clock says so. Whoever had called a process that dies is told of it, unless the link is cut or the news is
// lost; so is who is refused. A request may arrive after its caller gave up. Both directions are drawn separately: a
// lost reply means that the request was executed.
//
// Owner: the World (network), the incarnation (transport). Thread: the world's.

#include <array>
#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "proto/base/task.h"
#include "proto/rpc/transport.h"
#include "tools/sim/host.h"
#include "tools/sim/rng.h"
#include "tools/sim/trace.h"

namespace chordfs {

class World;

/// May be changed at any time; holds for what is sent from then on.
struct NetworkOptions {
  // One way: the minimum, plus about exponential up to the mean, never above the maximum.
  Duration delay_min = 100us;
  Duration delay_mean = 300us;
  Duration delay_max = 20ms;
  double loss = 0;         ///< Of each message.
  double duplication = 0;  ///< Of each request: executed twice; the second reply finds nobody waiting.
  double spike = 0;        ///< Of each message: late by up to spike_max more.
  Duration spike_max = 400ms;
  /// Added for this pair, if set: distance. Must depend on nothing but the hosts.
  std::function<Duration(const SimHost& from, const SimHost& to)> latency = {};
  double echo = 0;  ///< Of each request: arrives once more, that much later than it might have come anyway.
  Duration echo_after{};
};

struct NetworkCounters {
  static constexpr std::size_t kKindsMax = 64;
  struct Count {
    std::uint64_t messages = 0, bytes = 0;
  };
  Count requests, replies;
  std::array<Count, kKindsMax> request_kinds{};  ///< By field number of wire::Request's kind.
  std::uint64_t lost = 0, duplicated = 0, echoed = 0, refused = 0, reset = 0, delivered = 0;
};

/// Looks on while messages travel, for a checker that knows everything. Must not change the world; must outlive it.
class NetworkWatch {
 public:
  /// Names a reply from reply_sent to reply_arrived or reply_lost, and no longer.
  using ReplyNumber = std::uint32_t;

  virtual ~NetworkWatch() = default;
  virtual void called(const SimHost& /*caller*/, const Endpoint& /*to*/, const Request&) {}
  /// What the caller is about to learn: the reply, or why there is none.
  virtual void call_answered(const SimHost& /*caller*/, const Endpoint& /*to*/, const Result<Reply>&) {}
  /// With an answer or without.
  virtual void call_ended(const SimHost& /*caller*/, std::uint32_t /*kind*/) {}
  virtual void request_arrived(const SimHost& /*at*/, const Request&) {}
  /// Whether the reply to this one, which has just arrived, is to be shown to served().
  virtual bool wants_reply_to(const Request&) const { return false; }
  /// The handler at `at` has answered; the reply is about to be sent.
  virtual void served(const SimHost& /*at*/, const wire::Request& /*asked*/, const Reply&) {}
  virtual void reply_sent(ReplyNumber, const SimHost& /*from*/, const SimHost& /*to*/, const Reply&) {}
  /// `read`: the caller waits for it, and reads it in this step.
  virtual void reply_arrived(ReplyNumber, const SimHost& /*at*/, bool /*read*/) {}
  virtual void reply_lost(ReplyNumber) {}
};

class SimTransport final : public Transport {
 public:
  SimTransport(World& world, SimHost& host, SimRuntime& runtime, TaskGroup& tasks, std::uint64_t incarnation);
  ~SimTransport() override;

  awaitable<Result<Reply>> call(Endpoint to, Request request, Duration timeout) override;
  void post(Endpoint to, Request request) override;
  void serve(Handler handler) override;
  void on_death(DeathWatch watch) override { death_watch_ = std::move(watch); }

 private:
  friend class SimHost;
  friend class SimNetwork;
  /// Who waits for the answer to a request.
  struct Caller {
    SimHost* host = nullptr;
    std::uint64_t incarnation = 0;
    std::uint64_t call = 0;
    std::uint32_t kind = 0;
  };
  struct Serving : boost::intrusive::list_base_hook<> {
    Caller caller;
  };

  bool awaits(std::uint64_t call) const;
  bool listening() const { return !closed_ && handler_ != nullptr; }
  void close(SimHost::Death death);
  void receive(Caller caller, Request request);
  void receive_answer(std::uint64_t call, Result<Reply> answer);
  void told_of_death(const Endpoint& at);
  awaitable<void> serve_one(Caller caller, Request request);

  World& world_;
  SimHost& host_;
  SimRuntime& runtime_;
  TaskGroup& tasks_;
  const std::uint64_t incarnation_;
  Handler handler_;
  DeathWatch death_watch_;
  std::map<std::uint32_t, Caller> callers_;  ///< By host: who had a connection to this process, and sees it end.
  bool closed_ = false;
  std::uint64_t calls_ = 0;
  std::map<std::uint64_t, OneShot<Result<Reply>>> pending_;
  boost::intrusive::list<Serving> serving_;
};

class SimNetwork {
 public:
  using Hosts = std::vector<SimHost*>;

  SimNetwork(World& world, Rng rng) : world_(world), rng_(rng) {}

  NetworkOptions& options() { return options_; }
  const NetworkCounters& counters() const { return counters_; }
  /// None: nullptr.
  void watch(NetworkWatch* watch) { watch_ = watch; }

  /// Nothing sent from `from` arrives at `to`, not even what is under way; the other direction stays as it is.
  void cut(const SimHost& from, const SimHost& to);
  void mend(const SimHost& from, const SimHost& to);
  void cut_both(const SimHost& a, const SimHost& b);
  void mend_both(const SimHost& a, const SimHost& b);
  /// Every pair of the two sets, in this direction.
  void cut(const Hosts& from, const Hosts& to);
  /// Only hosts of one group hear one another; hosts not named, and those added later, are one more group.
  /// Replaces an earlier partition; cuts stay.
  void partition(const std::vector<Hosts>& groups);
  void heal_partition();
  /// Ends all cuts and the partition.
  void heal();
  bool connected(const SimHost& from, const SimHost& to) const;

 private:
  friend class SimTransport;
  friend class World;
  enum class Type : std::uint8_t { request, reply, refused, reset, death };
  /// A message under way. `caller` names the call in both directions.
  struct Letter {
    Type type = Type::request;
    SimHost* from = nullptr;
    SimHost* to = nullptr;
    SimTransport::Caller caller;
    std::string header;
    Bytes payload;
  };
  using LetterSlot = std::uint32_t;

  void attach(SimHost& host);
  void send_request(SimHost& from, const Endpoint& to, SimTransport::Caller caller, const Request& request);
  void send_reply(SimHost& from, SimTransport::Caller caller, const Reply& reply);
  /// Only to those who listen for it.
  void send_death(SimHost& from, SimTransport::Caller peer);
  void send_bare(Type type, SimHost& from, SimTransport::Caller caller);

  LetterSlot write(Type type, SimHost& from, SimHost& to, SimTransport::Caller caller);
  /// Another request like that in `slot`.
  LetterSlot copy(LetterSlot slot);
  /// Counts the letter and either loses it or puts it on its way.
  void post(LetterSlot slot, Duration later = {});
  void arrive(LetterSlot slot);
  void deliver_request(Letter& letter);
  void deliver_answer(LetterSlot slot, Letter& letter);
  void lose(LetterSlot slot);
  void burn(LetterSlot slot);
  void record(Trace::What what, const Letter& letter);
  void count(const Letter& letter);
  Duration delay(const SimHost& from, const SimHost& to);
  std::uint32_t group_of(const SimHost& host) const;
  void set_cut(const SimHost& from, const SimHost& to, bool is_cut);

  World& world_;
  Rng rng_;
  NetworkOptions options_;
  NetworkCounters counters_;
  NetworkWatch* watch_ = nullptr;
  std::map<Endpoint, SimHost*> hosts_;
  std::set<std::pair<std::uint32_t, std::uint32_t>> cuts_;
  std::vector<std::uint32_t> groups_;  ///< By host index; 0 and beyond the end: the group of the rest.
  std::vector<Letter> letters_;
  std::vector<LetterSlot> free_;
};

}  // namespace chordfs
