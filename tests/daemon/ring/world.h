#pragma once
// A small deterministic world for the ring alone: virtual time, a network in memory, nodes that crash and come back.
// The simulator (tools/sim) does this and more for whole nodes; this one keeps the ring's own tests quick and simple.
// Owner: one test. Thread: the test's; everything runs inside run_until() and its friends.

#include <boost/asio/io_context.hpp>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "daemon/ring/invariant.h"
#include "daemon/ring/ring.h"
#include "proto/base/check.h"

namespace chordfs::test {

class World final : public Runtime {
 public:
  explicit World(std::uint64_t seed) : random_(seed) {}

  asio::any_io_executor executor() override { return context_.get_executor(); }
  Time now() const override { return now_; }
  std::int64_t wall_now() const override { return now_.time_since_epoch().count(); }
  std::uint64_t random() override { return random_(); }
  TimerId schedule(Time when, std::move_only_function<void()> callback) override;
  void cancel(TimerId timer) override;

  /// One instant: everything that is due at the earliest time. False when nothing is left to happen.
  bool step();
  /// Runs until `done` says so, at most for `limit`; after_step is called after every instant. False: the limit.
  bool run_until(const std::function<bool()>& done, Duration limit);
  void run_for(Duration duration);
  std::function<void()> after_step;

  template <class T>
  T run(awaitable<T> task, Duration limit = 600s);

 private:
  asio::io_context context_;
  std::mt19937_64 random_;
  Time now_{};
  TimerId next_timer_ = 1;
  std::map<std::pair<Time, TimerId>, std::move_only_function<void()>> timers_;
  std::map<TimerId, Time> when_;
};

/// What happens to messages between two nodes.
enum class Link { up, refused, silent };

class Network {
 public:
  explicit Network(World& world) : world_(world) {}

  /// The state of a link as seen by `from`; default: up if the other is registered, else refused.
  std::function<Link(const Endpoint& from, const Endpoint& to)> link;
  double loss = 0;  ///< Of requests and of replies, each.

  void attach(const Endpoint& at, Transport::Handler handler) { handlers_[at] = std::move(handler); }
  void detach(const Endpoint& at) { handlers_.erase(at); }
  awaitable<Result<Reply>> call(Endpoint from, Endpoint to, Request request, Duration timeout);
  /// Neighbours on their way to someone who still waits for them.
  std::vector<View> in_flight() const;
  std::uint64_t calls() const { return calls_; }

 private:
  struct Call {
    Endpoint from;
    OneShot<Result<Reply>> answer;
    std::optional<Reply> reply;  ///< On its way back.
  };
  Link state(const Endpoint& from, const Endpoint& to) const;
  bool lost() { return loss > 0 && world_.below(1'000'000) < loss * 1'000'000; }
  Duration delay() { return world_.jitter(1ms, 0.5); }
  awaitable<void> serve(std::uint64_t id, Endpoint to, Request request);
  awaitable<void> deliver(std::uint64_t id, Endpoint to, Request request);

  World& world_;
  std::map<Endpoint, Transport::Handler> handlers_;
  std::map<std::uint64_t, Call> calls_open_;
  std::uint64_t calls_ = 0;
  TaskGroup tasks_{world_};

 public:
  awaitable<void> stop();
};

/// A node that is nothing but its Ring.
class Node final : public Transport {
 public:
  Node(World& world, Network& network, RingConfig config);

  awaitable<Result<Reply>> call(Endpoint to, Request request, Duration timeout) override;
  void post(Endpoint, Request) override {}
  void serve(Handler handler) override;
  Ring& ring() { return *ring_; }
  const Endpoint& at() const { return at_; }
  bool up() const { return up_; }
  /// Makes no calls any more.
  void down() { up_ = false; }
  void spawn(std::string name, awaitable<void> task) { tasks_.spawn(std::move(name), std::move(task)); }
  awaitable<void> stop();

 private:
  Network& network_;
  Endpoint at_;
  bool up_ = true;
  std::unique_ptr<Ring> ring_;
  TaskGroup tasks_;
};

/// Ring of Nodes named by small numbers: number n listens on port 6000 + n with identity n.
class Cluster {
 public:
  explicit Cluster(std::uint64_t seed, int positions = 8, int successor_nodes = kSuccessorNodes);
  ~Cluster();

  static Endpoint at(int n) { return {"10.0.0.1", static_cast<std::uint16_t>(6000 + n)}; }
  static Uuid uuid(int n) { return Uuid(0x6e6f6465, static_cast<std::uint64_t>(n) + 1); }

  void create(int n);
  /// Nodes 0 … n - 1, one by one, then ideal.
  void grow(int n);
  Result<void> join(int n, int via);
  /// What a stranger with this identity is told, who joins through any address and may know a ring already.
  Result<void> join_stranger(Uuid identity, Endpoint via, Uuid ring);
  /// Starts joining; see joined().
  void join_soon(int n, int via);
  /// The same identity again, with what it remembered of its peers.
  void resume_soon(int n);
  void crash(int n);
  void leave(int n);
  /// The proof's premise: without n, every member (and every list on its way) keeps a live entry of another node, and
  /// the principals lie on more than successor_nodes nodes.
  bool may_fail(int n) const;
  bool ordinary() const;

  Node& node(int n) { return *nodes_.at(n); }
  bool has(int n) const { return nodes_.contains(n); }
  std::vector<int> numbers() const;
  bool all_joined() const;
  RingSnapshot snapshot() const;
  /// Runs until ideal; the reason otherwise.
  std::string settle(Duration limit = 120s);
  /// Every node finds the owner of every position's identifier, and of the one after.
  std::string lookups_agree();

  World world;
  Network network;
  /// What the nodes started from now on are to have different.
  std::function<void(RingConfig&)> configure;
  /// After every instant the invariant is checked in this mode; the first violation is kept here.
  std::optional<RingMode> checked;
  std::string violation;
  std::uint64_t checks = 0;

 private:
  void check();
  Node& start(int n, std::vector<wire::Peer> peers);
  awaitable<void> join_task(Ring& ring, int n, int via);
  awaitable<void> resume_task(Ring& ring, int n);
  void stop(std::unique_ptr<Node> node);

  int positions_;
  int successor_nodes_;
  Uuid ring_;
  std::map<int, std::unique_ptr<Node>> nodes_;
  std::map<int, std::vector<wire::Peer>> remembered_;
  std::map<int, std::string> join_errors_;
  std::set<Id> principals_;    ///< At the last check.
  std::uint64_t changes_ = 0;  ///< Told by the rings.
  std::uint64_t checked_changes_ = 0;
};

template <class T>
T World::run(awaitable<T> task, Duration limit) {
  TaskGroup group(*this);
  std::optional<T> result;
  struct Runner {
    static awaitable<void> run(awaitable<T> inner, std::optional<T>& out) { out.emplace(co_await std::move(inner)); }
  };
  group.spawn("test", Runner::run(std::move(task), result));
  run_until([&] { return group.size() == 0; }, limit);
  CHECK(result.has_value(), "no end after the limit");
  return *std::move(result);
}

}  // namespace chordfs::test
