#include "tools/cli/transfer.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/fuse/fs/mounts.h"

namespace chordfs::cli {
namespace {

class CliTransfer : public FileSystemTest {
 protected:
  void TearDown() override {
    std::filesystem::remove_all(directory);
    FileSystemTest::TearDown();
  }
  std::string local(const std::string& name, std::string_view contents) {
    std::ofstream(directory / name, std::ios::binary) << contents;
    return directory / name;
  }
  Result<void> put(const std::string& from, std::string name) {
    auto source = LocalSource::open(world.runtime(), from);
    if (!source) return source.error();
    return a.run(write_all(a.files(), "/" + name, root, name, *source, [this](std::uint64_t bytes) -> awaitable<void> {
      reached = bytes;
      co_return;
    }));
  }
  std::string get(Ino ino, std::uint64_t offset = 0) {
    std::string all;
    auto done =
        a.run(read_all(a.files(), "/x", ino, offset, [&](std::uint64_t, Bytes bytes) -> awaitable<Result<void>> {
          all += bytes.view();
          co_return Result<void>();
        }));
    EXPECT_TRUE(done);
    return all;
  }

  std::filesystem::path directory = [] {
    std::string name = testing::TempDir() + "chordfs-cli.XXXXXX";
    return std::filesystem::path(mkdtemp(name.data()));
  }();
  std::uint64_t reached = 0;
};

TEST_F(CliTransfer, WhatIsPutIsGot) {
  auto bytes = pattern(3 * kPieceBytes + 17);
  ASSERT_TRUE(put(local("f", bytes), "f"));
  EXPECT_EQ(reached, bytes.size());
  EXPECT_EQ(get(a.ino(root, "f")), bytes);
  EXPECT_EQ(get(a.ino(root, "f"), kPieceBytes), bytes.substr(kPieceBytes));
}

TEST_F(CliTransfer, EmptyFile) {
  ASSERT_TRUE(put(local("f", ""), "f"));
  EXPECT_EQ(get(a.ino(root, "f")), "");
}

TEST_F(CliTransfer, HolesStayHoles) {
  auto path = local("f", "begin");
  std::filesystem::resize_file(path, 100 * kPieceBytes);
  ASSERT_TRUE(put(path, "f"));
  auto attr = a.attr(a.ino(root, "f"));
  EXPECT_EQ(attr.size(), 100 * kPieceBytes);
  EXPECT_LT(attr.allocated(), 2 * kPieceBytes);
  EXPECT_EQ(get(a.ino(root, "f"), 99 * kPieceBytes), std::string(kPieceBytes, '\0'));
}

TEST_F(CliTransfer, ModeAndTimeComeAlong) {
  auto path = local("f", "x");
  std::filesystem::permissions(path, std::filesystem::perms(0700));
  ASSERT_TRUE(put(path, "f"));
  struct stat status{};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  auto attr = a.attr(a.ino(root, "f"));
  EXPECT_EQ(attr.mode(), 0700U);
  EXPECT_EQ(attr.mtime(), mtime_of(status));
}

TEST_F(CliTransfer, FailureOfTheRingNamesThePath) {
  auto path = local("f", pattern(2 * kPieceBytes));
  ring.fault = [](std::string_view call) -> Result<void> {
    if (call == "put_block") return Error{Errc::disk_full, "every disk is full"};
    return {};
  };
  auto failed = put(path, "f");
  ring.fault = nullptr;
  EXPECT_EQ(failed.code(), Errc::disk_full);
  EXPECT_EQ(failed.error().context, "/f: no space left in the ring: add nodes or remove files");
  EXPECT_TRUE(a.run(a.files().unlink(root, "f")));
}

TEST_F(CliTransfer, PaceLetsSoMuchPassInATime) {
  Pace pace(world.runtime(), 1000);
  auto begun = world.runtime().now();
  a.run(pace.reached(5000));
  EXPECT_EQ(world.runtime().now() - begun, 5s);
  Pace none(world.runtime(), 0);
  a.run(none.reached(std::uint64_t{1} << 40));
  EXPECT_EQ(world.runtime().now() - begun, 5s);
}

}  // namespace
}  // namespace chordfs::cli
