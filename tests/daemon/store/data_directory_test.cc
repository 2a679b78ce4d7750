#include "daemon/store/data_directory.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/daemon/store/temporary_directory.h"

namespace chordfs {

namespace {

namespace fs = std::filesystem;

void write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::trunc) << text;
}

}  // namespace

class DataDirectoryTest : public testing::Test {
 protected:
  /// The complaint about the directory as it stands.
  Error refusal() {
    auto state = look_at_data_directory(node);
    EXPECT_FALSE(state) << "not refused";
    return state ? Error() : state.error();
  }

  TemporaryDirectory directory;
  fs::path node = directory.path() / "node";
};

TEST_F(DataDirectoryTest, AbsentEmptyOrCutShortIsFresh) {
  EXPECT_EQ(look_at_data_directory(node), DirectoryState::fresh);
  EXPECT_FALSE(fs::exists(node)) << "looking changes nothing";
  fs::create_directories(node / "lost+found");
  EXPECT_EQ(look_at_data_directory(node), DirectoryState::fresh);
  write(node / "lock", "17\n");
  fs::create_directories(node / "records");
  EXPECT_EQ(look_at_data_directory(node), DirectoryState::fresh);
}

TEST_F(DataDirectoryTest, RecordsWithoutMarkerAreAdopted) {
  write(node / "records" / "CURRENT", "MANIFEST-000001\n");
  EXPECT_EQ(look_at_data_directory(node), DirectoryState::unmarked);
  ASSERT_TRUE(mark_data_directory(node));
  EXPECT_EQ(look_at_data_directory(node), DirectoryState::marked);
}

TEST_F(DataDirectoryTest, SomethingElseIsRefusedByName) {
  write(node / "cat.jpg", "meow");
  auto error = refusal();
  EXPECT_EQ(error.code, Errc::not_permitted);
  EXPECT_NE(error.context.find("'cat.jpg'"), std::string::npos) << error.text();
}

TEST_F(DataDirectoryTest, NewerFormatIsRefused) {
  write(node / "records" / "CURRENT", "");
  write(node / "format", "ChordFS data directory, format 9\n");
  EXPECT_EQ(refusal().code, Errc::wrong_version);
}

TEST_F(DataDirectoryTest, EarlierFormatIsRefused) {
  write(node / "records" / "CURRENT", "");
  write(node / "format", "ChordFS data directory, format 1\n");
  EXPECT_EQ(refusal().code, Errc::wrong_version);
}

TEST_F(DataDirectoryTest, MarkerWithoutItsRecordsIsDamage) {
  fs::create_directories(node);
  ASSERT_TRUE(mark_data_directory(node));
  EXPECT_EQ(refusal().code, Errc::corrupt) << "it would come back as a new node";
}

TEST_F(DataDirectoryTest, EveryFlippedBitOfTheMarkerIsSeen) {
  write(node / "records" / "CURRENT", "");
  ASSERT_TRUE(mark_data_directory(node));
  std::stringstream text;
  text << std::ifstream(node / "format").rdbuf();
  for (std::size_t bit = 0; bit < text.str().size() * 8; ++bit) {
    auto flipped = text.str();
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    write(node / "format", flipped);
    EXPECT_FALSE(look_at_data_directory(node)) << flipped;
  }
  for (std::size_t size = 0; size < text.str().size(); ++size) {
    write(node / "format", text.str().substr(0, size));
    EXPECT_EQ(refusal().code, Errc::corrupt);
  }
}

}  // namespace chordfs
