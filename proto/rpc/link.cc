#include "proto/rpc/link.h"

#include <fmt/format.h>

#include <algorithm>

namespace chordfs {

namespace {
/// Below this a copy costs less than a buffer of its own in the gather write.
constexpr std::size_t kCopiedPayloadBytesMax = 2048;
/// More in one gather write gains nothing, and blurs which calls have certainly not left.
constexpr std::size_t kGatherBytesMax = 1U << 20;
/// A run of small frames is cut here, so that its memory is given back in time.
constexpr std::size_t kTextBytesMax = 64U << 10;

/// Fills `out` with what remains from `skip` bytes into pieces[first]; gives the number of bytes.
template <class Pieces>
std::size_t gather(const Pieces& pieces, std::size_t first, std::size_t skip, std::vector<asio::const_buffer>& out) {
  out.clear();
  std::size_t bytes = 0;
  auto add = [&](std::string_view part) {
    const auto skipped = std::min(skip, part.size());
    skip -= skipped;
    part.remove_prefix(skipped);
    if (part.empty()) return;
    out.emplace_back(part.data(), part.size());
    bytes += part.size();
  };
  auto room = [&] { return out.size() + 2 <= kGatherBuffersMax && bytes < kGatherBytesMax; };
  for (std::size_t i = first; i < pieces.size() && room(); ++i) {
    add(pieces[i].text);
    add(pieces[i].payload.view());
  }
  return bytes;
}
}  // namespace

Link::Link(std::unique_ptr<Stream> stream, std::string peer) : stream_(std::move(stream)), peer_(std::move(peer)) {}

awaitable<Result<void>> Link::greet(std::string program) {
  std::vector<Piece> hello(1);
  CO_TRY_VOID(append_frame(hello[0].text, hello_of(std::move(program)), 0));
  handed_over_ = queued_ = hello[0].text.size();
  CO_TRY_VOID(co_await write(std::move(hello)));
  for (;;) {
    auto first = decoder_.next();
    // A stranger's bytes rarely make a frame at all; say what matters to whoever reads the log.
    if (!first)
      co_return Error{Errc::bad_message, fmt::format("{} is not a ChordFS node: {}", peer_, first.error().context)};
    if (*first) {
      decoder_.greeted();
      co_return check_hello((*first)->header, peer_);
    }
    CO_TRY_VOID(co_await fill());
  }
}

Result<std::optional<Frame>> Link::next() {
  auto frame = decoder_.next();
  if (!frame) return {frame.error().code, fmt::format("{}: {}", peer_, frame.error().context)};
  return frame;
}

awaitable<Result<void>> Link::fill() {
  auto room = decoder_.room();
  const std::array<asio::mutable_buffer, 2> buffers{asio::buffer(room[0].data(), room[0].size()),
                                                    asio::buffer(room[1].data(), room[1].size())};
  auto [error, bytes] = co_await stream_->read_some(buffers);
  if (error) co_return lost(error);
  decoder_.filled(bytes);
  co_return Result<void>();
}

Result<std::uint64_t> Link::send(std::uint64_t call, wire::Request& header, Bytes payload) {
  return queue(call, header, std::move(payload));
}

Result<std::uint64_t> Link::send(std::uint64_t call, wire::Reply& header, Bytes payload) {
  return queue(call, header, std::move(payload));
}

template <class Header>
Result<std::uint64_t> Link::queue(std::uint64_t call, Header& header, Bytes payload) {
  if (closed_) return {Errc::unreachable, peer_ + ": the connection is closed"};
  if (queued_bytes() > kQueuedBytesMax)
    return {Errc::busy, fmt::format("{}: {} bytes wait to be sent already", peer_, queued_bytes())};
  const bool idle = queue_.empty();
  if (idle || !queue_.back().payload.empty() || queue_.back().text.size() > kTextBytesMax) queue_.emplace_back();
  auto& piece = queue_.back();
  const auto before = piece.text.size();
  if (auto appended = append_frame(piece.text, call, header, payload.size()); !appended) {
    if (piece.text.empty()) queue_.pop_back();
    return std::move(appended).error();
  }
  queued_ += piece.text.size() - before + payload.size();
  if (payload.size() <= kCopiedPayloadBytesMax) {
    piece.text.append(payload.view());
  } else {
    piece.payload = std::move(payload);
  }
  if (idle) work_.notify_all();
  return queued_;
}

awaitable<Result<void>> Link::write_loop() {
  while (!closed_) {
    if (queue_.empty()) {
      co_await work_.wait();
    } else {
      CO_TRY_VOID(co_await write(std::exchange(queue_, {})));
    }
  }
  co_return Error{Errc::unreachable, peer_ + ": the connection is closed"};
}

awaitable<Result<void>> Link::write(std::vector<Piece> pieces) {
  std::vector<asio::const_buffer> buffers;
  std::size_t first = 0;  // The piece to go on with,
  std::size_t skip = 0;   // and how much of it has been written.
  while (first < pieces.size()) {
    handed_over_ = written_ + gather(pieces, first, skip, buffers);
    auto [error, bytes] = co_await stream_->write_some(buffers);
    if (error) co_return lost(error);
    written_ += bytes;
    skip += bytes;
    while (first < pieces.size() && skip >= pieces[first].text.size() + pieces[first].payload.size()) {
      skip -= pieces[first].text.size() + pieces[first].payload.size();
      pieces[first++] = {};  // Its memory is not needed any more.
    }
    progress_.notify_all();
  }
  co_return Result<void>();
}

Error Link::lost(boost::system::error_code error) const {
  if (closed_) return {Errc::unreachable, peer_ + ": the connection is closed"};
  if (error == asio::error::eof) return {Errc::unreachable, peer_ + " closed the connection"};
  return {Errc::unreachable, fmt::format("{}: {}", peer_, error.message())};
}

void Link::close() {
  if (std::exchange(closed_, true)) return;
  stream_->close();
  work_.notify_all();
  progress_.notify_all();
}

std::size_t data_bytes(const wire::Request& request, std::size_t payload_bytes) {
  const std::size_t asked = request.has_get_block() ? request.get_block().length() : 0;
  return payload_bytes + std::min(asked, kBlockBytesMax);
}

}  // namespace chordfs
