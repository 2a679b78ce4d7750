#include "proto/rpc/stream.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace chordfs {

namespace {
constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);

/// A machine that lost power and came back is noticed this fast; the kernel alone would take up to two minutes. It also
/// ends a connection whose other side lives and reads nothing: 1.5 s were too few for a busy one.
constexpr unsigned kUnacknowledgedMillisecondsMax = 5000;
/// A silent connection is probed after a minute, so that dead clients do not pile up.
constexpr int kKeepAliveIdleSeconds = 60;
constexpr int kKeepAliveIntervalSeconds = 10;

class TcpStream final : public Stream {
 public:
  explicit TcpStream(asio::ip::tcp::socket socket) : socket_(std::move(socket)) {}

  awaitable<Moved> read_some(std::span<const asio::mutable_buffer> into) override {
    auto [error, bytes] = co_await socket_.async_read_some(into, kNoThrow);
    co_return Moved{error, bytes};
  }
  awaitable<Moved> write_some(std::span<const asio::const_buffer> from) override {
    auto [error, bytes] = co_await socket_.async_write_some(from, kNoThrow);
    co_return Moved{error, bytes};
  }
  void close() override {
    boost::system::error_code ignored;
    socket_.close(ignored);
  }

 private:
  asio::ip::tcp::socket socket_;
};

template <class Value>
void set(asio::ip::tcp::socket& socket, int level, int option, Value value) {
  // A peer that has gone already makes these fail; reading will say so.
  (void)::setsockopt(socket.native_handle(), level, option, &value, sizeof(value));
}
}  // namespace

std::unique_ptr<Stream> tcp_stream(asio::ip::tcp::socket socket) {
  set(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  set(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, kUnacknowledgedMillisecondsMax);
  set(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(socket, IPPROTO_TCP, TCP_KEEPIDLE, kKeepAliveIdleSeconds);
  set(socket, IPPROTO_TCP, TCP_KEEPINTVL, kKeepAliveIntervalSeconds);
  return std::make_unique<TcpStream>(std::move(socket));
}

}  // namespace chordfs
