#pragma once
// Transport: how nodes, mounts and tools call one another. TCP in production (tcp_transport.h), a virtual network in
// the simulator (tools/sim). It may lose a call, delay it or (only in the simulator) deliver it twice; it never alters
// it. Owner: the program; it outlives all who call. Thread: the Runtime's.

#include <functional>
#include <string>

#include "proto/base/bytes.h"
#include "proto/base/result.h"
#include "proto/base/runtime.h"
#include "proto/wire/rpc.pb.h"

namespace chordfs {

struct Endpoint {
  std::string host;
  std::uint16_t port = 0;
  std::string text() const { return host + ":" + std::to_string(port); }
  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

/// The number of a call that wants no reply.
inline constexpr std::uint64_t kOneWay = 0;

/// A header and raw bytes beside it that protobuf never touches.
template <class Header>
struct Message {
  Header header;
  Bytes payload;
};
using Request = Message<wire::Request>;
using Reply = Message<wire::Reply>;

class Transport {
 public:
  using Handler = std::function<awaitable<Reply>(Request)>;
  using DeathWatch = std::function<void(const Endpoint&)>;

  virtual ~Transport() = default;

  /// One call, one reply. Errors: unreachable (certainly not executed), timed_out (unknown whether it was), cancelled,
  /// busy (too much waits to be sent there; not executed), bad_message, wrong_version. An error that the other side
  /// reports is a Reply with header.error set, turned into an Error here only by `answered` below.
  virtual awaitable<Result<Reply>> call(Endpoint to, Request request, Duration timeout) = 0;

  /// One-way: no reply, no error, perhaps it never arrives. What is posted to one node and does arrive does so in
  /// order, as long as the connection holds.
  virtual void post(Endpoint to, Request request) = 0;

  /// From now on requests to this node go to `handler`, one coroutine each. At most once.
  virtual void serve(Handler handler) = 0;

  /// Tells of each process that this one talked to and that is dead: its connection ended, a new one is refused. News
  /// and no proof, for another may stand there already; and never told of one that is only silent. At most once; a
  /// Transport may know nothing of the kind.
  virtual void on_death(DeathWatch /*watch*/) {}
};

/// The reply itself, or the error that it carries.
Result<Reply> answered(Result<Reply> reply);
/// A reply that says `error`.
Reply error_reply(const Error& error);

}  // namespace chordfs
