#pragma once
// TcpTransport: the real Transport. Two connections per endpoint, opened when first needed: one for small frames and
// one for blocks, so that a small call never queues behind megabytes.
// Owner: the program; after listen() or call() it must be stopped before it is destroyed. Thread: the Runtime's.
// Errors: as Transport says; besides, busy when too much waits to be sent to that endpoint already.
// Limits: on connections from others those of incoming_limits.h; on each that of link.h. Where a limit is reached, who
// is idle or greedy goes first, with a line in the log.

#include <boost/asio/ip/tcp.hpp>
#include <deque>
#include <map>
#include <memory>
#include <string>

#include "proto/base/task.h"
#include "proto/rpc/incoming.h"
#include "proto/rpc/outgoing.h"
#include "proto/rpc/transport.h"

namespace chordfs {

/// A call that carries or asks for this much uses the endpoint's second connection.
inline constexpr std::size_t kBulkBytesMin = 64U << 10;

class TcpTransport final : public Transport {
 public:
  /// `program` is what peers see in their logs, for example "chordfs-node 0.1.0".
  TcpTransport(Runtime& runtime, std::string program, IncomingLimits limits = {});
  ~TcpTransport() override;

  /// Accepts connections from now on; at most once. Port 0 lets the system choose. Errors say what to do.
  Result<void> listen(const std::string& host, std::uint16_t port);
  /// Where listen() listens.
  std::uint16_t port() const { return port_; }

  void serve(Handler handler) override;
  awaitable<Result<Reply>> call(Endpoint to, Request request, Duration timeout) override;
  void post(Endpoint to, Request request) override;
  void on_death(DeathWatch watch) override;

  /// Ends everything: calls under way return cancelled, connections close, handlers are cancelled; returns once all
  /// of them are gone. Not to be awaited from a handler, nor by a coroutine that is being cancelled.
  awaitable<void> stop();

 private:
  enum class Kind { small, bulk };
  using Key = std::pair<Endpoint, Kind>;

  std::shared_ptr<Outgoing> connection_to(const Key& key);
  awaitable<void> run(std::shared_ptr<Outgoing> connection, Endpoint to);
  static awaitable<void> post_when_open(std::shared_ptr<Outgoing> connection, Request request);
  awaitable<void> accept_loop();
  void take(asio::ip::tcp::socket socket);
  /// Closes the connection from others that is needed least; false if all are at work.
  bool make_room(std::string_view why);
  std::shared_ptr<Incoming> least_needed();
  /// Looks at all connections from others every so often.
  awaitable<void> patrol();
  void cut_the_greediest();
  awaitable<void> serve_connection(std::uint64_t number, std::shared_ptr<Incoming> connection);

  Runtime& runtime_;
  const std::string program_;
  Handler handler_;
  DeathWatch death_watch_;
  ConnectionLog log_;
  Incoming::Shared shared_;
  bool stopping_ = false;
  std::uint16_t port_ = 0;
  asio::ip::tcp::acceptor acceptor_;
  std::map<Key, std::shared_ptr<Outgoing>> outgoing_;
  std::map<std::uint64_t, std::shared_ptr<Incoming>> incoming_;
  std::uint64_t next_incoming_ = 1;
  std::deque<std::weak_ptr<Incoming>> strangers_;  ///< Oldest first; some have asked something since.
  std::size_t calls_ = 0;                          ///< Coroutines inside call().
  Signal call_ended_;
  TaskGroup tasks_;
};

}  // namespace chordfs
