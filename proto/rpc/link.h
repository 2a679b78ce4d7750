#pragma once
// Link: one connection, from the Hello on: frames in, frames out. Whether it carries our calls (Outgoing) or another's
// requests (Incoming) it does not know.
// Owner: an Outgoing or Incoming, which also reads from it and runs its write_loop(). Thread: the Runtime's.
// Errors: unreachable when the stream ends, bad_message and wrong_version from frame.h; each names the peer.
// Limits: send() refuses with busy when kQueuedBytesMax wait to be written.

#include <memory>
#include <string>
#include <vector>

#include "proto/base/bytes.h"
#include "proto/base/result.h"
#include "proto/base/task.h"
#include "proto/rpc/stream.h"
#include "proto/wire/frame.h"

namespace chordfs {

inline constexpr std::size_t kQueuedBytesMax = 64U << 20;

class Link {
 public:
  Link(std::unique_ptr<Stream> stream, std::string peer);

  const std::string& peer() const { return peer_; }
  bool closed() const { return closed_; }

  /// Sends our Hello and waits for a good one from the other side. Before anything else.
  awaitable<Result<void>> greet(std::string program);

  /// The next frame if it has arrived whole already; otherwise fill() and ask again.
  Result<std::optional<Frame>> next();
  awaitable<Result<void>> fill();
  /// A frame has begun to come, and so much of it and of what follows it is here.
  bool midway() const { return decoder_.midway(); }
  std::size_t half_received() const { return decoder_.held_bytes(); }

  /// Queues a frame. Gives the place in the stream of outgoing bytes where the frame ends.
  Result<std::uint64_t> send(std::uint64_t call, wire::Request& header, Bytes payload);
  Result<std::uint64_t> send(std::uint64_t call, wire::Reply& header, Bytes payload);
  /// The one writer: sends what is queued until the link is closed or fails; always ends with an error.
  awaitable<Result<void>> write_loop();
  /// Whether any of a frame that ends at `place` can have reached the peer whole.
  bool may_have_sent(std::uint64_t place) const { return place <= handed_over_; }
  std::size_t queued_bytes() const { return static_cast<std::size_t>(queued_ - written_); }

  /// Told whenever queued bytes were written, and when the link is closed.
  Signal& progress() { return progress_; }

  void close();

 private:
  /// A run of small frames, and at most one large payload after them.
  struct Piece {
    std::string text;
    Bytes payload;
  };

  template <class Header>
  Result<std::uint64_t> queue(std::uint64_t call, Header& header, Bytes payload);
  awaitable<Result<void>> write(std::vector<Piece> pieces);
  Error lost(boost::system::error_code error) const;

  std::unique_ptr<Stream> stream_;
  std::string peer_;
  bool closed_ = false;
  FrameDecoder decoder_;

  std::vector<Piece> queue_;
  Signal work_;      ///< For the writer.
  Signal progress_;  ///< For those who wait for the writer.
  // Places in the stream of outgoing bytes: written_ <= handed_over_ <= queued_.
  std::uint64_t queued_ = 0;
  std::uint64_t handed_over_ = 0;  ///< Offered to the kernel, which may have taken some.
  std::uint64_t written_ = 0;
};

/// Bytes of data that the request brings or asks for: what a connection keeps an account of.
std::size_t data_bytes(const wire::Request& request, std::size_t payload_bytes);

}  // namespace chordfs
