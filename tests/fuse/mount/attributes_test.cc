#include "fuse/mount/attributes.h"

#include <gtest/gtest.h>

#include <limits>

namespace chordfs::mount {
namespace {

wire::Attr file() {
  wire::Attr attr;
  attr.set_ino(42);
  attr.set_type(wire::FILE_REGULAR);
  attr.set_mode(0640);
  attr.set_nlink(1);
  return attr;
}

TEST(MountAttributes, TypesGoThereAndBack) {
  for (int type = wire::FileType_MIN; type <= wire::FileType_MAX; ++type)
    EXPECT_EQ(type_of(type_bits(static_cast<wire::FileType>(type))), type);
}

TEST(MountAttributes, ModeHasTheTypeAndThePermissions) {
  EXPECT_EQ(stat_of(file()).st_mode, S_IFREG | 0640U);
}

TEST(MountAttributes, BlocksAreOfWhatIsHeldRoundedUp) {
  auto attr = file();
  attr.set_size(1 << 30);
  attr.set_allocated(513);
  EXPECT_EQ(stat_of(attr).st_blocks, 2);
  EXPECT_EQ(stat_of(attr).st_size, 1 << 30);
}

TEST(MountAttributes, TimesBefore1970HaveNoNegativeNanoseconds) {
  auto attr = file();
  attr.set_mtime(-1);
  EXPECT_EQ(stat_of(attr).st_mtim.tv_sec, -1);
  EXPECT_EQ(stat_of(attr).st_mtim.tv_nsec, 999'999'999);
}

TEST(MountAttributes, OnlyWhatIsToBeSetIsSet) {
  struct stat wanted{};
  wanted.st_mode = S_IFREG | 04755;
  wanted.st_size = 7;
  auto set = changes_of(wanted, FUSE_SET_ATTR_MODE);
  EXPECT_EQ(set.mode, 04755U);
  EXPECT_FALSE(set.size);
}

TEST(MountAttributes, NowWinsOverAGivenTime) {
  struct stat wanted{};
  auto set = changes_of(wanted, FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_MTIME);
  EXPECT_TRUE(set.atime_now);
  EXPECT_FALSE(set.atime);
  EXPECT_EQ(set.mtime, 0);
  EXPECT_FALSE(set.mtime_now);
}

TEST(MountAttributes, SetGroupIdStaysWhereOnlyTimesAreSet) {
  wire::Attr file, directory;
  file.set_type(wire::FILE_REGULAR);
  directory.set_type(wire::FILE_DIRECTORY);
  struct stat wanted{};
  const auto times = changes_of(wanted, FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME_NOW);
  const auto nothing = changes_of(wanted, FUSE_SET_ATTR_CTIME);
  EXPECT_FALSE(drops_set_gid(times, file));
  EXPECT_TRUE(drops_set_gid(nothing, file));
  EXPECT_TRUE(drops_set_gid(changes_of(wanted, FUSE_SET_ATTR_SIZE), file));
  EXPECT_TRUE(drops_set_gid(changes_of(wanted, FUSE_SET_ATTR_GID), file));
  EXPECT_FALSE(drops_set_gid(nothing, directory));
  EXPECT_TRUE(drops_set_gid(changes_of(wanted, FUSE_SET_ATTR_MODE), directory));
}

TEST(MountAttributes, TimeThatDoesNotFitIsTheNearest) {
  struct stat wanted{};
  wanted.st_mtim.tv_sec = std::numeric_limits<time_t>::max();
  EXPECT_EQ(changes_of(wanted, FUSE_SET_ATTR_MTIME).mtime, std::numeric_limits<std::int64_t>::max());
  wanted.st_mtim.tv_sec = std::numeric_limits<time_t>::min();
  EXPECT_EQ(changes_of(wanted, FUSE_SET_ATTR_MTIME).mtime, std::numeric_limits<std::int64_t>::min());
}

TEST(MountAttributes, SetGroupIdStaysWhereTheGroupMayNotExecute) {
  EXPECT_EQ(without_set_id(06755), 0755U);
  EXPECT_EQ(without_set_id(06745), 02745U);
  EXPECT_EQ(without_set_id(01777), 01777U);
}

}  // namespace
}  // namespace chordfs::mount
