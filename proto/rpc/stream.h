#pragma once
// Stream: a connected byte stream whose kind (plain TCP today, TLS later) is erased here, once, so that everything
// above it is shared. Owner: a Link. Thread: the Runtime's. One read and one write may be under way at a time.

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <span>

#include "proto/base/runtime.h"

namespace chordfs {

class Stream {
 public:
  /// Bytes moved before the error, if any. End of file is an error; so is a wait that is cancelled or closed.
  struct Moved {
    boost::system::error_code error;
    std::size_t bytes = 0;
  };

  virtual ~Stream() = default;
  /// At least one byte. The memory must stay until the call has ended.
  virtual awaitable<Moved> read_some(std::span<const asio::mutable_buffer> into) = 0;
  /// At most 64 buffers go in one system call.
  virtual awaitable<Moved> write_some(std::span<const asio::const_buffer> from) = 0;
  /// Ends what is under way with operation_aborted. Further calls fail.
  virtual void close() = 0;
};

inline constexpr std::size_t kGatherBuffersMax = 64;

/// Sets the socket's options: no delay, keep-alive, give up on a peer that acknowledges nothing.
std::unique_ptr<Stream> tcp_stream(asio::ip::tcp::socket socket);

}  // namespace chordfs
