#include <gtest/gtest.h>

#include "proto/wire/inode_flags.h"
#include "tests/daemon/tree/world.h"

namespace chordfs::tree_test {

namespace {
constexpr std::uint64_t kFile = 10, kDirectory = 20, kInside = 21, kOther = 30;

wire::Step set_flags(std::uint64_t ino, std::uint32_t flags) {
  wire::Step step;
  step.mutable_set_attr()->set_ino(ino);
  step.mutable_set_attr()->set_flags(flags);
  return step;
}

wire::Step touch(std::uint64_t ino) {
  wire::Step step;
  step.mutable_set_attr()->set_ino(ino);
  step.mutable_set_attr()->set_atime_now(true);
  step.mutable_set_attr()->set_mtime_now(true);
  return step;
}

wire::Step set_mtime(std::uint64_t ino) {
  wire::Step step;
  step.mutable_set_attr()->set_ino(ino);
  step.mutable_set_attr()->set_mtime(5);
  return step;
}
}  // namespace

class InodeFlags : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(world.refused({create(kFile), insert(kRootIno, "file", kFile)}), Errc::ok);
    ASSERT_EQ(world.refused({create(kOther), insert(kRootIno, "other", kOther)}), Errc::ok);
    ASSERT_EQ(world.refused({create(kDirectory, wire::FILE_DIRECTORY),
                             insert(kRootIno, "dir", kDirectory, wire::FILE_DIRECTORY)}),
              Errc::ok);
    ASSERT_EQ(world.refused({create(kInside), insert(kDirectory, "inside", kInside)}), Errc::ok);
    ASSERT_EQ(world.refused({set_xattr(kFile, "user.x", "1")}), Errc::ok);
  }
  void TearDown() override { EXPECT_EQ(world.broken(), ""); }
  void set(std::uint64_t ino, std::uint32_t flags) { ASSERT_EQ(world.refused({set_flags(ino, flags)}), Errc::ok); }

  World world;
};

TEST_F(InodeFlags, AreKeptAndChangeTheVersion) {
  const auto before = world.attr(kFile).version();
  set(kFile, kFlagNoDump | kFlagNoAtime);
  EXPECT_EQ(world.attr(kFile).flags(), kFlagNoDump | kFlagNoAtime);
  EXPECT_GT(world.attr(kFile).version(), before);
  EXPECT_EQ(world.refused({set_flags(kFile, 1U << 31)}), Errc::not_supported);
}

TEST_F(InodeFlags, AnImmutableFileStaysAsItIs) {
  set(kFile, kFlagImmutable);
  const StepList steps = {chmod(kFile, 0600),
                          touch(kFile),
                          set_mtime(kFile),
                          resize(kFile, 0),
                          allocate(kFile, 0, 10),
                          make_hole(kFile, 0, 10),
                          write_piece(kFile, 0, "x"),
                          write_extents(kFile, {extent(0, 10, 1)}),
                          set_xattr(kFile, "user.y", "1"),
                          remove_xattr(kFile, "user.x"),
                          link(kFile),
                          unlink(kFile),
                          moved(kFile)};
  for (const auto& step : steps) EXPECT_EQ(world.refused({step}), Errc::not_permitted) << step.ShortDebugString();
  set(kFile, 0);
  for (const auto& step : {chmod(kFile, 0600), touch(kFile), write_piece(kFile, 0, "x"), remove_xattr(kFile, "user.x")})
    EXPECT_EQ(world.refused({step}), Errc::ok) << step.ShortDebugString();
}

TEST_F(InodeFlags, WhatOnlyGrowsIsWrittenAndTouched) {
  set(kFile, kFlagAppend);
  for (const auto& step : {write_piece(kFile, 0, "x"), allocate(kFile, 0, 10), touch(kFile)})
    EXPECT_EQ(world.refused({step}), Errc::ok) << step.ShortDebugString();
  const StepList steps = {chmod(kFile, 0600), set_mtime(kFile), resize(kFile, 0), make_hole(kFile, 0, 10),
                          link(kFile),        unlink(kFile),    moved(kFile),     set_xattr(kFile, "user.y", "1")};
  for (const auto& step : steps) EXPECT_EQ(world.refused({step}), Errc::not_permitted) << step.ShortDebugString();
}

TEST_F(InodeFlags, EntriesOfDirectories) {
  set(kDirectory, kFlagImmutable);
  EXPECT_EQ(world.refused({create(40), insert(kDirectory, "new", 40)}), Errc::not_permitted);
  EXPECT_EQ(world.refused({remove(kDirectory, "inside", kInside), unlink(kInside)}), Errc::not_permitted);
  // What is there, or is not, comes first.
  EXPECT_EQ(world.refused({create(40), insert(kDirectory, "inside", 40)}), Errc::exists);
  EXPECT_EQ(world.refused({remove(kDirectory, "absent", kInside)}), Errc::not_found);
  EXPECT_EQ(world.refused({write_piece(kInside, 0, "x")}), Errc::ok);

  set(kDirectory, kFlagAppend);
  EXPECT_EQ(world.refused({create(40), insert(kDirectory, "new", 40)}), Errc::ok);
  EXPECT_EQ(world.refused({remove(kDirectory, "inside", kInside), unlink(kInside)}), Errc::not_permitted);
  EXPECT_EQ(world.refused({remove(kRootIno, "other", kOther), insert(kDirectory, "new", kOther, wire::FILE_REGULAR, 40),
                           unlink(40), moved(kOther)}),
            Errc::not_permitted);
}

TEST_F(InodeFlags, ADirectoryThatIsNotEmptyIsImmutableFirst) {
  set(kDirectory, kFlagImmutable);
  EXPECT_EQ(world.refused({remove(kRootIno, "dir", kDirectory), unlink(kDirectory)}), Errc::not_permitted);
}

TEST_F(InodeFlags, WhatWasPreparedBeforeGoesOn) {
  World two(1);
  const auto file = two.ino(0, 10);
  ASSERT_EQ(error_of(two.execute(0, {create(file), insert(kRootIno, "file", file)})), Errc::ok);
  ASSERT_EQ(error_of(two.prepare(0, tx(1, 5), {remove(kRootIno, "file", file), unlink(file)})), Errc::ok);
  ASSERT_EQ(error_of(two.execute(0, {set_flags(file, kFlagImmutable)})), Errc::ok);
  ASSERT_EQ(error_of(two.finish(0, tx(1, 5), true)), Errc::ok);
  EXPECT_EQ(two.attr(file).nlink(), 0U);
}

TEST_F(InodeFlags, OnlyHarmlessOnesComeWithANewInode) {
  auto step = create(40);
  step.mutable_create()->mutable_inode()->mutable_attr()->set_flags(kFlagsAll);
  ASSERT_EQ(world.refused({step, insert(kRootIno, "new", 40)}), Errc::ok);
  EXPECT_EQ(world.attr(40).flags(), kFlagsInherited);
}

}  // namespace chordfs::tree_test
