#include "tests/proto/rpc/raw_peer.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "proto/base/check.h"

namespace chordfs {

namespace {
const asio::ip::tcp::endpoint kLoopback(asio::ip::address_v4::loopback(), 0);

template <class Header>
std::string frame_bytes(std::uint64_t call, Header header) {
  std::string out;
  CHECK(append_frame(out, call, header, 0));
  return out;
}
}  // namespace

awaitable<RawPeer> RawPeer::connect(Runtime& runtime, std::uint16_t port) {
  asio::ip::tcp::socket socket(runtime.executor());
  co_await socket.async_connect({kLoopback.address(), port}, asio::use_awaitable);
  co_return RawPeer(std::move(socket));
}

awaitable<void> RawPeer::send(std::string bytes) {
  // A peer that has closed the connection meanwhile shows when reading.
  co_await asio::async_write(socket_, asio::buffer(bytes), asio::as_tuple(asio::use_awaitable));
}

awaitable<std::optional<Frame>> RawPeer::receive() {
  for (;;) {
    auto frame = decoder_.next();
    if (!frame) throw std::runtime_error(frame.error().text());
    if (*frame) co_return std::move(*frame);
    auto room = decoder_.room()[0];
    auto [error, bytes] =
        co_await socket_.async_read_some(asio::buffer(room.data(), room.size()), asio::as_tuple(asio::use_awaitable));
    if (error) co_return std::nullopt;
    decoder_.filled(bytes);
  }
}

RawListener::RawListener(Runtime& runtime) : acceptor_(runtime.executor(), kLoopback) {}

awaitable<RawPeer> RawListener::accept() {
  co_return RawPeer(co_await acceptor_.async_accept(asio::use_awaitable));
}

std::string hello_bytes() {
  std::string out;
  CHECK(append_frame(out, hello_of("raw peer"), 0));
  return out;
}

std::string ping_bytes(std::uint64_t call) {
  wire::Request request;
  request.mutable_ping();
  return frame_bytes(call, std::move(request));
}

std::string pong_bytes(std::uint64_t call) {
  wire::Reply reply;
  reply.mutable_ping();
  return frame_bytes(call, std::move(reply));
}

std::string get_block_bytes(std::uint64_t call, std::uint32_t length) {
  wire::Request request;
  request.mutable_get_block()->set_length(length);
  return frame_bytes(call, std::move(request));
}

}  // namespace chordfs
