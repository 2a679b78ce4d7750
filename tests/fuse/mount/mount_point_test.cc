#include "fuse/mount/mount_point.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace chordfs::mount {
namespace {

using ::testing::HasSubstr;

constexpr const char* kMounts =
    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "42 22 0:39 / /mnt/dht rw,relatime shared:7 master:2 - fuse.chordfs chordfs:10.0.0.7:6001 rw,user_id=0\n"
    "43 22 0:40 / /mnt/with\\040blank rw - tmpfs tmpfs rw\n"
    "44 42 0:41 / /mnt/twice rw - tmpfs tmpfs rw\n"
    "45 44 0:42 / /mnt/twice rw - fuse.chordfs chordfs:a:1 rw\n";

TEST(MountedAt, DeviceAndType) {
  auto mounted = mounted_at("/mnt/dht", kMounts);
  ASSERT_TRUE(mounted);
  EXPECT_EQ(mounted->device, "0:39");
  EXPECT_EQ(mounted->type, "fuse.chordfs");
}

TEST(MountedAt, BlanksInThePathAreEscaped) {
  EXPECT_EQ(mounted_at("/mnt/with blank", kMounts)->type, "tmpfs");
}

TEST(MountedAt, UppermostOfSeveral) {
  EXPECT_EQ(mounted_at("/mnt/twice", kMounts)->device, "0:42");
}

TEST(MountedAt, NothingBelowOrAboveAMountPoint) {
  EXPECT_FALSE(mounted_at("/mnt", kMounts));
  EXPECT_FALSE(mounted_at("/mnt/dht/x", kMounts));
}

class MountPoint : public testing::Test {
 protected:
  MountPoint() { std::filesystem::create_directories(folder_); }
  ~MountPoint() override { std::filesystem::remove_all(folder_); }

  std::string refusal(std::string path, Contents contents = Contents::must_be_empty) {
    auto problem = check_mount_point(path, contents);
    if (!problem) return "";
    EXPECT_EQ(problem->exit, Exit::mount_point);
    return problem->text;
  }

  std::string folder_ = testing::TempDir() + "chordfs_mount_point_test";
};

TEST_F(MountPoint, EmptyDirectoryIsTakenAndMadeAbsolute) {
  auto path = folder_ + "/../chordfs_mount_point_test/.";
  EXPECT_FALSE(check_mount_point(path, Contents::must_be_empty));
  EXPECT_EQ(path, std::filesystem::canonical(folder_));
}

TEST_F(MountPoint, MissingDirectoryIsRefused) {
  EXPECT_THAT(refusal(folder_ + "/none"), HasSubstr("no such directory"));
}

TEST_F(MountPoint, FileIsRefused) {
  std::ofstream(folder_ + "/file") << "x";
  EXPECT_THAT(refusal(folder_ + "/file"), HasSubstr("not a directory"));
}

TEST_F(MountPoint, DirectoryThatIsNotEmptyNeedsNonempty) {
  std::ofstream(folder_ + "/file") << "x";
  EXPECT_THAT(refusal(folder_), HasSubstr("-o nonempty"));
  EXPECT_EQ(refusal(folder_, Contents::may_be_anything), "");
}

}  // namespace
}  // namespace chordfs::mount
