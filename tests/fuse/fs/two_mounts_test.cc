// What one mount sees of another, and what survives a name's end.
#include "tests/fuse/fs/mounts.h"

namespace chordfs {

namespace {
class TwoMounts : public FileSystemTest {
 protected:
  Opened opened(Mount& mount, Ino ino, bool truncate = false) {
    auto result = mount.run(mount.files().open(ino, truncate));
    EXPECT_TRUE(result) << result.error().text();
    return result.value_or(Opened());
  }
  bool unchanged(Mount& mount, Ino ino) {
    auto result = opened(mount, ino);
    mount.close(result.handle);
    return result.unchanged;
  }
};

TEST_F(TwoMounts, OpenTellsWhetherCachedPagesAreStillRight) {
  a.save(root, "f", "one");
  auto ino = a.ino(root, "f");
  EXPECT_TRUE(unchanged(a, ino));
  EXPECT_FALSE(unchanged(b, ino));
  EXPECT_TRUE(unchanged(b, ino));
  a.save(root, "f", "two");
  EXPECT_TRUE(unchanged(a, ino));
  EXPECT_FALSE(unchanged(b, ino));
  EXPECT_TRUE(unchanged(b, ino));
}

TEST_F(TwoMounts, ChangeInBetweenIsNoticedInSpiteOfOwnChanges) {
  auto ino = a.make_file(root, "f").ino();
  auto mine = a.open(ino);
  a.write(mine, 0, "mine");
  a.flush(mine);
  auto theirs = b.open(ino);
  b.write(theirs, 4, "theirs");
  b.close(theirs);
  a.write(mine, 10, "again");
  a.close(mine);
  EXPECT_FALSE(unchanged(a, ino));
  EXPECT_EQ(a.load(ino), "minetheirsagain");
}

TEST_F(TwoMounts, CloseToOpen) {
  auto ino = a.make_file(root, "f").ino();
  for (int i = 0; i < 20; ++i) {
    auto& writer = i % 2 ? a : b;
    auto& reader = i % 2 ? b : a;
    auto contents = pattern(static_cast<std::size_t>(i) * 900 + 1, static_cast<std::uint64_t>(i));
    writer.save(root, "f", contents);
    EXPECT_EQ(reader.load(ino), contents);
    EXPECT_EQ(reader.attr(ino).size(), contents.size());
  }
}

TEST_F(TwoMounts, OpenFileOutlivesItsName) {
  a.save(root, "f", pattern(10000));
  auto ino = a.ino(root, "f");
  auto handle = a.open(ino);
  EXPECT_EQ(b.unlink(root, "f"), Errc::ok);
  world.run_for(30s);
  EXPECT_EQ(a.read(handle, 0, 20000), pattern(10000));
  a.write(handle, 10000, "more");
  a.flush(handle);
  EXPECT_EQ(a.attr(ino).nlink(), 0);
  EXPECT_EQ(a.attr(ino).size(), 10004);
  EXPECT_EQ(a.read(handle, 9999, 20000), pattern(10000).substr(9999) + "more");
  a.close(handle);
  EXPECT_EQ(a.run(a.files().get_attributes(ino)).code(), Errc::bad_handle);
  EXPECT_TRUE(ring.blocks().empty());
}

TEST_F(TwoMounts, FileThatIsOpenFromItsCreationOutlivesItsName) {
  auto handle = a.create(root, "f");
  EXPECT_EQ(b.unlink(root, "f"), Errc::ok);
  a.write(handle, 0, "still here");
  a.flush(handle);
  EXPECT_EQ(a.read(handle, 0, 100), "still here");
  a.close(handle);
}

TEST_F(TwoMounts, OpenWithTruncationEmptiesAndTouches) {
  a.save(root, "f", pattern(10000));
  auto ino = a.ino(root, "f");
  auto emptied = opened(b, ino, true);
  EXPECT_EQ(emptied.attr.size(), 0);
  EXPECT_FALSE(emptied.unchanged);
  EXPECT_EQ(a.attr(ino).size(), 0);
  b.close(emptied.handle);
  auto before = a.attr(ino).mtime();
  world.run_for(1s);
  b.close(opened(b, ino, true).handle);
  EXPECT_GT(a.attr(ino).mtime(), before);
}

TEST_F(TwoMounts, DirectoriesAreNotOpenedAsFiles) {
  EXPECT_EQ(a.run(a.files().open(root, false)).code(), Errc::is_directory);
  EXPECT_EQ(a.run(a.files().open(12345, false)).code(), Errc::bad_handle);
  EXPECT_EQ(a.run(a.files().read(99, 0, 1)).code(), Errc::bad_handle);
  EXPECT_EQ(a.run(a.files().write(99, 0, Bytes::copy("x"))).code(), Errc::bad_handle);
}

TEST_F(TwoMounts, BlocksOfAnOldMapAreLookedUpAnew) {
  auto old_contents = pattern(3 << 20), new_contents = pattern(3 << 20, 2);
  a.save(root, "f", old_contents);
  auto ino = a.ino(root, "f");
  auto handle = b.open(ino);
  EXPECT_TRUE(b.read(handle, 0, 4096) == old_contents.substr(0, 4096));
  // Every old block is deleted, and b, which has the file open, is not told.
  a.save(root, "f", new_contents);
  EXPECT_TRUE(b.read(handle, 2 << 20, 4096) == new_contents.substr(2 << 20, 4096));
  b.close(handle);
}

TEST_F(TwoMounts, ExtendedAttributes) {
  auto ino = a.make_file(root, "f").ino();
  auto get = [&](Mount& mount, std::string name) { return mount.run(mount.files().get_xattr(ino, std::move(name))); };
  auto set = [&](std::string name, std::string value, SetXattr how = SetXattr::any) {
    return a.run(a.files().set_xattr(ino, std::move(name), std::move(value), how)).code();
  };
  auto handle = b.open(ino);
  EXPECT_EQ(get(b, "security.capability").code(), Errc::no_attribute);
  auto queries = calls("query");
  EXPECT_EQ(get(b, "security.capability").code(), Errc::no_attribute);
  EXPECT_EQ(calls("query"), queries);
  b.close(handle);
  EXPECT_EQ(set("user.one", "1", SetXattr::replace), Errc::no_attribute);
  EXPECT_EQ(set("user.one", "1", SetXattr::create), Errc::ok);
  EXPECT_EQ(set("user.one", "1", SetXattr::create), Errc::exists);
  EXPECT_EQ(set("user.two", std::string("\0\1", 2)), Errc::ok);
  EXPECT_EQ(*get(b, "user.two"), std::string("\0\1", 2));
  EXPECT_EQ(*b.run(b.files().list_xattrs(ino)), (std::vector<std::string>{"user.one", "user.two"}));
  EXPECT_EQ(set("user.\xff\xfe", "x"), Errc::not_supported);
  EXPECT_EQ(set("user.\u00e9", "x"), Errc::ok);
  EXPECT_TRUE(a.run(a.files().remove_xattr(ino, "user.\u00e9")));
  EXPECT_TRUE(b.run(b.files().remove_xattr(ino, "user.one")));
  EXPECT_EQ(get(a, "user.one").code(), Errc::no_attribute);
  EXPECT_EQ(set("user.big", std::string(kXattrValueBytesMax + 1, 'x')), Errc::too_big);
  EXPECT_EQ(set("user." + std::string(300, 'x'), ""), Errc::out_of_range);
  EXPECT_EQ(set("system.posix_acl_access", "x"), Errc::invalid);
  EXPECT_EQ(set("system.other", "x"), Errc::not_supported);
}

TEST_F(TwoMounts, LocationIsAnAttributeThatCannotBeSet) {
  a.save(root, "f", pattern(5 << 20));
  auto ino = a.ino(root, "f");
  auto location = b.run(b.files().get_xattr(ino, "user.chordfs.location"));
  ASSERT_TRUE(location) << location.error().text();
  EXPECT_NE(location->find("arc 0 node local:1"), std::string::npos) << *location;
  EXPECT_NE(location->find("blocks: 5 in"), std::string::npos) << *location;
  EXPECT_TRUE(b.run(b.files().get_xattr(root, "user.chordfs.location")));
  EXPECT_TRUE(b.run(b.files().list_xattrs(ino))->empty());
  EXPECT_EQ(b.run(b.files().set_xattr(ino, "user.chordfs.location", "x", SetXattr::any)).code(), Errc::not_permitted);
}
}  // namespace

}  // namespace chordfs
