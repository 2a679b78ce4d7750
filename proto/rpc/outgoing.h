#pragma once
// Outgoing: a connection that carries our calls to one endpoint, from the attempt to connect until it ends. Callers
// that come while it is being opened share the attempt. It never reconnects: TcpTransport makes a new one.
// Owner: shared by the pool, its own coroutines and the calls under way. Thread: the Runtime's.
// Errors: see Transport::call.

#include <map>
#include <memory>
#include <optional>

#include "proto/base/task.h"
#include "proto/rpc/connection_log.h"
#include "proto/rpc/link.h"
#include "proto/rpc/transport.h"

namespace chordfs {

/// An attempt to connect, Hello included, takes no longer.
inline constexpr Duration kConnectTimeMax = 1s;

class Outgoing {
 public:
  /// `log` outlives the connection.
  Outgoing(Runtime& runtime, ConnectionLog& log, Endpoint to);

  /// The connection's whole life, to be spawned once. `tasks` also gets its writer.
  static awaitable<void> run(std::shared_ptr<Outgoing> self, TaskGroup& tasks, std::string program);

  /// Ready for exchange(), or the error why not.
  awaitable<Result<void>> opened(Duration limit);
  bool is_open() const { return state_ == State::open; }
  bool has_ended() const { return state_ == State::ended; }
  /// Nobody listens there: the machine said so.
  bool was_refused() const { return refused_; }
  /// Made to see whether the process there is dead: how often one may still be made if this one ends half-way.
  void set_probes(int probes) { probes_ = probes; }
  int probes() const { return probes_; }
  /// When something was last sent; the clock's beginning if never.
  Time last_used() const { return last_used_; }

  /// One call; is_open(). The caller holds a shared_ptr to this for as long.
  awaitable<Result<Reply>> exchange(Request request, Duration timeout);

  /// One-way; is_open(). Dropped if too much waits to be sent already.
  void post(Request request);

  /// Closes it. Each call under way ends with timed_out, or with unreachable if it certainly never left; all end with
  /// cancelled if `why` says so. Only the first call of end() counts.
  void end(Error why);

 private:
  enum class State { opening, open, ended };
  struct Pending {
    OneShot<Result<Reply>> answer;
    std::uint64_t frame_end;
  };

  awaitable<Result<void>> open(std::string program);
  awaitable<Result<void>> connect();
  awaitable<Result<void>> connect_to(asio::ip::tcp::endpoint address);
  awaitable<Result<void>> read_replies();
  static awaitable<void> write(std::shared_ptr<Outgoing> self);
  Result<void> deliver(Frame frame);
  Error ending_of(const Pending& pending) const;

  Runtime& runtime_;
  ConnectionLog& log_;
  const Endpoint to_;
  State state_ = State::opening;
  bool refused_ = false;
  int probes_ = 0;
  Time last_used_{};
  Error why_;       ///< When ended.
  Signal settled_;  ///< No longer opening.
  // Kept here while connecting, so that end() can break it off.
  asio::ip::tcp::resolver resolver_;
  asio::ip::tcp::socket socket_;
  std::optional<Link> link_;  ///< Once there is a connection.
  std::uint64_t next_call_ = 1;
  std::map<std::uint64_t, Pending> pending_;
};

}  // namespace chordfs
