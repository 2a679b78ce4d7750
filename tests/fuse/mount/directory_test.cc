#include "fuse/mount/directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/fuse.h>

#include <cstring>
#include <set>

#include "tests/local_client.h"
#include "tools/sim/world.h"

namespace chordfs::mount {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Seen {
  std::string name;
  Ino ino = 0;
  std::uint64_t cookie = 0;
  Ino node = 0;  ///< Of a listing with attributes: 0 if it came without.
};

/// As the kernel reads it: <linux/fuse.h>, fuse_dirent and fuse_direntplus.
std::vector<Seen> entries_of(const std::string& bytes, Listing listing) {
  std::vector<Seen> all;
  for (std::size_t at = 0; at < bytes.size();) {
    Seen seen;
    std::size_t start = at;
    if (listing == Listing::attributes) {
      fuse_entry_out out;
      std::memcpy(&out, bytes.data() + at, sizeof out);
      seen.node = out.nodeid;
      at += sizeof out;
    }
    fuse_dirent entry;
    std::memcpy(&entry, bytes.data() + at, FUSE_NAME_OFFSET);
    seen.name = bytes.substr(at + FUSE_NAME_OFFSET, entry.namelen);
    seen.ino = entry.ino;
    seen.cookie = entry.off;
    at = start + FUSE_DIRENT_ALIGN(at - start + FUSE_NAME_OFFSET + entry.namelen);
    all.push_back(std::move(seen));
  }
  return all;
}

struct DirectoryTest : testing::Test {
  DirectoryTest() { EXPECT_TRUE(world.run(files.start("test"))); }
  ~DirectoryTest() override { world.run(files.stop()); }

  Ino make(Ino dir, std::string name, wire::FileType type = wire::FILE_REGULAR) {
    auto made = world.run(files.make(dir, std::move(name), {.type = type, .mode = 0755}, {}));
    return made ? made->ino() : 0;
  }
  std::vector<Seen> read(Directory& directory, std::uint64_t cookie, Listing listing = Listing::names,
                         std::size_t bytes_max = 4096) {
    auto bytes = world.run(directory.read(listing, cookie, bytes_max));
    EXPECT_TRUE(bytes);
    return bytes ? entries_of(*bytes, listing) : std::vector<Seen>();
  }
  /// From the start to the end, a page at a time.
  std::vector<std::string> read_all(Directory& directory, Listing listing, std::size_t bytes_max) {
    std::vector<std::string> names;
    std::uint64_t cookie = kCookieStart;
    for (auto page = read(directory, cookie, listing, bytes_max); !page.empty();
         page = read(directory, cookie, listing, bytes_max)) {
      for (const auto& seen : page) names.push_back(seen.name);
      cookie = page.back().cookie;
    }
    return names;
  }

  World world{1};
  LocalRing ring;
  LocalClient client{world.runtime(), ring};
  FileSystem files{client};
};

TEST_F(DirectoryTest, EmptyDirectoryHasItselfAndItsParent) {
  auto dir = make(kRootIno, "d", wire::FILE_DIRECTORY);
  Directory directory(files, dir);
  auto seen = read(directory, kCookieStart);
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0].name, ".");
  EXPECT_EQ(seen[0].ino, dir);
  EXPECT_EQ(seen[0].cookie, kCookieSelf);
  EXPECT_EQ(seen[1].name, "..");
  EXPECT_EQ(seen[1].ino, kRootIno);
  EXPECT_EQ(seen[1].cookie, kCookieParent);
  EXPECT_THAT(read(directory, kCookieParent), IsEmpty());
}

TEST_F(DirectoryTest, RootIsItsOwnParent) {
  Directory directory(files, kRootIno);
  EXPECT_EQ(read(directory, kCookieSelf).front().ino, kRootIno);
}

TEST_F(DirectoryTest, EveryNameOnceHoweverSmallThePages) {
  std::set<std::string> expected{".", ".."};
  for (int i = 0; i < 40; ++i) make(kRootIno, *expected.insert("file" + std::to_string(i)).first);
  for (auto listing : {Listing::names, Listing::attributes})
    for (std::size_t bytes_max : {200, 500, 100'000}) {
      Directory directory(files, kRootIno);
      auto names = read_all(directory, listing, bytes_max);
      EXPECT_EQ(names.size(), expected.size());
      EXPECT_EQ(std::set<std::string>(names.begin(), names.end()), expected);
    }
}

TEST_F(DirectoryTest, NamesComeFromOnePageInMemory) {
  for (int i = 0; i < 40; ++i) make(kRootIno, "file" + std::to_string(i));
  Directory directory(files, kRootIno);
  auto before = ring.calls["query"];
  read_all(directory, Listing::names, 200);
  EXPECT_LE(ring.calls["query"] - before, 4U);  // "..", the page, and what follows it.
}

TEST_F(DirectoryTest, CookieOfAnEntryThatWentStillContinues) {
  for (auto* name : {"a", "b", "c"}) make(kRootIno, name);
  Directory directory(files, kRootIno);
  auto seen = read(directory, kCookieStart);
  ASSERT_EQ(seen.size(), 5U);
  ASSERT_TRUE(world.run(files.unlink(kRootIno, seen[3].name)));
  Directory again(files, kRootIno);
  auto rest = read(again, seen[3].cookie);
  ASSERT_EQ(rest.size(), 1U);
  EXPECT_EQ(rest[0].name, seen[4].name);
}

TEST_F(DirectoryTest, RewindReadsAnew) {
  Directory directory(files, kRootIno);
  EXPECT_EQ(read(directory, kCookieStart).size(), 2U);
  make(kRootIno, "new");
  EXPECT_EQ(read(directory, kCookieStart).size(), 3U);
}

TEST_F(DirectoryTest, AttributesAreNeverFromAnEarlierCall) {
  auto ino = make(kRootIno, "file");
  Directory directory(files, kRootIno);
  EXPECT_EQ(read(directory, kCookieParent, Listing::attributes).front().node, ino);
  auto before = ring.calls["query"];
  EXPECT_EQ(read(directory, kCookieParent, Listing::attributes).front().node, ino);
  EXPECT_GT(ring.calls["query"], before);
}

TEST(EntryBuffer, EntryWithoutAttributesIsAName) {
  EntryBuffer buffer(Listing::attributes, 4096);
  ASSERT_TRUE(buffer.add({.name = "x", .ino = 7, .type = wire::FILE_REGULAR, .cookie = 16, .attr = {}}));
  auto seen = entries_of(std::move(buffer).take(), Listing::attributes);
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].ino, 7U);
  EXPECT_EQ(seen[0].node, 0U);
}

TEST(EntryBuffer, RefusesWhatDoesNotFit) {
  EntryBuffer buffer(Listing::names, 40);
  EXPECT_TRUE(buffer.add({.name = "x", .ino = 7, .cookie = 16}));
  EXPECT_FALSE(buffer.add({.name = "y", .ino = 8, .cookie = 17}));
  EXPECT_EQ(entries_of(std::move(buffer).take(), Listing::names).size(), 1U);
}

}  // namespace
}  // namespace chordfs::mount
