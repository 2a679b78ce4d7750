#include "proto/wire/frame.h"

#include <fmt/format.h>
#include <google/protobuf/stubs/logging.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>

#include "proto/base/check.h"
#include "proto/base/printable.h"

namespace chordfs {

namespace {
// Holds a hundred small frames; a connection that is idle never touches most of it.
constexpr std::size_t kReadBufferBytes = 32U << 10;
constexpr std::size_t kProgramBytesShown = 64;

/// libprotobuf prints a line to stderr for each string of a peer that is not UTF-8; the error that it then returns is
/// reported once, with the peer's name.
const auto kProtobufSilenced = google::protobuf::SetLogHandler(
    [](google::protobuf::LogLevel level, const char* file, int line, const std::string& text) {
      const auto loudness = level == google::protobuf::LOGLEVEL_FATAL ? spdlog::level::critical : spdlog::level::debug;
      spdlog::log(loudness, "libprotobuf, {}:{}: {}", file, line, printable(text));
    });

/// An envelope around a header that stays the caller's.
template <class Header, class Lend, class Release>
Result<void> append_lent(std::string& out, std::uint64_t call, Header& header, std::size_t payload_bytes, Lend lend,
                         Release release) {
  struct Lent {
    ~Lent() { (void)(envelope.*release)(); }
    wire::Envelope envelope;
    Release release;
  } lent{{}, release};
  lent.envelope.set_call(call);
  (lent.envelope.*lend)(&header);
  return append_frame(out, lent.envelope, payload_bytes);
}
}  // namespace

Result<void> append_frame(std::string& out, std::uint64_t call, wire::Request& header, std::size_t payload_bytes) {
  return append_lent(out, call, header, payload_bytes, &wire::Envelope::unsafe_arena_set_allocated_request,
                     &wire::Envelope::unsafe_arena_release_request);
}

Result<void> append_frame(std::string& out, std::uint64_t call, wire::Reply& header, std::size_t payload_bytes) {
  return append_lent(out, call, header, payload_bytes, &wire::Envelope::unsafe_arena_set_allocated_reply,
                     &wire::Envelope::unsafe_arena_release_reply);
}

Result<void> append_frame(std::string& out, const wire::Envelope& header, std::size_t payload_bytes) {
  const std::size_t header_bytes = header.ByteSizeLong();
  if (header_bytes > kFrameHeaderBytesMax)
    return {Errc::bad_message, fmt::format("header of {} bytes; at most {} go", header_bytes, kFrameHeaderBytesMax)};
  if (payload_bytes > kFramePayloadBytesMax)
    return {Errc::bad_message, fmt::format("payload of {} bytes; at most {} go", payload_bytes, kFramePayloadBytesMax)};
  append_u32(out, static_cast<std::uint32_t>(header_bytes));
  append_u32(out, static_cast<std::uint32_t>(payload_bytes));
  const std::size_t at = out.size();
  out.resize(at + header_bytes);
  header.SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(out.data() + at));
  return {};
}

Result<FrameSizes> parse_prefix(std::string_view prefix, FrameSizes caps) {
  CHECK(prefix.size() >= kFramePrefixBytes, "{}", prefix.size());
  const FrameSizes sizes{read_u32(prefix), read_u32(prefix.substr(4))};
  if (sizes.header > caps.header)
    return {Errc::bad_message,
            fmt::format("frame header of {} bytes; at most {} are allowed", sizes.header, caps.header)};
  if (sizes.payload > caps.payload)
    return {Errc::bad_message,
            fmt::format("frame payload of {} bytes; at most {} are allowed", sizes.payload, caps.payload)};
  return sizes;
}

Result<wire::Envelope> parse_envelope(std::string_view header) {
  wire::Envelope envelope;
  if (!envelope.ParseFromArray(header.data(), static_cast<int>(header.size())))
    return {Errc::bad_message, fmt::format("frame header of {} bytes is not a message", header.size())};
  if (envelope.kind_case() == wire::Envelope::KIND_NOT_SET)
    return {Errc::bad_message, "frame header says neither hello nor request nor reply"};
  return envelope;
}

