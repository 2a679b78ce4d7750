#include "daemon/store/block_file.h"

#include <gtest/gtest.h>

namespace chordfs {

namespace {
const BlockName kName{5, "0123456789abcdefghijklmn"};
}

TEST(BlockName, ParsesItsOwnFileName) {
  EXPECT_EQ(kName.file(), "00000005303132333435363738396162636465666768696a6b6c6d6e");
  auto parsed = BlockName::parse(kName.file());
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->arc, 5U);
  EXPECT_EQ(parsed->id, kName.id);
}

TEST(BlockName, RefusesOtherNames) {
  EXPECT_FALSE(BlockName::parse(""));
  EXPECT_FALSE(BlockName::parse(kName.file().substr(2)));
  EXPECT_FALSE(BlockName::parse(kName.file() + "00"));
  auto upper = kName.file();
  upper[38] = 'A';
  EXPECT_FALSE(BlockName::parse(upper));
}

TEST(BlockFile, SizeTellsLength) {
  for (std::size_t length :
       {0UL, 1UL, 16383UL, 16384UL, 16385UL, 32768UL, 1000000UL, kBlockBytesMax - 1, kBlockBytesMax})
    EXPECT_EQ(block_length_of_file(block_header_bytes(length) + length), length);
}

TEST(BlockFile, SizeThatNoBlockHasTellsNothing) {
  EXPECT_FALSE(block_length_of_file(0));
  EXPECT_FALSE(block_length_of_file(51));
  EXPECT_FALSE(block_length_of_file(53));  // One byte of data needs a checksum of four.
  EXPECT_FALSE(block_length_of_file(56));
  EXPECT_FALSE(block_length_of_file(56 + 16384 + 1));
  EXPECT_FALSE(block_length_of_file(kBlockHeaderBytesMax + kBlockBytesMax + 1));
}

TEST(BlockFile, HeaderDecodesAsEncoded) {
  std::string contents(20000, 'x');
  auto bytes = BlockHeader::encode(kName, contents, 77);
  EXPECT_EQ(bytes.size(), block_header_bytes(contents.size()));
  auto header = BlockHeader::decode(kName, bytes);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->length, 20000U);
  EXPECT_EQ(header->crc, 77U);
  EXPECT_EQ(header->piece_crcs.size(), 2U);
}

TEST(BlockFile, AnyFlippedBitOfTheHeaderIsCorrupt) {
  auto bytes = BlockHeader::encode(kName, std::string(20000, 'x'), 77);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    auto damaged = bytes;
    damaged[bit / 8] ^= static_cast<char>(1 << bit % 8);
    EXPECT_EQ(BlockHeader::decode(kName, damaged).code(), Errc::corrupt) << bit;
  }
}

TEST(BlockFile, HeaderOfAnotherBlockIsCorrupt) {
  auto bytes = BlockHeader::encode(kName, "x", 77);
  EXPECT_EQ(BlockHeader::decode({6, kName.id}, bytes).code(), Errc::corrupt);
  EXPECT_EQ(BlockHeader::decode({5, "0123456789abcdefghijklmX"}, bytes).code(), Errc::corrupt);
}

TEST(BlockFile, RangeGrowsToWholePieces) {
  auto range = pieces_around(40000, 20000, 10);
  EXPECT_EQ(range.begin, 16384U);
  EXPECT_EQ(range.end, 32768U);
  range = pieces_around(40000, 39999, 0xffffffff);
  EXPECT_EQ(range.begin, 32768U);
  EXPECT_EQ(range.end, 40000U);
  EXPECT_EQ(pieces_around(40000, 40000, 1).end, 0U);
  EXPECT_EQ(pieces_around(40000, 5, 0).end, 0U);
}

}  // namespace chordfs
