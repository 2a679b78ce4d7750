#include <gtest/gtest.h>

#include "tests/daemon/tree/world.h"

namespace chordfs::tree_test {

class EntrySteps : public ::testing::Test {
 protected:
  void TearDown() override { EXPECT_EQ(world.broken(), ""); }
  void make(std::string name, std::uint64_t ino, wire::FileType type = wire::FILE_REGULAR) {
    ASSERT_EQ(world.refused({create(ino, type), insert(kRootIno, name, ino, type)}), Errc::ok);
  }
  World world;
};

TEST_F(EntrySteps, CreatedFileIsFoundWithItsAttributes) {
  auto answer = world.execute({insert(kRootIno, "a", 10), create(10)});
  ASSERT_EQ(error_of(answer), Errc::ok);
  ASSERT_EQ(answer.attrs_size(), 2);
  EXPECT_EQ(answer.attrs(0).ino(), kRootIno);
  EXPECT_EQ(answer.attrs(0).mtime(), world.now);
  EXPECT_EQ(answer.attrs(1).ino(), 10U);
  auto found = world.lookup(kRootIno, "a");
  EXPECT_EQ(found.entry().ino(), 10U);
  EXPECT_EQ(found.attr().nlink(), 1U);
}

TEST_F(EntrySteps, InsertRefusesATakenNameAndTellsWhatStandsThere) {
  make("a", 10);
  auto answer = world.execute({create(11), insert(kRootIno, "a", 11)});
  EXPECT_EQ(error_of(answer), Errc::exists);
  EXPECT_EQ(answer.found(), 10U);
  EXPECT_EQ(answer.found_type(), wire::FILE_REGULAR);
  EXPECT_EQ(error_of(world.get_inode(11)), Errc::bad_handle);
}

TEST_F(EntrySteps, InsertReplacesOnlyWhatIsExpected) {
  make("a", 10);
  make("b", 11);
  auto stale = world.execute({insert(kRootIno, "b", 10, wire::FILE_REGULAR, 99)});
  EXPECT_EQ(error_of(stale), Errc::stale);
  EXPECT_EQ(stale.found(), 11U);
  auto absent = world.execute({insert(kRootIno, "c", 10, wire::FILE_REGULAR, 99)});
  EXPECT_EQ(error_of(absent), Errc::stale);
  EXPECT_EQ(absent.found(), 0U);
  EXPECT_EQ(world.refused(
                {remove(kRootIno, "a", 10), insert(kRootIno, "b", 10, wire::FILE_REGULAR, 11), moved(10), unlink(11)}),
            Errc::ok);
  EXPECT_EQ(world.lookup(kRootIno, "b").entry().ino(), 10U);
  EXPECT_EQ(world.attr(11).nlink(), 0U);
}

TEST_F(EntrySteps, InsertNeedsALiveDirectory) {
  make("file", 10);
  make("dir", 11, wire::FILE_DIRECTORY);
  ASSERT_EQ(world.refused({remove(kRootIno, "dir", 11), unlink(11)}), Errc::ok);
  EXPECT_EQ(world.refused({insert(10, "x", 10)}), Errc::not_directory);
  EXPECT_EQ(world.refused({insert(11, "x", 10)}), Errc::not_found);
  EXPECT_EQ(world.refused({insert(99, "x", 10)}), Errc::bad_handle);
}

TEST_F(EntrySteps, NamesAreChecked) {
  make("a", 10);
  EXPECT_EQ(world.refused({insert(kRootIno, std::string(256, 'x'), 10)}), Errc::name_too_long);
  for (std::string name :
       {std::string(), std::string("."), std::string(".."), std::string("a/b"), std::string(1, '\0')})
    EXPECT_EQ(world.refused({insert(kRootIno, name, 10)}), Errc::invalid) << name;
  EXPECT_EQ(world.refused({link(10), insert(kRootIno, std::string(255, '\xff'), 10)}), Errc::ok);
}

TEST_F(EntrySteps, RemoveTellsAbsentFromStale) {
  make("a", 10);
  EXPECT_EQ(world.refused({remove(kRootIno, "b", 10)}), Errc::not_found);
  auto stale = world.execute({remove(kRootIno, "a", 11)});
  EXPECT_EQ(error_of(stale), Errc::stale);
  EXPECT_EQ(stale.found(), 10U);
}

TEST_F(EntrySteps, DirectoriesCountTheirSubdirectories) {
  make("d", 10, wire::FILE_DIRECTORY);
  EXPECT_EQ(world.attr(kRootIno).nlink(), 3U);
  make("e", 11, wire::FILE_DIRECTORY);
  // rename("d", "e"), which is empty.
  ASSERT_EQ(world.refused({remove(kRootIno, "d", 10), insert(kRootIno, "e", 10, wire::FILE_DIRECTORY, 11),
                           moved(10, kRootIno), unlink(11)}),
            Errc::ok);
  EXPECT_EQ(world.attr(kRootIno).nlink(), 3U);
  ASSERT_EQ(world.refused({remove(kRootIno, "e", 10), unlink(10)}), Errc::ok);
  EXPECT_EQ(world.attr(kRootIno).nlink(), 2U);
}

TEST_F(EntrySteps, ExchangeOfAFileAndADirectory) {
  make("f", 10);
  make("d", 11, wire::FILE_DIRECTORY);
  ASSERT_EQ(world.refused({insert(kRootIno, "f", 11, wire::FILE_DIRECTORY, 10),
                           insert(kRootIno, "d", 10, wire::FILE_REGULAR, 11), moved(10), moved(11, kRootIno)}),
            Errc::ok);
  EXPECT_EQ(world.lookup(kRootIno, "f").attr().type(), wire::FILE_DIRECTORY);
  EXPECT_EQ(world.attr(kRootIno).nlink(), 3U);
}

TEST_F(EntrySteps, AFailedStepUndoesThoseBeforeIt) {
  make("a", 10);
  auto before = world.records(0).map();
  EXPECT_EQ(world.refused({create(11), insert(kRootIno, "b", 11), link(10), insert(kRootIno, "a", 11)}), Errc::exists);
  EXPECT_EQ(world.records(0).map(), before);
}

TEST_F(EntrySteps, ChangesOfEntriesChangeTheDirectory) {
  auto before = world.attr(kRootIno);
  world.now = 2000;
  make("a", 10);
  auto after = world.attr(kRootIno);
  EXPECT_EQ(after.mtime(), 2000);
  EXPECT_EQ(after.ctime(), 2000);
  EXPECT_GT(after.version(), before.version());
}

TEST_F(EntrySteps, TooManyStepsAreRefused) {
  StepList steps(129, chmod(kRootIno, 0700));
  EXPECT_EQ(world.refused(steps), Errc::invalid);
}

}  // namespace chordfs::tree_test
