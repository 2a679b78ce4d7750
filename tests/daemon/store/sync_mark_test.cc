#include "daemon/store/sync_mark.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/daemon/store/temporary_directory.h"

namespace chordfs {

namespace {

void flip(const std::filesystem::path& path, std::streamoff at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(at);
  auto byte = static_cast<char>(file.get() ^ 1);
  file.seekp(at);
  file.put(byte);
}

}  // namespace

class SyncMarkTest : public testing::Test {
 protected:
  void advance_to(std::uint64_t sequence) {
    auto mark = SyncMark::open(path);
    ASSERT_TRUE(mark) << mark.error().text();
    (*mark)->advance(sequence);
  }

  TemporaryDirectory directory;
  std::filesystem::path path = directory.path() / "mark";
};

TEST_F(SyncMarkTest, AbsentIsZeroAndStaysAbsent) {
  EXPECT_EQ(SyncMark::look(path), 0U);
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(SyncMarkTest, KeepsTheHighest) {
  constexpr std::uint64_t kBig = 0x123456789abcdef;
  for (std::uint64_t sequence : {std::uint64_t{1}, std::uint64_t{2}, kBig, std::uint64_t{5}}) advance_to(sequence);
  EXPECT_EQ(SyncMark::look(path), kBig);
}

TEST_F(SyncMarkTest, TornSlotLeavesTheOneBefore) {
  auto mark = *SyncMark::open(path);
  mark->advance(10);
  mark->advance(11);
  mark.reset();
  for (std::streamoff slot : {0, 2048}) {
    flip(path, slot + 9);
    auto left = SyncMark::look(path);
    ASSERT_TRUE(left);
    EXPECT_TRUE(*left == 10 || *left == 11) << *left;
    advance_to(12);  // Into the broken slot, never over the good one.
    flip(path, slot == 0 ? 2048 + 9 : 9);
    EXPECT_EQ(SyncMark::look(path), 12U);
    flip(path, slot == 0 ? 2048 + 9 : 9);
    std::filesystem::remove(path);
    mark = *SyncMark::open(path);
    mark->advance(10);
    mark->advance(11);
    mark.reset();
  }
}

TEST_F(SyncMarkTest, DamagedOrCutIsCorrupt) {
  advance_to(10);
  auto cut = directory.path() / "cut";
  std::filesystem::copy_file(path, cut);
  std::filesystem::resize_file(cut, 100);
  EXPECT_EQ(SyncMark::look(cut).code(), Errc::corrupt);
  flip(path, 9);
  flip(path, 2048 + 9);
  EXPECT_EQ(SyncMark::look(path).code(), Errc::corrupt);
  EXPECT_EQ(SyncMark::open(path).code(), Errc::corrupt);
}

}  // namespace chordfs
