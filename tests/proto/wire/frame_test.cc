#include "proto/wire/frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

namespace chordfs {
namespace {

using ::testing::HasSubstr;

wire::Request find_request(std::string id) {
  wire::Request request;
  request.mutable_find()->set_id(std::move(id));
  return request;
}

/// A whole frame as it stands on the wire.
std::string frame(std::uint64_t call, wire::Request request, std::string_view payload = {}) {
  std::string out;
  EXPECT_TRUE(append_frame(out, call, request, payload.size()));
  return out.append(payload);
}

/// Feeds `stream` in pieces of at most `piece` bytes; gives the frames that came out, or the error.
Result<std::vector<Frame>> decode(FrameDecoder& decoder, std::string_view stream, std::size_t piece) {
  std::vector<Frame> frames;
  for (;;) {
    TRY(auto next, decoder.next());
    if (next) {
      frames.push_back(std::move(*next));
      continue;
    }
    if (stream.empty()) return frames;
    std::size_t taken = 0;
    for (auto room : decoder.room()) {
      const auto part = std::min({room.size(), piece - taken, stream.size()});
      std::copy_n(stream.begin(), part, room.begin());
      stream.remove_prefix(part);
      taken += part;
    }
    EXPECT_GT(taken, 0U);
    decoder.filled(taken);
  }
}

FrameDecoder greeted() {
  FrameDecoder decoder;
  decoder.greeted();
  return decoder;
}

TEST(Frame, BeginsWithBothLengthsBigEndian) {
  auto request = find_request("abc");
  std::string out;
  ASSERT_TRUE(append_frame(out, 7, request, 258));
  EXPECT_EQ(read_u32(out), out.size() - kFramePrefixBytes);
  EXPECT_EQ(read_u32(std::string_view(out).substr(4)), 258U);
  EXPECT_EQ(request.find().id(), "abc") << "the header is only lent";
  auto envelope = parse_envelope(std::string_view(out).substr(kFramePrefixBytes));
  ASSERT_TRUE(envelope);
  EXPECT_EQ(envelope->call(), 7U);
  EXPECT_EQ(envelope->request().find().id(), "abc");
}

TEST(Frame, OverACapIsNotAppended) {
  std::string out = "before";
  auto request = find_request(std::string(kFrameHeaderBytesMax, 'x'));
  EXPECT_EQ(append_frame(out, 1, request, 0).code(), Errc::bad_message);
  request = find_request("x");
  EXPECT_EQ(append_frame(out, 1, request, kFramePayloadBytesMax + 1).code(), Errc::bad_message);
  EXPECT_EQ(out, "before");
}

TEST(Frame, PrefixOverACapIsRefused) {
  const FrameSizes caps{100, 10};
  auto prefix = [](std::uint32_t header, std::uint32_t payload) {
    std::string out;
    append_u32(out, header);
    append_u32(out, payload);
    return out;
  };
  EXPECT_EQ(parse_prefix(prefix(100, 10), caps)->payload, 10U);
  EXPECT_EQ(parse_prefix(prefix(101, 0), caps).code(), Errc::bad_message);
  EXPECT_EQ(parse_prefix(prefix(0, 11), caps).code(), Errc::bad_message);
  EXPECT_EQ(parse_prefix(prefix(0xffffffff, 0xffffffff), caps).code(), Errc::bad_message);
}

TEST(Frame, HeaderThatIsNoMessageIsRefused) {
  EXPECT_EQ(parse_envelope("\xff\xff\xff\xff").code(), Errc::bad_message);
  EXPECT_EQ(parse_envelope("").code(), Errc::bad_message) << "says nothing";
}

TEST(Frame, ContextNeedNotBeUtf8) {
  wire::Reply reply;
  reply.set_context("no such name: \xff\xfe");
  std::string out;
  ASSERT_TRUE(append_frame(out, 1, reply, 0));
  auto envelope = parse_envelope(std::string_view(out).substr(kFramePrefixBytes));
  ASSERT_TRUE(envelope);
  EXPECT_EQ(envelope->reply().context(), reply.context());
}

TEST(Hello, OursIsAccepted) {
  EXPECT_TRUE(check_hello(hello_of("test 1"), "peer"));
}

TEST(Hello, WrongMagicIsNoNode) {
  auto hello = hello_of("test 1");
  hello.mutable_hello()->set_magic(1);
  auto result = check_hello(hello, "10.0.0.1:80");
  EXPECT_EQ(result.code(), Errc::bad_message);
  EXPECT_THAT(result.error().context, HasSubstr("10.0.0.1:80 is not a ChordFS node"));
}

TEST(Hello, AnotherFirstFrameIsNoNode) {
  wire::Envelope first;
  first.mutable_request()->mutable_ping();
  EXPECT_EQ(check_hello(first, "peer").code(), Errc::bad_message);
}

TEST(Hello, VersionsMustOverlap) {
  auto hello = hello_of("chordfs-node 9.0");
  hello.mutable_hello()->set_version_max(kProtocolVersion + 5);
  EXPECT_TRUE(check_hello(hello, "peer"));
  hello.mutable_hello()->set_version_min(kProtocolVersion + 1);
  auto result = check_hello(hello, "peer");
  EXPECT_EQ(result.code(), Errc::wrong_version);
  EXPECT_THAT(result.error().context, HasSubstr(fmt::format("peer (chordfs-node 9.0) speaks protocol versions {} to {}",
                                                            kProtocolVersion + 1, kProtocolVersion + 5)));
  hello.mutable_hello()->set_version_min(0);
  hello.mutable_hello()->set_version_max(0);
  EXPECT_EQ(check_hello(hello, "peer").code(), Errc::wrong_version);
}

class FrameDecoderPieces : public ::testing::TestWithParam<std::size_t> {};

TEST_P(FrameDecoderPieces, FramesOfAllSizesComeOutWhole) {
  const std::string sizes[] = {"", "a", std::string(2000, 'b'), std::string(40'000, 'c'), std::string(300'000, 'd')};
  std::string stream;
  std::uint64_t call = 0;
  for (const auto& id : sizes)
    for (const auto& payload : sizes) stream += frame(call++, find_request(id), payload);
  auto decoder = greeted();
  auto frames = decode(decoder, stream, GetParam());
  ASSERT_TRUE(frames);
  ASSERT_EQ(frames->size(), call);
  for (const auto& got : *frames) {
    const auto number = got.header.call();
    EXPECT_EQ(got.header.request().find().id(), sizes[number / 5]);
    EXPECT_EQ(got.payload.view(), sizes[number % 5]);
  }
}

INSTANTIATE_TEST_SUITE_P(Pieces, FrameDecoderPieces, ::testing::Values(7, 1000, 32768, 65536, 10'000'000));

TEST(FrameDecoder, LargestFrameAllowed) {
  auto decoder = greeted();
  auto frames = decode(
      decoder,
      frame(1, find_request(std::string(kFrameHeaderBytesMax - 64, 'h')), std::string(kFramePayloadBytesMax, 'p')),
      1U << 20);
  ASSERT_TRUE(frames);
  EXPECT_EQ(frames->at(0).payload.size(), kFramePayloadBytesMax);
}

TEST(FrameDecoder, TruncatedFrameIsNotHandedOut) {
  const auto whole = frame(1, find_request("abc"), std::string(100, 'p'));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    auto decoder = greeted();
    auto frames = decode(decoder, std::string_view(whole).substr(0, size), size + 1);
    ASSERT_TRUE(frames);
    EXPECT_TRUE(frames->empty());
  }
}

TEST(FrameDecoder, SaysWhatItHoldsOfAFrameThatIsNotWhole) {
  auto decoder = greeted();
  EXPECT_FALSE(decoder.midway());
  std::string bytes;
  wire::Request request;
  request.mutable_put_block();
  ASSERT_TRUE(append_frame(bytes, 1, request, 100));
  const auto header_bytes = bytes.size() - kFramePrefixBytes;
  auto come = [&decoder](std::string_view more) {
    std::memcpy(decoder.room()[0].data(), more.data(), more.size());
    decoder.filled(more.size());
    return decoder.next().value().has_value();
  };
  EXPECT_FALSE(come(bytes.substr(0, 3)));
  EXPECT_TRUE(decoder.midway());
  EXPECT_EQ(decoder.held_bytes(), 3U);
  EXPECT_FALSE(come(bytes.substr(3)));
  EXPECT_TRUE(decoder.midway()) << "the payload is still to come";
  EXPECT_EQ(decoder.held_bytes(), header_bytes);
  EXPECT_FALSE(come(std::string(60, 'x')));
  EXPECT_EQ(decoder.held_bytes(), header_bytes + 60);
  EXPECT_TRUE(come(std::string(40, 'x')));
  EXPECT_FALSE(decoder.midway());
  EXPECT_EQ(decoder.held_bytes(), 0U);
}

TEST(FrameDecoder, StrangerMaySendAHelloOnly) {
  FrameDecoder with_payload;
  EXPECT_EQ(decode(with_payload, frame(1, find_request("x"), "payload"), 100).code(), Errc::bad_message);
  FrameDecoder with_header;
  EXPECT_EQ(decode(with_header, frame(1, find_request(std::string(5000, 'x'))), 100).code(), Errc::bad_message);
  FrameDecoder with_hello;
  std::string hello;
  ASSERT_TRUE(append_frame(hello, hello_of("test"), 0));
  EXPECT_EQ(decode(with_hello, hello, 100)->size(), 1U);
}

TEST(FrameDecoder, OtherProtocolsAreRefusedFromTheirFirstBytes) {
  using namespace std::string_view_literals;
  const std::string_view tls = "\x16\x03\x01\x02\0\x01\0\x01\xfc"sv;
  for (auto stream : {"GET / HTTP/1.1\r\n\r\n"sv, "SSH-2.0-OpenSSH_9.2\r\n"sv, tls}) {
    FrameDecoder decoder;
    EXPECT_EQ(decode(decoder, stream, 100).code(), Errc::bad_message) << stream;
  }
}

TEST(FrameDecoder, GarbageNeverCrashes) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 2000; ++round) {
    std::string stream = frame(1, find_request(std::string(random() % 200, 'x')), std::string(random() % 300, 'p'));
    stream += stream;
    for (int hits = 0; hits < 3; ++hits) stream[random() % stream.size()] = static_cast<char>(random());
    auto decoder = greeted();
    auto frames = decode(decoder, stream, 1 + random() % 500);
    if (!frames) EXPECT_EQ(frames.code(), Errc::bad_message);
  }
}

}  // namespace
}  // namespace chordfs
