#pragma once
// A peer without manners: sends any bytes it likes over a real loopback socket. For tests of the TCP transport.

#include <boost/asio/ip/tcp.hpp>
#include <optional>
#include <string>

#include "proto/base/runtime.h"
#include "proto/wire/frame.h"

namespace chordfs {

class RawPeer {
 public:
  explicit RawPeer(asio::ip::tcp::socket socket) : socket_(std::move(socket)) { decoder_.greeted(); }

  static awaitable<RawPeer> connect(Runtime& runtime, std::uint16_t port);

  awaitable<void> send(std::string bytes);
  /// The next frame; nothing once the other side has closed. Throws if what comes is no frame.
  awaitable<std::optional<Frame>> receive();
  void close() { socket_.close(); }

 private:
  asio::ip::tcp::socket socket_;
  FrameDecoder decoder_;
};

class RawListener {
 public:
  explicit RawListener(Runtime& runtime);
  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  awaitable<RawPeer> accept();

 private:
  asio::ip::tcp::acceptor acceptor_;
};

std::string hello_bytes();
std::string ping_bytes(std::uint64_t call);
std::string pong_bytes(std::uint64_t call);
std::string get_block_bytes(std::uint64_t call, std::uint32_t length);

}  // namespace chordfs
