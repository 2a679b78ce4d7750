#include "tools/cli/local_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace chordfs::cli {
namespace {

namespace local = std::filesystem;

class CliLocalTarget : public ::testing::Test {
 protected:
  CliLocalTarget() {
    std::string name = testing::TempDir() + "chordfs-cli.XXXXXX";
    directory = mkdtemp(name.data());
    path = directory / "file";
    source.set_size(8);
    source.set_mode(0640);
    source.set_mtime(1'700'000'000'123'456'789);
  }
  ~CliLocalTarget() override { local::remove_all(directory); }

  static std::string contents(const std::string& file) {
    std::ostringstream all;
    all << std::ifstream(file, std::ios::binary).rdbuf();
    return all.str();
  }

  local::path directory;
  std::string path;
  wire::Attr source;
};

TEST_F(CliLocalTarget, AppearsWholeAndOnlyThen) {
  auto target = LocalTarget::create(path, source, LocalTarget::Part::fresh);
  ASSERT_TRUE(target);
  ASSERT_TRUE(target->write(0, Bytes::copy("contents")));
  EXPECT_FALSE(local::exists(path));
  ASSERT_TRUE(target->finish());
  EXPECT_EQ(contents(path), "contents");
  EXPECT_FALSE(local::exists(path + ".part"));
  struct stat status{};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(mtime_of(status), source.mtime());
  EXPECT_EQ(status.st_mode & 0777U, 0640U & ~umask_now());
}

TEST_F(CliLocalTarget, ZerosBecomeAHoleAndCount) {
  auto target = LocalTarget::create(path, source, LocalTarget::Part::fresh);
  ASSERT_TRUE(target);
  ASSERT_TRUE(target->write(0, Bytes::copy(std::string(kPieceBytes, '\0'))));
  ASSERT_TRUE(target->finish());
  EXPECT_EQ(contents(path), std::string(kPieceBytes, '\0'));
}

TEST_F(CliLocalTarget, PartOfAnotherTimeIsNotTouchedUnasked) {
  std::ofstream(path + ".part") << "old";
  auto target = LocalTarget::create(path, source, LocalTarget::Part::fresh);
  EXPECT_EQ(target.code(), Errc::exists);
  EXPECT_EQ(contents(path + ".part"), "old");
}

TEST_F(CliLocalTarget, KeptPartIsGoneOnWith) {
  {
    auto target = LocalTarget::create(path, source, LocalTarget::Part::resumed);
    ASSERT_TRUE(target);
    EXPECT_EQ(target->begins_at(), 0U);
    ASSERT_TRUE(target->write(0, Bytes::copy("cont")));
    target->keep();
  }
  auto target = LocalTarget::create(path, source, LocalTarget::Part::resumed);
  ASSERT_TRUE(target);
  EXPECT_EQ(target->begins_at(), 4U);
  ASSERT_TRUE(target->write(4, Bytes::copy("ents")));
  ASSERT_TRUE(target->finish());
  EXPECT_EQ(contents(path), "contents");
}

TEST_F(CliLocalTarget, PartOfAnotherVersionIsBegunAnew) {
  {
    auto target = LocalTarget::create(path, source, LocalTarget::Part::resumed);
    ASSERT_TRUE(target && target->write(0, Bytes::copy("cont")));
    target->keep();
  }
  source.set_mtime(source.mtime() + 1);
  auto target = LocalTarget::create(path, source, LocalTarget::Part::resumed);
  ASSERT_TRUE(target);
  EXPECT_EQ(target->begins_at(), 0U);
  EXPECT_EQ(local::file_size(path + ".part"), 0U);
}

TEST_F(CliLocalTarget, PartThatIsALinkIsRefused) {
  std::ofstream(directory / "victim") << "precious";
  local::create_symlink(directory / "victim", path + ".part");
  EXPECT_FALSE(LocalTarget::create(path, source, LocalTarget::Part::resumed));
  EXPECT_EQ(contents(directory / "victim"), "precious");
}

TEST_F(CliLocalTarget, RemovedPartLeavesNothing) {
  auto target = LocalTarget::create(path, source, LocalTarget::Part::fresh);
  ASSERT_TRUE(target);
  target->remove();
  EXPECT_TRUE(local::is_empty(directory));
}

}  // namespace
}  // namespace chordfs::cli
