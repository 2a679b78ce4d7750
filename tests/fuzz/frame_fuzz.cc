// A stream of bytes from anyone: frames come out, or an error; whole frames survive being written and read again.
#include <algorithm>
#include <cstring>

#include "proto/base/check.h"
#include "proto/wire/frame.h"
#include "tests/fuzz/cuts.h"
#include "tests/fuzz/quiet.h"

namespace chordfs {
namespace {

void expect_same_again(const Frame& frame) {
  std::string bytes;
  CHECK(append_frame(bytes, frame.header, frame.payload.size()));
  auto again = parse_envelope(std::string_view(bytes).substr(kFramePrefixBytes));
  CHECK(again && again->SerializeAsString() == frame.header.SerializeAsString());
}

/// False once the stream is lost.
bool take_frames(FrameDecoder& decoder) {
  for (;;) {
    auto frame = decoder.next();
    if (!frame) return false;
    if (!*frame) return true;
    std::ignore = check_hello((*frame)->header, "peer");
    CHECK((*frame)->payload.size() <= kFramePayloadBytesMax);
    expect_same_again(**frame);
  }
}

void feed(FrameDecoder& decoder, std::string_view stream, std::size_t piece_bytes_max) {
  while (take_frames(decoder) && !stream.empty()) {
    std::size_t filled = 0;
    for (auto room : decoder.room()) {
      const auto bytes = std::min({room.size(), stream.size(), piece_bytes_max - filled});
      if (bytes > 0) std::memcpy(room.data(), stream.data(), bytes);
      stream.remove_prefix(bytes);
      filled += bytes;
      if (bytes < room.size()) break;
    }
    const auto before = decoder.held_bytes();
    decoder.filled(filled);
    CHECK(decoder.held_bytes() == before + filled);
  }
}

}  // namespace
}  // namespace chordfs

/// The first byte: whether the peer has been greeted already, and how many bytes come at once.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  chordfs::fuzz::be_quiet();
  chordfs::fuzz::Cuts input(data, size);
  const auto how = input.byte();
  chordfs::FrameDecoder decoder;
  if (how & 1) decoder.greeted();
  chordfs::feed(decoder, input.rest(), 1 + (how >> 1) * std::size_t{97});
  return 0;
}
