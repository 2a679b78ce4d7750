// Which blocks may be deleted: every case of the rule, and that what was once said to be garbage is never named.
#include <gtest/gtest.h>

#include "daemon/arc/raft/defects.h"
#include "tests/daemon/tree/world.h"

namespace chordfs::tree_test {

/// A file in each of two arcs, and a session of arc 0 that writes to both.
class Garbage : public ::testing::Test {
 protected:
  void SetUp() override {
    far = world.ino(1, 7);
    session = world.open_session(0);
    ASSERT_EQ(world.refused({create(10), insert(kRootIno, "f", 10)}), Errc::ok);
    ASSERT_EQ(error_of(world.execute(1, {create(far)})), Errc::ok);
  }

  Errc write(std::uint64_t ino, std::vector<wire::Extent> extents) {
    return error_of(world.execute(world.arc_of(ino), {write_extents(ino, std::move(extents))}, next()));
  }
  wire::Identity next() {
    ++seq;
    return identity(session, seq, seq);
  }
  void close() {
    wire::Operation operation;
    operation.mutable_close_session()->set_session(session);
    ASSERT_EQ(error_of(world.apply(0, operation)), Errc::ok);
  }
  void fence(std::uint32_t arc) {
    wire::Operation operation;
    operation.mutable_fence_session()->set_session(session);
    ASSERT_EQ(error_of(world.apply(arc, operation)), Errc::ok);
  }
  wire::QueryAnswer ask(std::uint32_t arc, std::vector<std::string> blocks) {
    wire::Query query;
    query.mutable_find_garbage()->mutable_blocks()->Add(blocks.begin(), blocks.end());
    return world.query(arc, query);
  }
  bool is_garbage(std::uint64_t ino, std::uint64_t number) {
    return ask(world.arc_of(ino), {block(number, ino, session)}).garbage_size() == 1;
  }