wire::Envelope hello_of(std::string program) {
  wire::Envelope envelope;
  auto& hello = *envelope.mutable_hello();
  hello.set_magic(kMagic);
  hello.set_version_min(kProtocolVersion);
  hello.set_version_max(kProtocolVersion);
  hello.set_program(std::move(program));
  return envelope;
}

Result<void> check_hello(const wire::Envelope& first, std::string_view peer) {
  if (!first.has_hello() || first.hello().magic() != kMagic)
    return {Errc::bad_message, fmt::format("{} is not a ChordFS node: it sent no valid Hello", peer)};
  const auto& hello = first.hello();
  if (hello.version_min() > kProtocolVersion || hello.version_max() < kProtocolVersion)
    return {Errc::wrong_version,
            fmt::format("{} ({}) speaks protocol versions {} to {}, this side speaks {}: upgrade the older one", peer,
                        printable(hello.program(), kProgramBytesShown), hello.version_min(), hello.version_max(),
                        kProtocolVersion)};
  return {};
}

FrameDecoder::FrameDecoder() : buffer_(std::make_unique_for_overwrite<char[]>(kReadBufferBytes)) {}

std::array<std::span<char>, 2> FrameDecoder::room() {
  if (begin_ == end_) {
    begin_ = end_ = 0;
  } else if (begin_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  std::span<char> tail(buffer_.get() + end_, kReadBufferBytes - end_);
  if (section_ && !section_->whole()) return {section_->memory.span().subspan(section_->filled), tail};
  return {tail, {}};
}

void FrameDecoder::filled(std::size_t bytes) {
  if (section_) {
    const auto taken = std::min(bytes, section_->memory.size() - section_->filled);
    section_->filled += taken;
    bytes -= taken;
  }
  end_ += bytes;
  CHECK(end_ <= kReadBufferBytes, "{}", end_);
}

std::size_t FrameDecoder::held_bytes() const {
  const auto header = stage_ == Stage::payload ? sizes_.header : 0;
  return header + (section_ ? section_->filled : 0) + (end_ - begin_);
}

Result<std::optional<Frame>> FrameDecoder::next() {
  if (stage_ == Stage::prefix) {
    TRY(const bool whole, take_prefix());
    if (!whole) return std::optional<Frame>();
  }
  if (stage_ == Stage::header) {
    TRY(const bool whole, take_header());
    if (!whole) return std::optional<Frame>();
  }
  if (!payload_whole()) return std::optional<Frame>();
  Frame frame{std::move(header_), {}, sizes_.header};
  if (section_) frame.payload = std::move(section_->memory).freeze();
  section_.reset();
  stage_ = Stage::prefix;
  return std::optional<Frame>(std::move(frame));
}

Result<bool> FrameDecoder::take_prefix() {
  if (buffered().size() < kFramePrefixBytes) return false;
  TRY(sizes_, parse_prefix(buffered(), caps_));
  begin_ += kFramePrefixBytes;
  stage_ = Stage::header;
  if (sizes_.header > kReadBufferBytes) begin_section(sizes_.header);
  return true;
}

Result<bool> FrameDecoder::take_header() {
  if (section_) {
    if (!section_->whole()) return false;
    TRY(header_, parse_envelope({section_->memory.data(), section_->memory.size()}));
    section_.reset();
  } else {
    if (buffered().size() < sizes_.header) return false;
    TRY(header_, parse_envelope(buffered().substr(0, sizes_.header)));
    begin_ += sizes_.header;
  }
  stage_ = Stage::payload;
  if (sizes_.payload > 0) begin_section(sizes_.payload);
  return true;
}

void FrameDecoder::begin_section(std::size_t size) {
  // The memory is not touched before bytes come, so a claim alone costs address space only.
  auto& section = section_.emplace(size);
  section.filled = std::min(size, buffered().size());
  std::memcpy(section.memory.data(), buffered().data(), section.filled);
  begin_ += section.filled;
}

}  // namespace chordfs
