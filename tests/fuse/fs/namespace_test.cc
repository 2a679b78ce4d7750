#include "tests/fuse/fs/mounts.h"

namespace chordfs {

namespace {
class Namespace : public FileSystemTest {};

std::string type_name(wire::FileType type) {
  return wire::FileType_Name(type);
}

TEST_F(Namespace, MakesEveryTypeOfObject) {
  for (auto type : {wire::FILE_REGULAR, wire::FILE_DIRECTORY, wire::FILE_SYMLINK, wire::FILE_FIFO, wire::FILE_SOCKET,
                    wire::FILE_CHAR, wire::FILE_BLOCK}) {
    auto made = a.make(root, type_name(type), type, 0751);
    auto seen = b.run(b.files().lookup(root, type_name(type)));
    ASSERT_TRUE(seen) << seen.error().text();
    EXPECT_EQ(seen->ino(), made.ino());
    EXPECT_EQ(seen->type(), type);
    EXPECT_EQ(seen->mode(), 0751);
    EXPECT_EQ(seen->uid(), 1000);
    EXPECT_EQ(seen->nlink(), type == wire::FILE_DIRECTORY ? 2 : 1);
  }
  EXPECT_EQ(a.list(root).size(), 7);
  EXPECT_EQ(*a.run(a.files().read_link(a.ino(root, "FILE_SYMLINK"))), "target");
  EXPECT_EQ(a.run(a.files().read_link(a.ino(root, "FILE_FIFO"))).code(), Errc::invalid);
}

TEST_F(Namespace, NewFileLivesInItsDirectorysArc) {
  bool elsewhere = false;
  for (int i = 0; i < 8; ++i) {
    auto dir = a.make_directory(root, "d" + std::to_string(i)).ino();
    elsewhere = elsewhere || a.client().arc_of_ino(dir) != a.client().arc_of_ino(root);
    auto file = a.make_file(dir, "f").ino();
    EXPECT_EQ(a.client().arc_of_ino(file), a.client().arc_of_ino(dir));
  }
  EXPECT_TRUE(elsewhere);
  EXPECT_EQ(a.attr(root).nlink(), 10);
}

TEST_F(Namespace, CreateIsOneTransaction) {
  auto dir = a.make_directory(root, "d").ino();
  auto transactions = calls("transact"), queries = calls("query");
  a.make_file(dir, "f");
  EXPECT_EQ(calls("transact") - transactions, 1);
  EXPECT_LE(calls("query") - queries, 1);
  queries = calls("query");
  a.make_file(dir, "g");
  EXPECT_EQ(calls("query") - queries, 0);
}

TEST_F(Namespace, UnlinkAfterLookupIsOneCall) {
  a.make_file(root, "f");
  b.ino(root, "f");
  auto before = calls("query") + calls("transact");
  EXPECT_EQ(b.unlink(root, "f"), Errc::ok);
  EXPECT_EQ(calls("query") + calls("transact") - before, 1);
}

TEST_F(Namespace, NameIsTaken) {
  a.make_file(root, "f");
  for (auto type : {wire::FILE_REGULAR, wire::FILE_DIRECTORY}) {
    NewObject object;
    object.type = type;
    EXPECT_EQ(b.run(b.files().make(root, "f", object, {})).code(), Errc::exists);
  }
}

TEST_F(Namespace, NameIsTooLong) {
  std::string name(256, 'n');
  NewObject object;
  EXPECT_EQ(a.run(a.files().make(root, name, object, {})).code(), Errc::name_too_long);
  EXPECT_EQ(a.run(a.files().lookup(root, name)).code(), Errc::name_too_long);
  EXPECT_EQ(a.unlink(root, name), Errc::name_too_long);
  EXPECT_EQ(a.rename(root, "f", root, name), Errc::name_too_long);
  a.make_file(root, name.substr(1));
}

TEST_F(Namespace, SetGroupDirectoryHandsItsGroupDown) {
  auto dir = a.make_directory(root, "d").ino();
  SetAttributes set;
  set.gid = 77;
  set.mode = 02775;
  ASSERT_TRUE(a.run(a.files().set_attributes(dir, set)));
  auto file = a.make(dir, "f", wire::FILE_REGULAR, 0644);
  EXPECT_EQ(file.gid(), 77);
  EXPECT_EQ(file.mode(), 0644);
  auto below = a.make(dir, "sub", wire::FILE_DIRECTORY, 0755);
  EXPECT_EQ(below.gid(), 77);
  EXPECT_EQ(below.mode(), 02755);
}

TEST_F(Namespace, RemovesWithTheErrorsOfLinux) {
  auto dir = a.make_directory(root, "d").ino();
  a.make_file(dir, "f");
  EXPECT_EQ(a.unlink(root, "d"), Errc::is_directory);
  EXPECT_EQ(a.remove_directory(dir, "f"), Errc::not_directory);
  EXPECT_EQ(a.remove_directory(root, "d"), Errc::not_empty);
  EXPECT_EQ(a.unlink(dir, "g"), Errc::not_found);
  EXPECT_EQ(a.remove_directory(dir, "g"), Errc::not_found);
  EXPECT_EQ(a.unlink(dir, "f"), Errc::ok);
  EXPECT_EQ(a.remove_directory(root, "d"), Errc::ok);
  EXPECT_EQ(a.ino(root, "d"), 0);
  EXPECT_EQ(a.attr(root).nlink(), 2);
}

TEST_F(Namespace, HintsThatAreOutOfDateDoNoHarm) {
  a.make_file(root, "f");
  a.make_directory(root, "d");
  // b knows both; a exchanges what they are.
  b.ino(root, "f");
  b.ino(root, "d");
  a.unlink(root, "f");
  a.remove_directory(root, "d");
  a.make_directory(root, "f");
  a.make_file(root, "d");
  EXPECT_EQ(b.remove_directory(root, "f"), Errc::ok);
  EXPECT_EQ(b.unlink(root, "d"), Errc::ok);
  EXPECT_TRUE(a.list(root).empty());
  // a still believes in both.
  EXPECT_EQ(a.unlink(root, "d"), Errc::not_found);
  EXPECT_EQ(a.rename(root, "f", root, "g"), Errc::not_found);
}

TEST_F(Namespace, NothingIsMadeInARemovedDirectory) {
  auto dir = a.make_directory(root, "d").ino();
  b.attr(dir);
  a.remove_directory(root, "d");
  NewObject object;
  auto made = b.run(b.files().make(dir, "f", object, {}));
  EXPECT_TRUE(made.code() == Errc::not_found || made.code() == Errc::bad_handle) << name_of(made.code());
}

TEST_F(Namespace, LinksShareAnInode) {
  auto dir = a.make_directory(root, "d").ino();
  auto file = a.make_file(root, "f").ino();
  auto linked = b.run(b.files().link(file, dir, "g"));
  ASSERT_TRUE(linked) << linked.error().text();
  EXPECT_EQ(linked->nlink(), 2);
  EXPECT_EQ(a.ino(dir, "g"), file);
  EXPECT_EQ(b.run(b.files().link(file, dir, "g")).code(), Errc::exists);
  EXPECT_EQ(b.run(b.files().link(dir, root, "loop")).code(), Errc::not_permitted);
  EXPECT_EQ(a.unlink(root, "f"), Errc::ok);
  EXPECT_EQ(a.attr(file).nlink(), 1);
  EXPECT_EQ(a.unlink(dir, "g"), Errc::ok);
  EXPECT_EQ(a.run(a.files().get_attributes(file)).code(), Errc::bad_handle);
}

TEST_F(Namespace, ListsEveryEntryOnceInPages) {
  auto dir = a.make_directory(root, "d").ino();
  std::vector<std::string> names;
  for (int i = 0; i < 50; ++i) names.push_back("file" + std::to_string(100 + i));
  for (const auto& name : names) a.make_file(dir, name);
  EXPECT_EQ(b.list(dir), names);
  auto page = b.run(b.files().read_directory(dir, 0, 1000, true));
  ASSERT_TRUE(page);
  for (const auto& entry : *page) EXPECT_EQ(entry.attr.value_or(wire::Attr()).ino(), entry.ino);
}

TEST_F(Namespace, UsageCountsInodes) {
  a.make_file(root, "f");
  auto usage = a.run(a.files().usage());
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->inodes, 2);
  EXPECT_GT(usage->bytes_free, 0);
}
}  // namespace

}  // namespace chordfs
