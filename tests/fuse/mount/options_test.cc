#include "fuse/mount/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include "fuse/mount/mount_options.h"

namespace chordfs::mount {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::variant<Options, Exit> parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "chordfs-mount");
  return parse_command_line(static_cast<int>(arguments.size()), arguments.data());
}

Options parsed(std::vector<const char*> arguments) {
  auto result = parse(std::move(arguments));
  EXPECT_TRUE(std::holds_alternative<Options>(result));
  return std::holds_alternative<Options>(result) ? std::get<Options>(result) : Options();
}

Exit ended(std::vector<const char*> arguments) {
  auto result = parse(std::move(arguments));
  EXPECT_TRUE(std::holds_alternative<Exit>(result));
  return std::holds_alternative<Exit>(result) ? std::get<Exit>(result) : Exit::failed;
}

TEST(MountOptions, MountPointAndPeers) {
  auto options = parsed({"/mnt/dht", "--via", "6001,node7:6002"});
  EXPECT_EQ(options.mount_point, "/mnt/dht");
  EXPECT_THAT(options.via, ElementsAre(Endpoint{"127.0.0.1", 6001}, Endpoint{"node7", 6002}));
  EXPECT_FALSE(options.foreground);
}

TEST(MountOptions, MountPointMayComeLast) {
  EXPECT_EQ(parsed({"-o", "ro", "--via", "6001", "/mnt"}).mount_point, "/mnt");
}

TEST(MountOptions, ListsOfOptionsAreSplitAndNonemptyIsOurs) {
  auto options = parsed({"/mnt", "--via", "6001", "-o", "ro,nonempty", "-o", "noexec"});
  EXPECT_THAT(options.fuse, ElementsAre("ro", "noexec"));
  EXPECT_TRUE(options.nonempty);
}

TEST(MountOptions, WordsForMountAndForSystemdAreNotPassedOn) {
  auto options =
      parsed({"/mnt", "--via", "6001", "-o", "defaults,_netdev,nofail,x-a.b=c,X-d,user=me,relatime,ro,comment=x"});
  EXPECT_THAT(options.fuse, ElementsAre("ro"));
}

TEST(MountOptions, ACommaBehindABackslashBelongsToTheValue) {
  auto options = parsed({"/mnt", "--via", "6001", "-o", R"(fsname=a\,b\\,ro)"});
  EXPECT_THAT(options.fuse, ElementsAre(R"(fsname=a\,b\\)", "ro"));
  EXPECT_EQ(escaped("a,b\\"), R"(a\,b\\)");
}

TEST(MountOptions, UnknownOnesAreNamed) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(ended({"/mnt", "--via", "6001", "-o", "ro,frob"}), Exit::usage);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "chordfs-mount: 'frob' is no mount option that chordfs-mount knows (see chordfs-mount --help)\n");
}

TEST(MountOptions, SizesHaveUnitsAndALeast) {
  EXPECT_EQ(parsed({"/mnt", "--via", "6001"}).cache_bytes, 256U << 20);
  EXPECT_EQ(parsed({"/mnt", "--via", "6001", "--cache-size", "64M"}).cache_bytes, 64U << 20);
  EXPECT_EQ(parsed({"/mnt", "--via", "6001", "-o", "ro,cache-size=1GiB"}).cache_bytes, 1U << 30);
  EXPECT_EQ(parse_cache_size("20000000").value(), 20'000'000U);
  for (const char* wrong : {"1M", "-1", "64X", "99999999999999999999G", ""})
    EXPECT_FALSE(parse_cache_size(wrong)) << wrong;
}

TEST(MountOptions, FlagsOfARemount) {
  EXPECT_EQ(mount_flags({"rw", "nosuid", "allow_other", "ro", "suid", "noatime"}), MS_RDONLY | MS_NOATIME);
}

TEST(MountOptions, CalledByMount) {
  std::vector<const char*> arguments = {
      "/sbin/mount.fuse.chordfs", "6001,node7:6002", "/mnt", "-o", "rw,noexec", "-s", "-o", "frob"};
  auto result = parse_command_line(static_cast<int>(arguments.size()), arguments.data());
  ASSERT_TRUE(std::holds_alternative<Options>(result));
  const auto& options = std::get<Options>(result);
  EXPECT_EQ(options.mount_point, "/mnt");
  EXPECT_THAT(options.via, ElementsAre(Endpoint{"127.0.0.1", 6001}, Endpoint{"node7", 6002}));
  EXPECT_THAT(libfuse_options(options, false),
              ElementsAre("default_permissions", "subtype=chordfs", R"(fsname=6001\,node7:6002)", "rw", "noexec"));
  EXPECT_EQ(exit_code(Exit::usage, options.caller), 1);
  EXPECT_EQ(exit_code(Exit::unreachable, options.caller), 32);
}

TEST(MountOptions, OursComeBeforeTheUsersSoThatHisWin) {
  auto options = parsed({"/mnt", "--via", "6001", "-o", "nosuid"});
  EXPECT_THAT(libfuse_options(options, true),
              ElementsAre("default_permissions", "subtype=chordfs", "fsname=chordfs:127.0.0.1:6001", "allow_other",
                          "suid", "dev", "nosuid"));
}

TEST(MountOptions, AllowRootTakesThePlaceOfAllowOther) {
  auto options = parsed({"/mnt", "--via", "6001", "-o", "allow_root"});
  EXPECT_THAT(libfuse_options(options, true),
              ElementsAre("default_permissions", "subtype=chordfs", "fsname=chordfs:127.0.0.1:6001", "suid", "dev",
                          "allow_root"));
}

TEST(MountOptions, OthersSeeOnlyRootsMountsUnasked) {
  auto options = parsed({"/mnt", "--via", "6001"});
  EXPECT_THAT(libfuse_options(options, false),
              ElementsAre("default_permissions", "subtype=chordfs", "fsname=chordfs:127.0.0.1:6001"));
}

TEST(MountOptions, MistakeIsOneLineOnStandardError) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(ended({"/mnt", "--via", "0"}), Exit::usage);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "chordfs-mount: --via: '0' is not PORT or HOST:PORT: a port is 1 to 65535\n");
  testing::internal::CaptureStderr();
  EXPECT_EQ(ended({"/mnt"}), Exit::usage);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "chordfs-mount: --via is required (see chordfs-mount --help)\n");
}

TEST(MountOptions, HelpSaysTheExitCodes) {
  testing::internal::CaptureStdout();
  EXPECT_EQ(ended({"--help"}), Exit::ok);
  EXPECT_THAT(testing::internal::GetCapturedStdout(), HasSubstr("5  no peer answered"));
}

}  // namespace
}  // namespace chordfs::mount
