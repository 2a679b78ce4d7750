#include "tests/fuse/fs/mounts.h"

namespace chordfs {

namespace {
class Renaming : public FileSystemTest {
 protected:
  Ino from_dir = a.make_directory(root, "from").ino();
  Ino to_dir = a.make_directory(root, "to").ino();
};

enum class Kind { none, file, directory, full_directory };

struct Case {
  Kind source, target;
  Errc expected;
};

/// Every pair of kinds, within one directory and across two, from the mount that made them and from another.
class RenameMatrix : public FileSystemTest, public ::testing::WithParamInterface<Case> {
 protected:
  Ino make(Ino dir, std::string name, Kind kind) {
    if (kind == Kind::none) return 0;
    if (kind == Kind::file) return a.make_file(dir, name).ino();
    auto made = a.make_directory(dir, name).ino();
    if (kind == Kind::full_directory) a.make_file(made, "inside");
    return made;
  }
  void check(Mount& by, Ino from, Ino to) {
    auto source = make(from, "s", GetParam().source);
    auto target = make(to, "t", GetParam().target);
    EXPECT_EQ(name_of(by.rename(from, "s", to, "t")), name_of(GetParam().expected));
    bool done = GetParam().expected == Errc::ok;
    EXPECT_EQ(b.ino(from, "s"), done ? 0 : source);
    EXPECT_EQ(b.ino(to, "t"), done ? source : target);
    if (done && GetParam().source != Kind::file) EXPECT_EQ(b.attr(source).parent(), to);
    if (done && target) EXPECT_EQ(b.run(b.files().get_attributes(target)).code(), Errc::bad_handle);
  }
  Ino sub(std::string name) { return a.make_directory(root, std::move(name)).ino(); }
};

TEST_P(RenameMatrix, WithinADirectory) {
  auto dir = sub("d");
  check(a, dir, dir);
}
TEST_P(RenameMatrix, AcrossDirectories) {
  // Several, so that all sorts of arcs meet.
  for (int i = 0; i < 6; ++i) check(a, sub("from" + std::to_string(i)), sub("to" + std::to_string(i)));
  check(a, sub("from"), root);
  check(b, sub("from_b"), sub("to_b"));
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, RenameMatrix,
    ::testing::Values(Case{Kind::none, Kind::none, Errc::not_found}, Case{Kind::none, Kind::file, Errc::not_found},
                      Case{Kind::file, Kind::none, Errc::ok}, Case{Kind::file, Kind::file, Errc::ok},
                      Case{Kind::file, Kind::directory, Errc::is_directory},
                      Case{Kind::file, Kind::full_directory, Errc::is_directory},
                      Case{Kind::directory, Kind::none, Errc::ok}, Case{Kind::full_directory, Kind::none, Errc::ok},
                      Case{Kind::directory, Kind::file, Errc::not_directory},
                      Case{Kind::directory, Kind::directory, Errc::ok},
                      Case{Kind::full_directory, Kind::directory, Errc::ok},
                      Case{Kind::directory, Kind::full_directory, Errc::not_empty}));

TEST_F(Renaming, OntoItselfAndOntoALinkOfItselfDoesNothing) {
  auto file = a.make_file(from_dir, "f").ino();
  ASSERT_TRUE(a.run(a.files().link(file, to_dir, "g")));
  EXPECT_EQ(a.rename(from_dir, "f", from_dir, "f"), Errc::ok);
  EXPECT_EQ(a.rename(from_dir, "f", to_dir, "g"), Errc::ok);
  EXPECT_EQ(a.rename(from_dir, "f", to_dir, "g", Rename::exchange), Errc::ok);
  EXPECT_EQ(b.ino(from_dir, "f"), file);
  EXPECT_EQ(b.ino(to_dir, "g"), file);
  EXPECT_EQ(a.rename(from_dir, "f", to_dir, "g", Rename::no_replace), Errc::exists);
}

TEST_F(Renaming, NoReplaceLeavesTheTarget) {
  auto file = a.make_file(from_dir, "f").ino();
  auto other = a.make_file(to_dir, "g").ino();
  EXPECT_EQ(b.rename(from_dir, "f", to_dir, "g", Rename::no_replace), Errc::exists);
  EXPECT_EQ(b.ino(to_dir, "g"), other);
  EXPECT_EQ(b.rename(from_dir, "f", to_dir, "h", Rename::no_replace), Errc::ok);
  EXPECT_EQ(a.ino(to_dir, "h"), file);
}

TEST_F(Renaming, ReplacedFileLivesOnWhileItIsOpen) {
  a.save(from_dir, "new", "new");
  a.save(to_dir, "f", "old");
  auto handle = b.open(b.ino(to_dir, "f"));
  EXPECT_EQ(a.rename(from_dir, "new", to_dir, "f"), Errc::ok);
  EXPECT_EQ(b.read(handle, 0, 10), "old");
  EXPECT_EQ(b.load(b.ino(to_dir, "f")), "new");
  b.close(handle);
}

TEST_F(Renaming, ExchangesFilesAndDirectories) {
  auto file = a.make_file(from_dir, "x").ino();
  auto directory = a.make_directory(to_dir, "y").ino();
  EXPECT_EQ(b.rename(from_dir, "x", to_dir, "y", Rename::exchange), Errc::ok);
  EXPECT_EQ(a.ino(from_dir, "x"), directory);
  EXPECT_EQ(a.ino(to_dir, "y"), file);
  EXPECT_EQ(a.attr(directory).parent(), from_dir);
  EXPECT_EQ(a.attr(from_dir).nlink(), 3);
  EXPECT_EQ(a.attr(to_dir).nlink(), 2);
  EXPECT_EQ(a.rename(from_dir, "x", to_dir, "y", Rename::exchange), Errc::ok);
  EXPECT_EQ(b.attr(directory).parent(), to_dir);
  EXPECT_EQ(a.rename(from_dir, "x", to_dir, "z", Rename::exchange), Errc::not_found);
}

TEST_F(Renaming, ExchangesTwoDirectories) {
  auto x = a.make_directory(from_dir, "x").ino();
  auto y = a.make_directory(to_dir, "y").ino();
  EXPECT_EQ(a.rename(from_dir, "x", to_dir, "y", Rename::exchange), Errc::ok);
  EXPECT_EQ(b.attr(x).parent(), to_dir);
  EXPECT_EQ(b.attr(y).parent(), from_dir);
  EXPECT_EQ(b.ino(from_dir, "x"), y);
}

TEST_F(Renaming, ADirectoryDoesNotGoBelowItself) {
  auto inner = a.make_directory(from_dir, "inner").ino();
  auto deep = a.make_directory(inner, "deep").ino();
  EXPECT_EQ(a.rename(root, "from", from_dir, "x"), Errc::invalid);
  EXPECT_EQ(a.rename(root, "from", deep, "x"), Errc::invalid);
  EXPECT_EQ(b.rename(root, "from", deep, "x"), Errc::invalid);
  EXPECT_EQ(a.rename(root, "from", inner, "deep", Rename::exchange), Errc::invalid);
  EXPECT_EQ(a.rename(inner, "deep", root, "from", Rename::exchange), Errc::invalid);
  EXPECT_EQ(a.rename(inner, "deep", root, "from"), Errc::not_empty);
  EXPECT_EQ(b.ino(inner, "deep"), deep);
}

TEST_F(Renaming, MovesOfManyMountsNeverLoseAName) {
  // Six names in two directories, moved to and fro by two mounts at once: there is always each file once.
  std::vector<Ino> dirs = {from_dir, to_dir};
  std::vector<Ino> files;
  for (int i = 0; i < 6; ++i) files.push_back(a.make_file(from_dir, "n" + std::to_string(i)).ino());
  auto mover = [](Mount& mount, std::vector<Ino> directories, Rng rng) -> awaitable<void> {
    for (int step = 0; step < 200; ++step) {
      auto name = "n" + std::to_string(rng.below(6)), to_name = "n" + std::to_string(rng.below(12));
      auto from = directories[rng.below(2)], to = directories[rng.below(2)];
      auto done = co_await mount.files().rename(from, name, to, to_name,
                                                rng.below(3) == 0 ? Rename::exchange : Rename::no_replace);
      EXPECT_TRUE(done || done.code() == Errc::not_found || done.code() == Errc::exists) << done.error().text();
    }
  };
  TaskGroup tasks(world.runtime());
  tasks.spawn("a", mover(a, dirs, Rng(1)));
  tasks.spawn("b", mover(b, dirs, Rng(2)));
  world.run(tasks.join());
  std::vector<Ino> found;
  for (auto dir : dirs)
    for (const auto& name : b.list(dir)) found.push_back(b.ino(dir, name));
  std::ranges::sort(found);
  std::ranges::sort(files);
  EXPECT_EQ(found, files);
}
}  // namespace

}  // namespace chordfs
