#include "daemon/store/log_record.h"

#include <gtest/gtest.h>

namespace chordfs {

TEST(LogRecord, DecodesWhatWasEncoded) {
  auto stored = encode_log_record(7, 1U << 20, 3, "payload");
  auto record = decode_log_record(7, 1U << 20, stored);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->kind, 3);
  EXPECT_EQ(record->payload, "payload");
}

TEST(LogRecord, MayBeEmpty) {
  auto stored = encode_log_record(0, 0, 0, "");
  EXPECT_EQ(stored.size(), kLogRecordHeaderBytes);
  EXPECT_TRUE(decode_log_record(0, 0, stored));
}

TEST(LogRecord, OfAnotherPlaceIsCorrupt) {
  auto stored = encode_log_record(7, 9, 3, "payload");
  EXPECT_EQ(decode_log_record(8, 9, stored).code(), Errc::corrupt);
  EXPECT_EQ(decode_log_record(7, 10, stored).code(), Errc::corrupt);
}

TEST(LogRecord, AnyFlippedBitAndAnyCutIsCorrupt) {
  auto stored = encode_log_record(7, 9, 3, "payload");
  for (std::size_t bit = 0; bit < stored.size() * 8; ++bit) {
    auto damaged = stored;
    damaged[bit / 8] ^= static_cast<char>(1 << bit % 8);
    EXPECT_EQ(decode_log_record(7, 9, damaged).code(), Errc::corrupt) << bit;
  }
  for (std::size_t size = 0; size < stored.size(); ++size)
    EXPECT_EQ(decode_log_record(7, 9, stored.substr(0, size)).code(), Errc::corrupt) << size;
}

TEST(SealedRecord, OpensAsItWasSealed) {
  for (std::string value : {"", "v", "a longer value"}) {
    auto stored = seal_record("key", value);
    EXPECT_EQ(stored.size(), value.size() + kSealBytes);
    auto opened = open_record("key", stored);
    ASSERT_TRUE(opened);
    EXPECT_EQ(*opened, value);
  }
}

TEST(SealedRecord, UnderAnotherKeyIsCorrupt) {
  auto stored = seal_record("key", "value");
  EXPECT_EQ(open_record("kez", stored).code(), Errc::corrupt);
  // The same bytes, cut elsewhere between key and value.
  EXPECT_EQ(open_record("keyv", std::string_view(stored).substr(1)).code(), Errc::corrupt);
}

TEST(SealedRecord, AnyFlippedBitAndAnyCutIsCorrupt) {
  auto stored = seal_record("key", "value");
  for (std::size_t bit = 0; bit < stored.size() * 8; ++bit) {
    auto damaged = stored;
    damaged[bit / 8] ^= static_cast<char>(1 << bit % 8);
    EXPECT_EQ(open_record("key", damaged).code(), Errc::corrupt) << bit;
  }
  for (std::size_t size = 0; size < stored.size(); ++size)
    EXPECT_EQ(open_record("key", stored.substr(0, size)).code(), Errc::corrupt) << size;
}

}  // namespace chordfs
