#include "tools/cli/tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fuse/fs/mounts.h"

namespace chordfs::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CliTree : public FileSystemTest {
 protected:
  wire::Attr link(Ino parent, std::string name, std::string target) {
    NewObject object{.type = wire::FILE_SYMLINK, .mode = 0777, .rdev = 0, .target = std::move(target)};
    return *a.run(a.files().make(parent, std::move(name), object, {}));
  }
  Result<wire::Attr> found(std::string path, LastLink last = LastLink::follow) {
    return a.run(resolve(a.files(), std::move(path), last));
  }

  Ino dir = a.make_directory(root, "dir").ino();
  Ino deep = a.make_directory(dir, "deep").ino();
  Ino file = a.make_file(deep, "file").ino();
};

TEST_F(CliTree, PathsAreFollowedNameByName) {
  EXPECT_EQ(found("/")->ino(), root);
  EXPECT_EQ(found("/dir/deep/file")->ino(), file);
  EXPECT_EQ(found("//dir/./deep/../deep//file")->ino(), file);
  EXPECT_EQ(found("/../../dir")->ino(), dir);
}

TEST_F(CliTree, MissingNamesAreToldWithThePath) {
  auto missing = found("/dir/nothing");
  EXPECT_EQ(missing.code(), Errc::not_found);
  EXPECT_EQ(missing.error().context, "/dir/nothing: no such file or directory");
  EXPECT_EQ(found("/dir/deep/file/below").code(), Errc::not_directory);
}

TEST_F(CliTree, SymbolicLinksAreFollowed) {
  link(root, "relative", "dir/deep");
  link(deep, "absolute", "/dir");
  auto last = link(root, "last", "relative/file");
  EXPECT_EQ(found("/relative/file")->ino(), file);
  EXPECT_EQ(found("/relative/absolute/deep/file")->ino(), file);
  EXPECT_EQ(found("/last")->ino(), file);
  EXPECT_EQ(found("/last", LastLink::keep)->ino(), last.ino());
}

TEST_F(CliTree, LoopOfLinksEnds) {
  link(root, "one", "two");
  link(root, "two", "one");
  EXPECT_EQ(found("/one/x").code(), Errc::invalid);
}

TEST_F(CliTree, TargetIsInsideADirectoryOrThePathItself) {
  auto inside = a.run(resolve_target(a.files(), "/dir", "new"));
  ASSERT_TRUE(inside);
  EXPECT_EQ(inside->dir, dir);
  EXPECT_EQ(inside->name, "new");
  auto itself = a.run(resolve_target(a.files(), "/dir/other", "new"));
  ASSERT_TRUE(itself);
  EXPECT_EQ(itself->name, "other");
  EXPECT_EQ(a.run(resolve_target(a.files(), "/absent/", "new")).code(), Errc::not_found);
  EXPECT_EQ(a.run(resolve_target(a.files(), "/dir/deep/file/", "new")).code(), Errc::not_directory);
  EXPECT_EQ(a.run(resolve_place(a.files(), "/")).code(), Errc::invalid);
}

TEST_F(CliTree, RemoveAllTakesTheWholeTree) {
  for (int i = 0; i < 50; ++i) a.make_file(deep, "file" + std::to_string(i));
  ASSERT_TRUE(a.run(remove_all(a.files(), {root, "dir"}, "/dir")));
  EXPECT_EQ(a.ino(root, "dir"), 0U);
  EXPECT_TRUE(a.run(remove_all(a.files(), {root, "dir"}, "/dir"))) << "what is gone already is no failure";
}

TEST_F(CliTree, EntriesComeInPages) {
  std::size_t count = 0;
  for (int i = 0; i < 1200; ++i) a.make_file(dir, std::to_string(i));
  auto each = [&](DirectoryEntry) -> awaitable<Result<void>> {
    ++count;
    co_return Result<void>();
  };
  ASSERT_TRUE(a.run(for_each_entry(a.files(), dir, each)));
  EXPECT_EQ(count, 1201U);
}

TEST_F(CliTree, ErrorsSayWhatToDo) {
  EXPECT_THAT(needs_recursive("/dir").context, HasSubstr("-r"));
  EXPECT_EQ(about("/a\nb", {Errc::exists, "raw"}).context, "/a?b: exists already");
  EXPECT_EQ(about("/a", {Errc::io_error, "raw"}).context, "/a: io_error: raw");
}

}  // namespace
}  // namespace chordfs::cli
