#include "proto/base/bytes.h"

#include <gtest/gtest.h>

namespace chordfs {
namespace {

TEST(Bytes, TakeKeepsLongAndShortStrings) {
  EXPECT_EQ(Bytes::take("short").view(), "short");
  EXPECT_EQ(Bytes::take(std::string(1000, 'x')).view(), std::string(1000, 'x'));
  EXPECT_TRUE(Bytes::take("").empty());
}

TEST(Bytes, SliceSharesMemoryAndOutlivesItsOwner) {
  Bytes slice;
  {
    auto whole = Bytes::copy("0123456789");
    slice = whole.slice(3, 4);
    EXPECT_EQ(slice.data(), whole.data() + 3);
  }
  EXPECT_EQ(slice.view(), "3456");
}

TEST(Bytes, SliceOutsideIsCut) {
  auto whole = Bytes::copy("0123");
  EXPECT_EQ(whole.slice(2, 100).view(), "23");
  EXPECT_TRUE(whole.slice(9, 1).empty());
}

TEST(Bytes, MovedFromIsEmpty) {
  auto from = Bytes::copy("abc");
  auto to = std::move(from);
  EXPECT_EQ(to.view(), "abc");
  EXPECT_TRUE(from.empty());  // NOLINT: that is the point.
  from = std::move(to);
  EXPECT_EQ(from.view(), "abc");
  EXPECT_TRUE(to.empty());  // NOLINT
}

TEST(Buffer, FreezeHandsItsMemoryOn) {
  Buffer buffer(8);
  std::memcpy(buffer.data(), "abcdefgh", 8);
  const char* memory = buffer.data();
  auto bytes = std::move(buffer).freeze(3);
  EXPECT_EQ(bytes.view(), "abc");
  EXPECT_EQ(bytes.data(), memory);
}

TEST(Crc32c, KnownVectors) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);  // RFC 3720, B.4
  EXPECT_EQ(crc32c(""), 0U);
}

TEST(Crc32c, SeedContinues) {
  EXPECT_EQ(crc32c("6789", crc32c("12345")), crc32c("123456789"));
}

TEST(Integers, BigEndianRoundTrip) {
  std::string out;
  append_u64(out, 0x0102030405060708);
  append_u32(out, 0xfffefdfc);
  append_u16(out, 0x8001);
  EXPECT_EQ(hex(out), "0102030405060708fffefdfc8001");
  EXPECT_EQ(read_u64(out), 0x0102030405060708U);
  EXPECT_EQ(read_u32(std::string_view(out).substr(8)), 0xfffefdfcU);
  EXPECT_EQ(read_u16(std::string_view(out).substr(12)), 0x8001U);
}

}  // namespace
}  // namespace chordfs
