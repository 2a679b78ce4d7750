#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "daemon/tree/keys.h"
#include "tests/daemon/tree/world.h"

namespace chordfs::tree_test {

class Queries : public ::testing::Test {
 protected:
  void make(int files) {
    for (int i = 0; i < files; ++i) {
      auto ino = static_cast<std::uint64_t>(1000 + i);
      ASSERT_EQ(error_of(world.execute({create(ino), insert(kRootIno, fmt::format("f{}", i), ino)})), Errc::ok);
    }
  }
  World world{1};
};

TEST_F(Queries, ARingBeginsWithItsRoot) {
  auto root = world.attr(kRootIno);
  EXPECT_EQ(root.type(), wire::FILE_DIRECTORY);
  EXPECT_EQ(root.mode(), 0755U);
  EXPECT_EQ(root.nlink(), 2U);
  EXPECT_EQ(root.parent(), kRootIno);
  EXPECT_TRUE(world.records(1).map().empty());
  EXPECT_EQ(world.broken(), "");
}

TEST_F(Queries, LookupTellsTheNumberOfAnInodeElsewhere) {
  auto away = world.ino(1, 5);
  world.execute(1, {create(away)});
  world.execute(0, {insert(kRootIno, "away", away)});
  auto found = world.lookup(kRootIno, "away");
  EXPECT_EQ(found.entry().ino(), away);
  EXPECT_EQ(found.entry().type(), wire::FILE_REGULAR);
  EXPECT_FALSE(found.has_attr());
}

TEST_F(Queries, LookupErrors) {
  make(1);
  EXPECT_EQ(error_of(world.lookup(kRootIno, "absent")), Errc::not_found);
  EXPECT_EQ(error_of(world.lookup(1000, "x")), Errc::not_directory);
  EXPECT_EQ(error_of(world.lookup(99, "x")), Errc::bad_handle);
  EXPECT_EQ(error_of(world.lookup(kRootIno, std::string(256, 'x'))), Errc::name_too_long);
}

TEST_F(Queries, PagesShowEveryEntryOnceInOrder) {
  make(100);
  std::set<std::string> names;
  std::uint64_t after = 0;
  for (bool end = false; !end;) {
    auto page = world.read_dir(kRootIno, after, 7);
    end = page.end();
    for (const auto& entry : page.entries()) {
      EXPECT_GT(entry.cookie(), after);
      after = entry.cookie();
      EXPECT_TRUE(names.insert(entry.name()).second);
    }
  }
  EXPECT_EQ(names.size(), 100U);
  EXPECT_TRUE(world.read_dir(kRootIno, after, 7).entries().empty());
  EXPECT_TRUE(world.read_dir(kRootIno, ~0ULL, 7).end());
}

TEST_F(Queries, PlusBringsAttributesThatAreAtHand) {
  make(1);
  auto away = world.ino(1, 5);
  world.execute(1, {create(away)});
  world.execute(0, {insert(kRootIno, "away", away)});
  for (const auto& entry : world.read_dir(kRootIno, 0, 0, true).entries())
    EXPECT_EQ(entry.has_attr(), entry.name() != "away");
  EXPECT_FALSE(world.read_dir(kRootIno).entries(0).has_attr());
}

TEST_F(Queries, APageIsLockedOnlyByEntriesWithinIt) {
  make(20);
  auto first = world.read_dir(kRootIno, 0, 5);
  auto last = world.read_dir(kRootIno).entries(19);
  world.begin({part(0, {remove(kRootIno, last.name(), last.ino())}), part(1, {})});
  EXPECT_EQ(error_of(world.read_dir(kRootIno, 0, 5)), Errc::ok);
  EXPECT_EQ(error_of(world.read_dir(kRootIno, first.entries(4).cookie(), 0)), Errc::locked);
  EXPECT_EQ(error_of(world.read_dir(kRootIno, last.cookie(), 0)), Errc::ok);
}

TEST_F(Queries, ARemovedDirectoryIsEmpty) {
  auto dir = wire::FILE_DIRECTORY;
  world.execute({create(5, dir), insert(kRootIno, "d", 5, dir)});
  world.execute({remove(kRootIno, "d", 5), unlink(5)});
  auto page = world.read_dir(5);
  EXPECT_EQ(error_of(page), Errc::ok);
  EXPECT_TRUE(page.end());
}

TEST_F(Queries, OpenBringsSmallContentsAlong) {
  world.execute({create(5), insert(kRootIno, "f", 5), write_piece(5, 0, "hello")});
  auto opened = world.get_inode(5, true);
  EXPECT_TRUE(opened.has_inline());
  EXPECT_EQ(opened.inode().inline_data(), "hello");
  EXPECT_TRUE(world.get_inode(5).inode().inline_data().empty());
  auto map = world.read_map(5, 2, 2);
  EXPECT_TRUE(map.has_inline());
  EXPECT_EQ(map.inode().inline_data(), "hello");
}

TEST_F(Queries, OpenBringsTheFirstMebibyteOfTheMap) {
  auto mebi = std::uint64_t{1} << 20;
  world.execute({create(5), write_extents(5, {extent(0, 10, 1), extent(mebi - 5, 10, 2), extent(2 * mebi, 10, 3)})});
  auto opened = world.get_inode(5, true);
  EXPECT_FALSE(opened.has_inline());
  ASSERT_EQ(opened.extents_size(), 2);
  EXPECT_EQ(opened.extents(1).length(), 5U);
}

TEST_F(Queries, MapsOfWhatHasNone) {
  EXPECT_EQ(error_of(world.read_map(kRootIno)), Errc::is_directory);
  EXPECT_EQ(error_of(world.read_map(99)), Errc::bad_handle);
  world.execute({create(5, wire::FILE_SYMLINK)});
  EXPECT_EQ(error_of(world.read_map(5)), Errc::invalid);
  EXPECT_EQ(world.get_inode(5).inode().target(), "target");
}

TEST_F(Queries, UsageCounts) {
  make(3);
  world.execute({write_extents(1000, {extent(0, 10, 1)}), write_piece(1001, 0, "abc")});
  wire::Query query;
  query.mutable_arc_usage();
  EXPECT_EQ(world.query(0, query).inodes(), 4U);
  EXPECT_EQ(world.query(0, query).bytes(), 13U);
}

TEST_F(Queries, NonsenseIsAnsweredNotCrashedOn) {
  Tree tree{ArcMap(1)};
  MemoryRecords records;
  tree.create(0, records);
  auto before = records.map();
  for (std::string bytes :
       {std::string("\xff\xff\xff"), std::string(), std::string("\x1a\x05zzzzz"), std::string(300, '\x08')}) {
    wire::Answer answer;
    ASSERT_TRUE(answer.ParseFromString(tree.apply(0, records, 1, bytes)));
    EXPECT_EQ(error_of(answer), Errc::bad_message);
    wire::QueryAnswer told;
    ASSERT_TRUE(told.ParseFromString(tree.query(0, records, bytes)));
    EXPECT_EQ(error_of(told), Errc::bad_message);
  }
  EXPECT_EQ(records.map(), before);
}

}  // namespace chordfs::tree_test
