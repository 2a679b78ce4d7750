// Who writes a file, and may have more than was committed: nobody passes by him, and he not by those who had to.
#include <gtest/gtest.h>

#include "tests/daemon/tree/world.h"

namespace chordfs::tree_test {

class Writers : public ::testing::Test {
 protected:
  void SetUp() override {
    one = world.open_session(0);
    two = world.open_session(0);
    ASSERT_EQ(error_of(world.execute({create(10)})), Errc::ok);
  }

  static wire::Step commit(bool goes_on, bool behind = false) {
    wire::Step step;
    auto& commit = *step.mutable_commit();
    commit.set_ino(10);
    commit.set_goes_on(goes_on);
    commit.set_behind(behind);
    auto& piece = *commit.add_pieces();
    piece.set_data("some");
    commit.set_size_at_least(4);
    return step;
  }
  static wire::Step with_size(std::uint64_t size) {
    wire::Step step;
    step.mutable_set_attr()->set_ino(10);
    step.mutable_set_attr()->set_size(size);
    return step;
  }
  wire::Step end(std::uint64_t written_as) const {
    wire::Step step;
    step.mutable_end_writing()->set_ino(10);
    step.mutable_end_writing()->set_writer(one);
    step.mutable_end_writing()->set_written_as(written_as);
    return step;
  }
  wire::Answer by(std::uint64_t session, wire::Step step) {
    return world.execute(0, {std::move(step)}, identity(session, ++seq));
  }
  Errc code_by(std::uint64_t session, wire::Step step) { return error_of(by(session, std::move(step))); }

  World world{1};
  std::uint64_t one = 0, two = 0, seq = 0;
};

TEST_F(Writers, WhoGoesOnIsTheWriterUntilHeSaysOtherwise) {
  EXPECT_EQ(code_by(one, commit(true)), Errc::ok);
  EXPECT_EQ(world.attr(10).writer(), one);
  EXPECT_EQ(world.attr(10).written_as(), world.attr(10).version());
  EXPECT_EQ(code_by(one, with_size(2)), Errc::ok);
  EXPECT_EQ(world.attr(10).writer(), one) << "he has only truncated it";
  EXPECT_EQ(code_by(one, commit(false)), Errc::ok);
  EXPECT_EQ(world.attr(10).writer(), 0U);
}

TEST_F(Writers, OthersAreToldWhoWritesItAndAreServedLater) {
  ASSERT_EQ(code_by(one, commit(true)), Errc::ok);
  const auto who = identity(two, ++seq);
  const auto refused = world.execute(0, {commit(false)}, who);
  EXPECT_EQ(error_of(refused), Errc::being_written);
  EXPECT_EQ(refused.written().writer(), one);
  EXPECT_EQ(code_by(two, with_size(0)), Errc::being_written);
  EXPECT_EQ(code_by(one, end(refused.written().written_as() - 1)), Errc::ok);
  EXPECT_EQ(world.attr(10).writer(), one) << "another registration than the one that was to end";
  const auto version = world.attr(10).version();
  EXPECT_EQ(code_by(one, end(refused.written().written_as())), Errc::ok);
  EXPECT_EQ(world.attr(10).version(), version) << "nothing of the file has changed";
  EXPECT_EQ(error_of(world.execute(0, {commit(false)}, who)), Errc::ok)
      << "the same request: the refusal was not final";
}

TEST_F(Writers, WhatWasWrittenBehindComesBeforeOthersOrNotAtAll) {
  ASSERT_EQ(code_by(one, commit(true)), Errc::ok);
  ASSERT_EQ(code_by(one, end(world.attr(10).written_as())), Errc::ok);
  EXPECT_EQ(code_by(one, commit(true, true)), Errc::ok) << "nobody else has written";
  ASSERT_EQ(code_by(one, end(world.attr(10).written_as())), Errc::ok);
  ASSERT_EQ(code_by(two, commit(false)), Errc::ok);
  EXPECT_EQ(code_by(one, commit(true, true)), Errc::overtaken);
  EXPECT_EQ(code_by(one, commit(true)), Errc::ok) << "what is written now";
}

TEST_F(Writers, ASessionThatEndsWritesNoMore) {
  ASSERT_EQ(code_by(one, commit(true)), Errc::ok);
  wire::Operation close;
  close.mutable_close_session()->set_session(one);
  ASSERT_EQ(error_of(world.apply(0, close)), Errc::ok);
  EXPECT_EQ(world.attr(10).writer(), 0U);
  EXPECT_EQ(code_by(two, commit(false)), Errc::ok);
}

}  // namespace chordfs::tree_test
