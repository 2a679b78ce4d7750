#include <gtest/gtest.h>

#include "tests/daemon/tree/world.h"

namespace chordfs::tree_test {

class InodeSteps : public ::testing::Test {
 protected:
  void make(std::string name, std::uint64_t ino, wire::FileType type = wire::FILE_REGULAR) {
    ASSERT_EQ(world.refused({create(ino, type), insert(kRootIno, name, ino, type)}), Errc::ok);
  }
  World world;
};

TEST_F(InodeSteps, CreateSetsTimesAndKeepsTheRest) {
  auto step = create(10);
  step.mutable_create()->mutable_inode()->mutable_attr()->set_mode(04755);
  step.mutable_create()->mutable_inode()->mutable_attr()->set_uid(7);
  step.mutable_create()->mutable_inode()->mutable_attr()->set_mtime(5);
  ASSERT_EQ(world.refused({step}), Errc::ok);
  auto attr = world.attr(10);
  EXPECT_EQ(attr.mode(), 04755U);
  EXPECT_EQ(attr.uid(), 7U);
  EXPECT_EQ(attr.mtime(), world.now);
  EXPECT_EQ(attr.version(), 1U);
}

TEST_F(InodeSteps, CreateRefusesNumbersOfOtherArcsAndTakenOnes) {
  World two(1);
  EXPECT_EQ(error_of(two.execute(0, {create(two.ino(1, 5))})), Errc::invalid);
  EXPECT_EQ(error_of(two.execute(1, {create(two.ino(1, 5))})), Errc::ok);
  EXPECT_EQ(error_of(two.execute(1, {create(two.ino(1, 5))})), Errc::exists);
  EXPECT_EQ(world.refused({create(0)}), Errc::invalid);
}

TEST_F(InodeSteps, CreateChecksWhatAnInodeMayHold) {
  auto symlink = create(10, wire::FILE_SYMLINK);
  auto* inode = symlink.mutable_create()->mutable_inode();
  inode->set_target(std::string(4096, 'x'));
  EXPECT_EQ(world.refused({symlink}), Errc::name_too_long);
  inode->set_target(std::string(4095, 'x'));
  EXPECT_EQ(world.refused({symlink}), Errc::ok);
  EXPECT_EQ(world.attr(10).size(), 4095U);
  auto typeless = create(11, wire::FILE_NONE);
  EXPECT_EQ(world.refused({typeless}), Errc::invalid);
  auto file = create(12);
  file.mutable_create()->mutable_inode()->set_inline_data("contents beyond size 0");
  EXPECT_EQ(world.refused({file}), Errc::invalid);
  auto directory = create(13, wire::FILE_DIRECTORY);
  directory.mutable_create()->mutable_inode()->mutable_attr()->set_nlink(1);
  EXPECT_EQ(world.refused({directory}), Errc::invalid);
}

TEST_F(InodeSteps, LinksAreCounted) {
  make("a", 10);
  world.now = 2000;
  ASSERT_EQ(world.refused({link(10), insert(kRootIno, "b", 10)}), Errc::ok);
  EXPECT_EQ(world.attr(10).nlink(), 2U);
  EXPECT_EQ(world.attr(10).ctime(), 2000);
  ASSERT_EQ(world.refused({remove(kRootIno, "a", 10), unlink(10)}), Errc::ok);
  EXPECT_EQ(world.attr(10).nlink(), 1U);
  EXPECT_EQ(world.broken(), "");
}

TEST_F(InodeSteps, LinkRefusesDirectoriesOrphansAndTheAbsent) {
  make("d", 10, wire::FILE_DIRECTORY);
  make("f", 11);
  ASSERT_EQ(world.refused({remove(kRootIno, "f", 11), unlink(11)}), Errc::ok);
  EXPECT_EQ(world.refused({link(10)}), Errc::not_permitted);
  EXPECT_EQ(world.refused({link(11)}), Errc::not_found);
  EXPECT_EQ(world.refused({link(99)}), Errc::not_found);
}

TEST_F(InodeSteps, LinksHaveALimit) {
  auto step = create(10);
  step.mutable_create()->mutable_inode()->mutable_attr()->set_nlink(kLinksMax);
  ASSERT_EQ(world.refused({step}), Errc::ok);
  EXPECT_EQ(world.refused({link(10)}), Errc::too_many_links);
}

TEST_F(InodeSteps, UnlinkChecksTheKind) {
  make("d", 10, wire::FILE_DIRECTORY);
  make("f", 11);
  EXPECT_EQ(world.refused({unlink(10, wire::UnlinkInode::MUST_NOT_BE_DIRECTORY)}), Errc::is_directory);
  EXPECT_EQ(world.refused({unlink(11, wire::UnlinkInode::MUST_BE_DIRECTORY)}), Errc::not_directory);
  EXPECT_EQ(world.refused({unlink(kRootIno)}), Errc::not_permitted);
}

TEST_F(InodeSteps, UnlinkRefusesAFullDirectory) {
  make("d", 10, wire::FILE_DIRECTORY);
  ASSERT_EQ(world.refused({create(11), insert(10, "x", 11)}), Errc::ok);
  EXPECT_EQ(world.refused({remove(kRootIno, "d", 10), unlink(10)}), Errc::not_empty);
  ASSERT_EQ(world.refused({remove(10, "x", 11), unlink(11), remove(kRootIno, "d", 10), unlink(10)}), Errc::ok);
  EXPECT_EQ(world.attr(10).nlink(), 0U);
  EXPECT_EQ(world.refused({unlink(10)}), Errc::not_found);
  EXPECT_EQ(world.broken(), "");
}

TEST_F(InodeSteps, MovedSetsParentOfDirectoriesOnly) {
  make("d", 10, wire::FILE_DIRECTORY);
  make("f", 11);
  world.now = 3000;
  ASSERT_EQ(world.refused({moved(10, 77), moved(11, 77)}), Errc::ok);
  EXPECT_EQ(world.attr(10).parent(), 77U);
  EXPECT_EQ(world.attr(10).ctime(), 3000);
  EXPECT_EQ(world.attr(11).parent(), 0U);
  EXPECT_EQ(world.attr(11).ctime(), 3000);
}

TEST_F(InodeSteps, SetAttrChangesWhatIsGivenAndCtime) {
  make("f", 10);
  world.now = 4000;
  wire::Step step;
  auto* set = step.mutable_set_attr();
  set->set_ino(10);
  set->set_uid(5);
  set->set_gid(6);
  set->set_atime(-7);
  set->set_mtime_now(true);
  auto before = world.attr(10);
  ASSERT_EQ(world.refused({step}), Errc::ok);
  auto after = world.attr(10);
  EXPECT_EQ(after.uid(), 5U);
  EXPECT_EQ(after.gid(), 6U);
  EXPECT_EQ(after.mode(), before.mode());
  EXPECT_EQ(after.atime(), -7);
  EXPECT_EQ(after.mtime(), 4000);
  EXPECT_EQ(after.ctime(), 4000);
  EXPECT_EQ(after.version(), before.version() + 1);
}

TEST_F(InodeSteps, SizeIsForRegularFiles) {
  make("d", 10, wire::FILE_DIRECTORY);
  make("l", 11, wire::FILE_SYMLINK);
  make("f", 12);
  EXPECT_EQ(world.refused({resize(10, 1)}), Errc::is_directory);
  EXPECT_EQ(world.refused({resize(11, 1)}), Errc::invalid);
  EXPECT_EQ(world.refused({resize(12, kFileBytesMax + 1)}), Errc::file_too_large);
  EXPECT_EQ(world.refused({resize(12, kFileBytesMax)}), Errc::ok);
  EXPECT_EQ(world.refused({resize(99, 1)}), Errc::bad_handle);
}

TEST_F(InodeSteps, XattrModes) {
  make("f", 10);
  EXPECT_EQ(world.refused({set_xattr(10, "user.a", "1", wire::SetXattr::REPLACE)}), Errc::no_attribute);
  EXPECT_EQ(world.refused({set_xattr(10, "user.a", "1", wire::SetXattr::CREATE)}), Errc::ok);
  EXPECT_EQ(world.refused({set_xattr(10, "user.a", "2", wire::SetXattr::CREATE)}), Errc::exists);
  EXPECT_EQ(world.refused({set_xattr(10, "user.a", "3", wire::SetXattr::REPLACE)}), Errc::ok);
  EXPECT_EQ(world.get_inode(10).inode().xattrs().at("user.a"), "3");
  EXPECT_EQ(world.refused({remove_xattr(10, "user.a")}), Errc::ok);
  EXPECT_EQ(world.refused({remove_xattr(10, "user.a")}), Errc::no_attribute);
}

TEST_F(InodeSteps, XattrLimits) {
  make("f", 10);
  EXPECT_EQ(world.refused({set_xattr(10, std::string(256, 'n'), "")}), Errc::out_of_range);
  EXPECT_EQ(world.refused({set_xattr(10, "", "")}), Errc::out_of_range);
  EXPECT_EQ(world.refused({set_xattr(10, "n", std::string(65537, 'v'))}), Errc::too_big);
  EXPECT_EQ(world.refused({set_xattr(10, "n", std::string(65535, 'v'))}), Errc::ok);
  EXPECT_EQ(world.refused({set_xattr(10, "m", "")}), Errc::too_big);
  EXPECT_EQ(world.refused({set_xattr(10, "n", std::string(65535, 'w'))}), Errc::ok);
}

TEST_F(InodeSteps, RecordsAreTheSameBytesInWhateverOrderAttributesWereSet) {
  World other;
  for (World* one : {&world, &other}) ASSERT_EQ(one->refused({create(10)}), Errc::ok);
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(world.refused({set_xattr(10, "user." + std::to_string(i), "v")}), Errc::ok);
    ASSERT_EQ(other.refused({set_xattr(10, "user." + std::to_string(49 - i), "v")}), Errc::ok);
  }
  EXPECT_EQ(world.records(0).map(), other.records(0).map());
}

}  // namespace chordfs::tree_test
