#include <gtest/gtest.h>

#include "daemon/tree/keys.h"
#include "tests/daemon/tree/world.h"

namespace chordfs::tree_test {

class Sessions : public ::testing::Test {
 protected:
  void SetUp() override {
    session = world.open_session(0);
    ASSERT_EQ(error_of(world.execute({create(10)})), Errc::ok);
  }

  wire::Answer close(std::uint32_t arc, std::uint64_t number) {
    wire::Operation operation;
    operation.mutable_close_session()->set_session(number);
    return world.apply(arc, operation);
  }
  wire::Answer fence(std::uint32_t arc, std::uint64_t number) {
    wire::Operation operation;
    operation.mutable_fence_session()->set_session(number);
    return world.apply(arc, operation);
  }
  std::vector<std::uint64_t> listed(std::uint32_t arc) {
    wire::Query query;
    query.mutable_list_sessions();
    auto answer = world.query(arc, query);
    return {answer.sessions().begin(), answer.sessions().end()};
  }
  World world{1};
  std::uint64_t session = 0;
};

TEST_F(Sessions, NumbersTellTheirArcAndOnlyGrow) {
  EXPECT_EQ(session, 1U);
  EXPECT_EQ(close(0, session).error(), 0U);
  EXPECT_EQ(world.open_session(0), 2U);
  EXPECT_EQ(world.open_session(1), world.ino(1, 1));
}

TEST_F(Sessions, ARetryIsAnsweredAndNotAppliedAgain) {
  auto first = world.execute(0, {link(10)}, identity(session, 1));
  auto again = world.execute(0, {link(10)}, identity(session, 1));
  EXPECT_TRUE(again.unsettled()) << "the attributes are those of then";
  again.clear_unsettled();
  EXPECT_EQ(first.SerializeAsString(), again.SerializeAsString());
  EXPECT_EQ(world.attr(10).nlink(), 2U);
}

TEST_F(Sessions, ErrorsAreAnswersToo) {
  EXPECT_EQ(error_of(world.execute(0, {insert(99, "x", 10)}, identity(session, 1))), Errc::bad_handle);
  EXPECT_EQ(error_of(world.execute(0, {link(10)}, identity(session, 1))), Errc::bad_handle);
}

TEST_F(Sessions, LockedIsNotRemembered) {
  auto holder = world.begin({part(0, {link(10)}), part(1, {})}).tx();
  EXPECT_EQ(error_of(world.execute(0, {link(10)}, identity(session, 1))), Errc::locked);
  world.decide(holder, false);
  EXPECT_EQ(error_of(world.execute(0, {link(10)}, identity(session, 1))), Errc::ok);
}

TEST_F(Sessions, ALateDuplicateChangesNothing) {
  world.execute(0, {link(10)}, identity(session, 1));
  world.execute(0, {link(10)}, identity(session, 2, 2));
  auto before = world.records(0).map();
  EXPECT_EQ(error_of(world.execute(0, {link(10)}, identity(session, 1))), Errc::invalid);
  EXPECT_EQ(world.records(0).map(), before);
}

TEST_F(Sessions, AcknowledgedAnswersAreForgotten) {
  for (std::uint64_t seq = 1; seq <= 40; ++seq) world.execute(0, {chmod(10, 0600)}, identity(session, seq, 1));
  world.execute(0, {chmod(10, 0600)}, identity(session, 41, 41));
  auto range = tree::keys_with_prefix(tree::session_key(session));
  int records = 0;
  world.records(0).scan(range.from, range.to, [&](std::string_view, std::string_view) { return ++records, true; });
  EXPECT_EQ(records, 2) << "the header and one answer";
}

TEST_F(Sessions, OutOfOrderNumbersAreEachAppliedOnce) {
  for (std::uint64_t seq : {3, 1, 2, 3, 1}) world.execute(0, {link(10)}, identity(session, seq));
  EXPECT_EQ(world.attr(10).nlink(), 4U);
}

TEST_F(Sessions, TooManyUnacknowledgedAreRefusedForNow) {
  EXPECT_EQ(error_of(world.execute(0, {link(10)}, identity(session, 65537, 1))), Errc::busy);
  EXPECT_EQ(error_of(world.execute(0, {link(10)}, identity(session, 65537, 2))), Errc::ok);
}

TEST_F(Sessions, ImpossibleIdentitiesAreRefused) {
  EXPECT_EQ(error_of(world.execute(0, {link(10)}, identity(session, 0, 0))), Errc::invalid);
  EXPECT_EQ(error_of(world.execute(0, {link(10)}, identity(session, 1, 2))), Errc::invalid);
  EXPECT_EQ(error_of(world.execute(0, {link(10)}, identity(0, 1))), Errc::invalid);
}

TEST_F(Sessions, AClosedSessionNeverCommitsAgain) {
  world.execute(0, {link(10)}, identity(session, 1));
  close(0, session);
  EXPECT_EQ(error_of(world.execute(0, {link(10)}, identity(session, 1))), Errc::session_closed);
  EXPECT_EQ(error_of(world.execute(0, {link(10)}, identity(session, 2))), Errc::session_closed);
  EXPECT_EQ(close(0, session).error(), 0U) << "closing twice is harmless";
  EXPECT_TRUE(listed(0).empty());
}

TEST_F(Sessions, AFencedSessionNeverCommitsAgainInThatArc) {
  auto ino = world.ino(1, 5);
  ASSERT_EQ(error_of(world.execute(1, {create(ino)}, identity(session, 1))), Errc::ok);
  EXPECT_EQ(listed(1), std::vector{session});
  close(0, session);
  EXPECT_EQ(fence(1, session).error(), 0U);
  EXPECT_TRUE(listed(1).empty());
  EXPECT_EQ(error_of(world.execute(1, {link(ino)}, identity(session, 2))), Errc::session_closed);
  EXPECT_EQ(error_of(world.execute(1, {link(ino)}, identity(session, 1))), Errc::session_closed);
  EXPECT_EQ(fence(1, session).error(), 0U);
}

TEST_F(Sessions, AnOpenSessionOfThisArcIsNotFenced) {
  EXPECT_EQ(error_of(fence(0, session)), Errc::invalid);
}

TEST_F(Sessions, ListShowsOwnAndForeignOnes) {
  auto other = world.open_session(1);
  world.execute(0, {link(10)}, identity(other, 1));
  world.execute(0, {link(10)}, identity(other, 2));
  EXPECT_EQ(listed(0), (std::vector{session, other}));
}

TEST_F(Sessions, StateIsAskedInTheSessionsOwnArc) {
  wire::Query query;
  query.mutable_session_state()->set_session(session);
  EXPECT_TRUE(world.query(0, query).session_open());
  EXPECT_EQ(error_of(world.query(1, query)), Errc::invalid);
  close(0, session);
  EXPECT_FALSE(world.query(0, query).session_open());
}

}  // namespace chordfs::tree_test
