#include "tests/local_client.h"

#include <gtest/gtest.h>

#include "proto/wire/limits.h"
#include "tools/sim/world.h"

namespace chordfs {

namespace {
wire::Step insert_step(std::uint64_t dir, std::string name, std::uint64_t ino, wire::FileType type) {
  wire::Step step;
  step.mutable_insert()->set_dir(dir);
  step.mutable_insert()->set_name(std::move(name));
  step.mutable_insert()->set_ino(ino);
  step.mutable_insert()->set_type(type);
  return step;
}

wire::Step remove_step(std::uint64_t dir, std::string name, std::uint64_t ino) {
  wire::Step step;
  step.mutable_remove()->set_dir(dir);
  step.mutable_remove()->set_name(std::move(name));
  step.mutable_remove()->set_expected(ino);
  return step;
}

wire::Step create_step(std::uint64_t ino, wire::FileType type, std::uint64_t parent) {
  wire::Step step;
  auto* attr = step.mutable_create()->mutable_inode()->mutable_attr();
  attr->set_ino(ino);
  attr->set_type(type);
  attr->set_nlink(type == wire::FILE_DIRECTORY ? 2 : 1);
  attr->set_parent(parent);
  return step;
}

struct LocalClientTest : testing::Test {
  LocalClientTest() { world.run(start()); }
  awaitable<void> start() {
    EXPECT_TRUE(co_await client.open_session("test"));
    EXPECT_TRUE(co_await other.open_session("other"));
  }

  /// Steps of two arcs, or of one.
  Result<wire::Answer> transact(std::vector<std::pair<ArcNumber, wire::Step>> steps, std::uint64_t moved = 0,
                                std::uint64_t new_parent = 0) {
    wire::Transaction transaction;
    for (auto& [arc, step] : steps) {
      if (transaction.parts_size() == 0 || transaction.parts().rbegin()->arc() != arc)
        transaction.add_parts()->set_arc(arc);
      *transaction.mutable_parts()->rbegin()->add_steps() = std::move(step);
    }
    transaction.set_moved(moved);
    transaction.set_new_parent(new_parent);
    return world.run(client.transact(std::move(transaction), 0));
  }
  /// A new directory in an arc, named in `dir`.
  std::uint64_t make_directory(std::uint64_t dir, std::string name, ArcNumber arc) {
    auto ino = client.new_ino(arc);
    auto home = client.arc_of_ino(dir);
    auto named = insert_step(dir, std::move(name), ino, wire::FILE_DIRECTORY);
    EXPECT_TRUE(transact({{home, named}, {arc, create_step(ino, wire::FILE_DIRECTORY, dir)}}));
    return ino;
  }
  std::uint64_t make_file(std::string name) {
    auto ino = client.new_ino(0);
    auto named = insert_step(kRootIno, std::move(name), ino, wire::FILE_REGULAR);
    EXPECT_TRUE(transact({{0, named}, {0, create_step(ino, wire::FILE_REGULAR, 0)}}));
    return ino;
  }
  Errc unlink(std::string name, std::uint64_t ino) {
    wire::Step step;
    step.mutable_unlink()->set_ino(ino);
    return transact({{0, remove_step(kRootIno, std::move(name), ino)}, {0, step}}).code();
  }
  Result<wire::QueryAnswer> get_inode(std::uint64_t ino, bool open = false) {
    wire::Query query;
    query.mutable_get_inode()->set_ino(ino);
    query.mutable_get_inode()->set_open(open);
    return world.run(client.query(client.arc_of_ino(ino), std::move(query)));
  }

  World world{1};
  LocalRing ring;
  LocalClient client{world.runtime(), ring};
  LocalClient other{world.runtime(), ring};
};
}  // namespace

TEST_F(LocalClientTest, TransactionsOverTwoArcsAreWhole) {
  auto dir = make_directory(kRootIno, "d", 3);
  EXPECT_EQ(get_inode(dir)->inode().attr().nlink(), 2U);
  EXPECT_EQ(get_inode(kRootIno)->inode().attr().nlink(), 3U);
  auto again = client.new_ino(3);
  auto refused = transact({{0, insert_step(kRootIno, "d", again, wire::FILE_DIRECTORY)},
                           {3, create_step(again, wire::FILE_DIRECTORY, kRootIno)}});
  EXPECT_EQ(refused.code(), Errc::exists);
  EXPECT_EQ(get_inode(again).code(), Errc::bad_handle);
}

TEST_F(LocalClientTest, StaleIsAnAnswer) {
  auto ino = make_file("a");
  auto stale = transact({{0, remove_step(kRootIno, "a", ino + 1)}});
  ASSERT_TRUE(stale);
  EXPECT_EQ(stale->found(), ino);
}

TEST_F(LocalClientTest, ADirectoryIsNotMovedBelowItself) {
  auto above = make_directory(kRootIno, "above", 1);
  auto below = make_directory(above, "below", 2);
  wire::Step moved;
  moved.mutable_moved()->set_ino(above);
  moved.mutable_moved()->set_parent(below);
  auto refused = transact({{0, remove_step(kRootIno, "above", above)},
                           {2, insert_step(below, "x", above, wire::FILE_DIRECTORY)},
                           {1, moved}},
                          above, below);
  EXPECT_EQ(refused.code(), Errc::invalid);
  EXPECT_EQ(get_inode(above)->inode().attr().parent(), kRootIno);
}

TEST_F(LocalClientTest, AnUnlinkedFileStaysWhileItIsOpenAnywhere) {
  auto ino = make_file("a");
  ASSERT_TRUE(get_inode(ino, true));
  client.opened(ino);
  other.opened(ino);
  EXPECT_EQ(unlink("a", ino), Errc::ok);
  client.released(ino);
  EXPECT_TRUE(get_inode(ino));
  other.released(ino);
  EXPECT_EQ(get_inode(ino).code(), Errc::bad_handle);
}

TEST_F(LocalClientTest, BlocksGoWhenNoMapNamesThem) {
  auto ino = make_file("a");
  auto block = client.new_block(ino);
  ASSERT_TRUE(world.run(client.put_block(block, Bytes::copy("hello"))));
  wire::Step written;
  auto* commit = written.mutable_commit();
  commit->set_ino(ino);
  commit->set_size_at_least(5);
  auto* extent = commit->add_extents();
  extent->set_length(5);
  extent->set_block(block);
  extent->set_block_length(5);
  ASSERT_TRUE(transact({{0, written}}));
  EXPECT_EQ(world.run(client.get_block(block, 1, 3))->view(), "ell");
  EXPECT_EQ(unlink("a", ino), Errc::ok);
  EXPECT_EQ(world.run(client.get_block(block, 1, 3)).code(), Errc::no_block);
}

TEST_F(LocalClientTest, AnExpiredSessionCommitsNothing) {
  ring.expire(client.session());
  EXPECT_EQ(transact({{0, insert_step(kRootIno, "a", 5, wire::FILE_REGULAR)}}).code(), Errc::session_closed);
}

TEST_F(LocalClientTest, FaultsAreMadeToOrder) {
  ring.fault = [](std::string_view call) {
    return call == "query" ? Result<void>(Errc::unavailable, "made to order") : Result<void>();
  };
  EXPECT_EQ(get_inode(kRootIno).code(), Errc::unavailable);
  EXPECT_GT(ring.calls["query"], 0U);
}

TEST_F(LocalClientTest, WalkTellsUsage) {
  make_file("a");
  auto nodes = world.run(client.walk(false));
  ASSERT_EQ(nodes->size(), 1U);
  EXPECT_EQ(nodes->front().files_total(), 2U);
}

}  // namespace chordfs