  World world{1};
  std::uint64_t far = 0;
  std::uint64_t session = 0;
  std::uint64_t seq = 0;
};

TEST_F(Garbage, ANamedBlockIsNone) {
  ASSERT_EQ(write(10, {extent(0, 10, 1)}), Errc::ok);
  EXPECT_FALSE(is_garbage(10, 1));
  close();
  EXPECT_FALSE(is_garbage(10, 1));
}

TEST_F(Garbage, ABlockIsNamedByItsLastExtentToo) {
  ASSERT_EQ(write(10, {extent(0, 30, 1)}), Errc::ok);
  ASSERT_EQ(write(10, {extent(0, 25, 2)}), Errc::ok);
  close();
  EXPECT_FALSE(is_garbage(10, 1));
}

TEST_F(Garbage, AnUnnamedBlockIsNoneWhileItsSessionIsOpen) {
  EXPECT_FALSE(is_garbage(10, 1));
  EXPECT_FALSE(is_garbage(far, 1));
  auto answer = ask(0, {block(1, 10, session), block(2, 10, session)});
  ASSERT_EQ(answer.sessions_size(), 1);
  EXPECT_EQ(answer.sessions(0), session);
}

TEST_F(Garbage, AnUnnamedBlockIsOnceItsSessionIsClosed) {
  close();
  auto answer = ask(0, {block(1, 10, session), block(2, 10, session)});
  EXPECT_EQ(answer.garbage_size(), 2);
  EXPECT_EQ(answer.sessions_size(), 0);
}

TEST_F(Garbage, InAnotherArcItIsOnceTheSessionIsFencedThere) {
  ASSERT_EQ(error_of(world.execute(1, {chmod(far, 0600)}, next())), Errc::ok);
  close();
  EXPECT_FALSE(is_garbage(far, 1));
  EXPECT_EQ(write(far, {extent(0, 10, 1)}), Errc::ok) << "this is why";
  EXPECT_FALSE(is_garbage(far, 2));
  fence(1);
  EXPECT_TRUE(is_garbage(far, 2));
  EXPECT_FALSE(is_garbage(far, 1));
}

TEST_F(Garbage, ASessionThatNeverCameHereCanBeFencedAllTheSame) {
  close();
  fence(1);
  EXPECT_TRUE(is_garbage(far, 1));
  EXPECT_EQ(write(far, {extent(0, 10, 1)}), Errc::session_closed);
}

TEST_F(Garbage, WhatWasNamedOnceGoesByTheOutboxAndIsGarbageAtTheEndOfTheSession) {
  ASSERT_EQ(write(10, {extent(0, 10, 1)}), Errc::ok);
  ASSERT_EQ(write(10, {extent(0, 10, 2)}), Errc::ok);
  ASSERT_EQ(world.outbox().outbox_size(), 1);
  EXPECT_EQ(world.outbox().outbox(0).block(), block(1, 10, session));
  EXPECT_FALSE(is_garbage(10, 1));
  close();
  EXPECT_TRUE(is_garbage(10, 1));
}

TEST_F(Garbage, BlocksOfAPurgedInodeAreOnceTheSessionIsClosed) {
  ASSERT_EQ(write(10, {extent(0, 10, 1)}), Errc::ok);
  ASSERT_EQ(world.refused({remove(kRootIno, "f", 10), unlink(10)}), Errc::ok);
  EXPECT_FALSE(is_garbage(10, 1)) << "an orphan has its blocks";
  ASSERT_EQ(error_of(world.purge(10)), Errc::ok);
  EXPECT_FALSE(is_garbage(10, 1));
  close();
  EXPECT_TRUE(is_garbage(10, 1));
}

TEST_F(Garbage, AnInodeThatIsNotMadeYetMayStillNameABlock) {
  EXPECT_FALSE(is_garbage(11, 1));
  ASSERT_EQ(error_of(world.execute(0, {create(11), write_extents(11, {extent(0, 10, 1)}), insert(1, "g", 11)}, next())),
            Errc::ok);
  close();
  EXPECT_FALSE(is_garbage(11, 1));
  EXPECT_TRUE(is_garbage(12, 1));
}

TEST_F(Garbage, OnlyTheArcOfTheInodeKnows) {
  EXPECT_EQ(error_of(ask(1, {block(1, 10, session)})), Errc::invalid);
  EXPECT_EQ(error_of(ask(0, {"short"})), Errc::invalid);
  EXPECT_EQ(ask(0, {}).garbage_size(), 0);
}

TEST_F(Garbage, NoSessionNamesABlockOfAnother) {
  const auto first = session;
  ASSERT_EQ(write(10, {extent(0, 10, 1)}), Errc::ok);
  session = world.open_session(0);
  auto old = extent(10, 10, 0);
  old.set_block(block(2, 10, first));
  EXPECT_EQ(write(10, {old}), Errc::stale);
  // But what the map names already may be named again, as by copying within a file.
  old.set_block(block(1, 10, first));
  EXPECT_EQ(write(10, {old}), Errc::ok);
}

TEST_F(Garbage, NoInodeNamesABlockOfAnother) {
  auto step = write_extents(10, {extent(0, 10, 1)});
  step.mutable_commit()->mutable_extents(0)->set_block(block(1, 11, session));
  EXPECT_EQ(error_of(world.execute(0, {step}, next())), Errc::invalid);
}

TEST_F(Garbage, ATransactionOfSeveralArcsNamesNoBlocks) {
  // Prepared before the fence and finished after it, it would name what is garbage by then.
  auto step = write_extents(far, {extent(0, 10, 1)});
  step.mutable_commit()->mutable_extents(0)->set_block(block(1, far, session));
  EXPECT_EQ(error_of(world.prepare(1, tx(0, 1), {step})), Errc::invalid);
  EXPECT_EQ(error_of(world.begin({part(1, {step}), part(0, {chmod(10, 0600)})}, next())), Errc::invalid);
}

TEST_F(Garbage, APlantedDefectIgnoresOpenSessions) {
  plant(Defect::sweep_ignores_open_session);
  EXPECT_TRUE(is_garbage(10, 1));
  plant(Defect::none);
}

}  // namespace chordfs::tree_test
