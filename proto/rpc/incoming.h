#pragma once
// Incoming: a connection that another program opened to us: its requests in, our replies out.
// Owner: shared by TcpTransport's list, its own coroutines and the requests under way. Thread: the Runtime's.
// Errors: a peer that breaks the protocol, or is too slow, loses its connection, with one line in the log; nobody else
// notices. Limits: incoming_limits.h. Reading pauses while too many requests, or too many of their bytes, are under way
// or wait to be sent.

#include <memory>
#include <string>

#include "proto/base/task.h"
#include "proto/rpc/connection_log.h"
#include "proto/rpc/incoming_limits.h"
#include "proto/rpc/link.h"
#include "proto/rpc/transport.h"

namespace chordfs {

class Incoming {
 public:
  /// What all incoming connections of a transport have in common; outlives them. While `handler` is empty requests are
  /// answered with busy.
  struct Shared {
    Runtime& runtime;
    const Transport::Handler& handler;
    const IncomingLimits limits;
    ConnectionLog& log;
    Budget budget{limits.bytes_all};
    std::size_t connections = 0;
  };

  Incoming(Shared& shared, std::unique_ptr<Stream> stream, std::string peer);
  ~Incoming();

  /// The connection's whole life, to be awaited once. `tasks` also gets its writer and its requests.
  static awaitable<void> run(std::shared_ptr<Incoming> self, TaskGroup& tasks, std::string program);

  /// Closes it. Requests under way go on, their replies are dropped. Only the first call counts.
  void end(const Error& why);
  void end(Complaint kind, std::string_view why);
  bool ended() const { return link_.closed(); }

  /// To be called every limits.look_every, of which `passed` has passed: cuts a frame that does not get on, and goes on
  /// reading where there is room again.
  void look(Duration passed);

  const std::string& peer() const { return link_.peer(); }
  /// No request has come yet.
  bool is_stranger() const { return !has_asked_; }
  bool is_idle() const { return requests_ == 0; }
  Time last_heard() const { return last_heard_; }
  /// Bytes that closing it sets free at once: half a frame, replies not yet written.
  std::size_t loose_bytes() const { return link_.closed() ? 0 : link_.half_received() + link_.queued_bytes(); }

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
  awaitable<Result<void>> fill();
  static awaitable<void> write(std::shared_ptr<Incoming> self);
  static awaitable<void> answer(std::shared_ptr<Incoming> self, std::uint64_t call, Request request, Place place);
  void reply(std::uint64_t call, Reply reply);
  bool full() const;
  /// Tells the budget what is held now.
  void account();
  void close();

  Shared& shared_;
  Link link_;
  bool greeted_ = false;
  bool has_asked_ = false;
  bool paused_ = false;
  std::size_t requests_ = 0;
  std::size_t bytes_ = 0;      ///< Of requests under way.
  std::size_t accounted_ = 0;  ///< What the budget knows of.
  Time last_heard_;
  FrameProgress progress_;  ///< Of the frame that has come in part.
};

/// What a request costs while it is executed: its header as parsed, its data, and the data that it asks for.
std::size_t request_bytes(const wire::Request& header, std::size_t header_bytes, std::size_t payload_bytes);

}  // namespace chordfs
