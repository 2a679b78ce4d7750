#include "fuse/mount/flags.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>

#include "proto/wire/inode_flags.h"

namespace chordfs::mount {
namespace {

TEST(Flags, BothFormatsTellTheSame) {
  for (auto format : {FlagsFormat::flags, FlagsFormat::fsxattr})
    for (std::uint32_t flags : {0U, kFlagImmutable, kFlagAppend | kFlagNoDump, kFlagsAll})
      EXPECT_EQ(decode_flags(format, encode_flags(format, flags)).value(), flags);
}

TEST(Flags, WhatIsNotKeptIsNotSupported) {
  EXPECT_EQ(decode_flags(FlagsFormat::flags, encode_flags(FlagsFormat::flags, FS_COMPR_FL)).code(),
            Errc::not_supported);
  fsxattr project{};
  project.fsx_projid = 1;
  EXPECT_EQ(decode_flags(FlagsFormat::fsxattr, {reinterpret_cast<const char*>(&project), sizeof project}).code(),
            Errc::not_supported);
  EXPECT_EQ(decode_flags(FlagsFormat::flags, "abc").code(), Errc::invalid);
}

TEST(Flags, OtherIoctlsAreNone) {
  EXPECT_TRUE(flags_ioctl(FS_IOC_GETFLAGS) && !flags_ioctl(FS_IOC_GETFLAGS)->sets);
  EXPECT_TRUE(flags_ioctl(FS_IOC_FSSETXATTR) && flags_ioctl(FS_IOC_FSSETXATTR)->sets);
  EXPECT_FALSE(flags_ioctl(FIGETBSZ));
}

TEST(Flags, HowAFileMayBeOpened) {
  EXPECT_TRUE(may_open(0, O_RDWR | O_TRUNC));
  EXPECT_TRUE(may_open(kFlagImmutable, O_RDONLY));
  EXPECT_FALSE(may_open(kFlagImmutable, O_WRONLY | O_APPEND));
  EXPECT_FALSE(may_open(kFlagImmutable, O_RDONLY | O_TRUNC));
  EXPECT_TRUE(may_open(kFlagAppend, O_RDONLY));
  EXPECT_TRUE(may_open(kFlagAppend, O_RDWR | O_APPEND));
  EXPECT_FALSE(may_open(kFlagAppend, O_WRONLY));
  EXPECT_FALSE(may_open(kFlagAppend, O_WRONLY | O_APPEND | O_TRUNC));
}

}  // namespace
}  // namespace chordfs::mount
