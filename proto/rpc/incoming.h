#pragma once
// Incoming: a connection that another program opened to us: its requests in, our replies out.
// Owner: shared by TcpTransport's list, its own coroutines and the requests under way. Thread: the Runtime's.
// Errors: a peer that breaks the protocol loses its connection, with one line in the log; nobody else notices.
// Limits: reading pauses while too many requests, or too many of their bytes, are under way or wait to be sent.

#include <memory>
#include <string>

#include "proto/base/task.h"
#include "proto/rpc/link.h"
#include "proto/rpc/transport.h"

namespace chordfs {

inline constexpr std::size_t kRequestsPerConnectionMax = 1024;
/// Payloads of requests being executed, blocks that they asked for, replies not yet written.
inline constexpr std::size_t kBytesPerConnectionMax = 32U << 20;
inline constexpr Duration kHelloTimeMax = 5s;

class Incoming {
 public:
  /// `handler` outlives the connection; while it is empty requests are answered with busy.
  Incoming(Runtime& runtime, std::unique_ptr<Stream> stream, std::string peer, const Transport::Handler& handler);

  /// The connection's whole life, to be awaited once. `tasks` also gets its writer and its requests.
  static awaitable<void> run(std::shared_ptr<Incoming> self, TaskGroup& tasks, std::string program);

  /// Closes it. Requests under way go on, their replies are dropped. Only the first call counts.
  void end(const Error& why);

 private:
  /// Accounts for one request for as long as it is executed.
  class Place {
   public:
    Place(std::shared_ptr<Incoming> connection, std::size_t bytes);
    Place(Place&& other) noexcept = default;
    ~Place();

   private:
    std::shared_ptr<Incoming> connection_;
    std::size_t bytes_;
  };

  awaitable<Result<void>> serve(std::shared_ptr<Incoming> self, TaskGroup& tasks, std::string program);
  static awaitable<void> write(std::shared_ptr<Incoming> self);
  static awaitable<void> answer(std::shared_ptr<Incoming> self, std::uint64_t call, Request request, Place place);
  void reply(std::uint64_t call, Reply reply);
  bool full() const;

  Runtime& runtime_;
  const Transport::Handler& handler_;
  Link link_;
  bool greeted_ = false;
  std::size_t requests_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace chordfs
