#include "fuse/fs/unsent.h"

#include <gtest/gtest.h>

#include "tools/sim/rng.h"

namespace chordfs::fs {

namespace {
/// The bytes [0, size) as a reader sees them over zeros.
std::string seen(const Unsent& unsent, std::size_t size) {
  std::string bytes(size, '\0');
  for (const auto& patch : unsent.patches(0, size)) bytes.replace(patch.offset, patch.bytes.size(), patch.bytes.view());
  return bytes;
}

TEST(Unsent, LaterWriteCoversEarlier) {
  Unsent unsent;
  unsent.write(0, "aaaaaaaa");
  unsent.write(2, "bbb");
  unsent.write(7, "cc");
  EXPECT_EQ(seen(unsent, 9), "aabbbaacc");
  EXPECT_EQ(unsent.bytes(), 9);
  EXPECT_EQ(unsent.end(), 9);
}

TEST(Unsent, WriteAcrossTwoPiecesAndTheirGap) {
  Unsent unsent;
  unsent.write(0, "aaa");
  unsent.write(6, "ccc");
  EXPECT_FALSE(unsent.covers(0, 9));
  unsent.write(2, "bbbbb");
  EXPECT_EQ(seen(unsent, 9), "aabbbbbcc");
  EXPECT_EQ(unsent.bytes(), 9);
  EXPECT_TRUE(unsent.covers(0, 9));
}

TEST(Unsent, AppendsBecomeOnePiece) {
  Unsent unsent;
  for (int i = 0; i < 1000; ++i) unsent.write(static_cast<std::uint64_t>(i), "x");
  unsent.seal_all();
  EXPECT_EQ(unsent.sealed(1).size(), 1);
}

TEST(Unsent, SequentialDataIsSealedBlockByBlock) {
  Unsent unsent;
  std::string part(kWriteBlockBytes / 8, 'x');
  std::size_t blocks = 0;
  for (std::uint64_t i = 0; i < 20; ++i) {
    unsent.write(i * part.size(), part);
    for (const auto& upload : unsent.seal_full()) {
      EXPECT_EQ(upload->contents.size(), kWriteBlockBytes);
      ++blocks;
    }
  }
  EXPECT_EQ(blocks, 2);
  EXPECT_EQ(unsent.bytes(), 20 * part.size());
}

TEST(Unsent, ScatteredWritesShareABlock) {
  Unsent unsent;
  std::string part(4096, 'x');
  std::vector<std::shared_ptr<Upload>> uploads;
  for (std::uint64_t i = 0; uploads.empty(); ++i) {
    unsent.write(i * 3 * part.size(), part);
    uploads = unsent.seal_full();
  }
  ASSERT_EQ(uploads.size(), 1);
  EXPECT_EQ(uploads[0]->contents.size(), kBlockBytesMax);
  EXPECT_EQ(unsent.sealed(~0ull).size(), kBlockBytesMax / part.size());
}

TEST(Unsent, ManyTinyWritesAreSealedByNumber) {
  Unsent unsent;
  std::vector<std::shared_ptr<Upload>> uploads;
  for (std::uint64_t i = 0; uploads.empty() && i <= kDirtyPiecesMax; ++i) {
    unsent.write(i * 2, "x");
    uploads = unsent.seal_full();
  }
  EXPECT_EQ(uploads.size(), 1);
}

TEST(Unsent, ForgetsOnlyWhatWasCommitted) {
  Unsent unsent;
  unsent.write(0, "aaaaaaaaaa");
  auto committed = unsent.sealed(unsent.seal_all());
  unsent.write(2, "bb");
  unsent.write(6, "cc");
  unsent.seal_all();
  unsent.write(8, "d");
  unsent.forget(committed);
  EXPECT_EQ(seen(unsent, 10), std::string("\0\0bb\0\0ccd\0", 10));
  EXPECT_EQ(unsent.bytes(), 5);
}

TEST(Unsent, SealedPieceThatWasSplitIsForgottenWhole) {
  Unsent unsent;
  unsent.write(0, "aaaaaaaaaa");
  auto committed = unsent.sealed(unsent.seal_all());
  unsent.write(4, "bb");
  unsent.seal_all();
  EXPECT_EQ(unsent.sealed(~0ull).size(), 3);
  unsent.forget(committed);
  EXPECT_EQ(unsent.sealed(~0ull).size(), 1);
}

TEST(Unsent, TruncateCutsBothLayers) {
  Unsent unsent;
  unsent.write(0, "aaaaaaaaaa");
  unsent.seal_all();
  unsent.write(3, "bbbb");
  unsent.truncate(5);
  EXPECT_EQ(seen(unsent, 8), std::string("aaabb\0\0\0", 8));
  EXPECT_EQ(unsent.end(), 5);
  unsent.clear();
  EXPECT_TRUE(unsent.empty());
  EXPECT_EQ(unsent.bytes(), 0);
}

TEST(Unsent, BehavesAsAnArray) {
  constexpr std::size_t kSize = 3000;
  Rng rng(7);
  Unsent unsent;
  std::string expected(kSize, '\0');
  std::string present(kSize, '\0');
  for (int step = 0; step < 5000; ++step) {
    auto what = rng.below(20);
    auto offset = rng.below(kSize);
    if (what == 0) {
      unsent.truncate(offset);
      expected.replace(offset, kSize, kSize - offset, '\0');
      present.replace(offset, kSize, kSize - offset, '\0');
    } else if (what <= 2) {
      unsent.seal_all();
    } else {
      std::string bytes(1 + rng.below(std::min<std::uint64_t>(200, kSize - offset)), static_cast<char>(1 + step % 120));
      unsent.write(offset, bytes);
      expected.replace(offset, bytes.size(), bytes);
      present.replace(offset, bytes.size(), bytes.size(), '\1');
    }
    ASSERT_EQ(seen(unsent, kSize), expected) << "step " << step;
    auto from = rng.below(kSize), to = from + rng.below(kSize - from);
    ASSERT_EQ(unsent.covers(from, to), present.substr(from, to - from).find('\0') == std::string::npos);
  }
}
}  // namespace

}  // namespace chordfs::fs
