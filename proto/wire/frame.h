#pragma once
// Frames: how messages are cut out of a stream of bytes (FORMAT.md). Pure: bytes in, frames out; no sockets, no clock.
// Thread: any, one at a time. Errors: bad_message for whatever no ChordFS node would send, wrong_version for a node
// that speaks other protocol versions. After an error the stream's position is lost: close the connection.
// Limits: limits.h, checked before memory is taken.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "proto/base/bytes.h"
#include "proto/base/result.h"
#include "proto/wire/limits.h"
#include "proto/wire/rpc.pb.h"

namespace chordfs {

inline constexpr std::size_t kFramePrefixBytes = 8;
/// Cap on the header of a connection's first frame, which comes from a stranger.
inline constexpr std::size_t kHelloHeaderBytesMax = 4096;

struct FrameSizes {
  std::size_t header = 0;
  std::size_t payload = 0;
};
struct Frame {
  wire::Envelope header;
  Bytes payload;
  std::size_t header_bytes = 0;  ///< On the wire.
};

/// Append prefix and header of one frame to `out`; the `payload_bytes` bytes of payload must follow them on the wire.
/// bad_message, and `out` as it was, if a cap is exceeded. The header is lent, not changed.
Result<void> append_frame(std::string& out, std::uint64_t call, wire::Request& header, std::size_t payload_bytes);
Result<void> append_frame(std::string& out, std::uint64_t call, wire::Reply& header, std::size_t payload_bytes);
Result<void> append_frame(std::string& out, const wire::Envelope& header, std::size_t payload_bytes);

/// `prefix` is the frame's first kFramePrefixBytes bytes. `caps` are the largest sizes allowed.
Result<FrameSizes> parse_prefix(std::string_view prefix, FrameSizes caps);
Result<wire::Envelope> parse_envelope(std::string_view header);

/// The Hello of this build, ready to be appended as first frame.
wire::Envelope hello_of(std::string program);
/// Whether the first frame of the peer called `peer` lets us talk to it.
Result<void> check_hello(const wire::Envelope& first, std::string_view peer);

/// Cuts a stream into frames. The caller reads into room(), says how much came, and takes frames until there are none.
/// Many small frames come out of one read; a payload is read straight into the memory that it is handed on in.
/// Until greeted() is called only a Hello's size is let through.
class FrameDecoder {
 public:
  FrameDecoder();

  /// Where to put the next bytes of the stream: the first span first. Call after next() had nothing more.
  std::array<std::span<char>, 2> room();
  void filled(std::size_t bytes);
  /// The next whole frame, or nothing while more bytes are needed.
  Result<std::optional<Frame>> next();
  /// Whether a frame has begun and is not whole, or not taken.
  bool midway() const { return stage_ != Stage::prefix || begin_ != end_; }
  /// Bytes that have come and are not handed out yet.
  std::size_t held_bytes() const;
  void greeted() { caps_ = {kFrameHeaderBytesMax, kFramePayloadBytesMax}; }

 private:
  enum class Stage { prefix, header, payload };
  /// A section of a frame that gets memory of its own.
  struct Section {
    explicit Section(std::size_t size) : memory(size) {}
    bool whole() const { return filled == memory.size(); }
    Buffer memory;
    std::size_t filled = 0;
  };

  std::string_view buffered() const { return {buffer_.get() + begin_, end_ - begin_}; }
  void begin_section(std::size_t size);
  /// False while the section is incomplete.
  Result<bool> take_prefix();
  Result<bool> take_header();
  bool payload_whole() const { return !section_ || section_->whole(); }

  std::unique_ptr<char[]> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  FrameSizes caps_{kHelloHeaderBytesMax, 0};

  Stage stage_ = Stage::prefix;
  FrameSizes sizes_;
  std::optional<Section> section_;
  wire::Envelope header_;
};

}  // namespace chordfs
