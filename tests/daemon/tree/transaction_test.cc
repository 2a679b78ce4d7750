#include <gtest/gtest.h>

#include "tests/daemon/tree/world.h"

namespace chordfs::tree_test {

/// Arc 0: the root, with "a" -> file. Arc 1: a directory "d" of the root. Arc 2: the file.
class Transactions : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(error_of(world.execute(2, {create(file)})), Errc::ok);
    ASSERT_EQ(error_of(world.execute(1, {create(dir, wire::FILE_DIRECTORY)})), Errc::ok);
    ASSERT_EQ(
        error_of(world.execute(0, {insert(kRootIno, "a", file), insert(kRootIno, "d", dir, wire::FILE_DIRECTORY)})),
        Errc::ok);
    ASSERT_EQ(world.broken(), "");
  }

  StepList source() { return {remove(kRootIno, "a", file)}; }
  StepList target() { return {insert(dir, "b", file)}; }
  StepList touched() { return {moved(file)}; }
  /// rename("/a", "/d/b")
  wire::TxId begin_rename(std::optional<wire::Identity> who = std::nullopt) {
    auto answer = world.begin({part(0, source()), part(1, target()), part(2, touched())}, who);
    EXPECT_EQ(error_of(answer), Errc::ok);
    return answer.tx();
  }
  void prepare_rename(const wire::TxId& id) {
    EXPECT_EQ(world.prepare(1, id, target()).error(), 0U);
    EXPECT_EQ(world.prepare(2, id, touched()).error(), 0U);
  }
  void finish_rename(const wire::TxId& id, bool commit) {
    EXPECT_EQ(world.finish(1, id, commit, id.index()).error(), 0U);
    EXPECT_EQ(world.finish(2, id, commit, id.index()).error(), 0U);
  }
  bool in_root() { return error_of(world.lookup(kRootIno, "a")) == Errc::ok; }
  bool in_dir() { return error_of(world.lookup(dir, "b")) == Errc::ok; }

  World world{2};
  std::uint64_t dir = world.ino(1, 100), file = world.ino(2, 100);
};

TEST_F(Transactions, CommittedRenameMovesTheName) {
  auto id = begin_rename();
  prepare_rename(id);
  auto answer = world.decide(id, true);
  ASSERT_EQ(answer.error(), 0U);
  EXPECT_EQ(answer.attrs(0).ino(), kRootIno);
  finish_rename(id, true);
  EXPECT_EQ(world.forget(id).error(), 0U);
  EXPECT_FALSE(in_root());
  EXPECT_TRUE(in_dir());
  EXPECT_EQ(world.broken(), "");
}

TEST_F(Transactions, AbortedRenameLeavesEverythingAsItWas) {
  auto id = begin_rename();
  prepare_rename(id);
  EXPECT_EQ(error_of(world.decide(id, false)), Errc::busy);
  finish_rename(id, false);
  world.forget(id);
  EXPECT_TRUE(in_root());
  EXPECT_FALSE(in_dir());
  EXPECT_EQ(world.broken(), "");
}

TEST_F(Transactions, ReadersMeetTheHolderUntilItIsOver) {
  auto id = begin_rename();
  prepare_rename(id);
  for (const auto& answer : {world.lookup(kRootIno, "a"), world.lookup(dir, "b"), world.read_dir(kRootIno),
                             world.read_dir(dir), world.get_inode(file)}) {
    EXPECT_EQ(error_of(answer), Errc::locked);
    EXPECT_EQ(answer.locked_by().index(), id.index());
  }
  EXPECT_EQ(error_of(world.lookup(kRootIno, "other")), Errc::not_found);
  world.decide(id, true);
  EXPECT_EQ(error_of(world.lookup(kRootIno, "a")), Errc::not_found) << "decided at the coordinator";
  EXPECT_EQ(error_of(world.lookup(dir, "b")), Errc::locked) << "not finished here";
  finish_rename(id, true);
  EXPECT_EQ(error_of(world.lookup(dir, "b")), Errc::ok);
}

TEST_F(Transactions, WritersMeetTheHolder) {
  auto id = begin_rename();
  prepare_rename(id);
  EXPECT_EQ(error_of(world.execute(0, source())), Errc::locked);
  EXPECT_EQ(error_of(world.execute(2, {link(file)})), Errc::locked);
  auto answer = world.execute(1, {insert(dir, "b", dir)});
  EXPECT_EQ(error_of(answer), Errc::locked);
  EXPECT_EQ(answer.tx().index(), id.index());
  EXPECT_EQ(error_of(world.begin({part(0, source()), part(3, {})})), Errc::locked);
  EXPECT_EQ(error_of(world.prepare(2, tx(3, 7), {unlink(file)})), Errc::locked);
}

TEST_F(Transactions, OtherNamesAndContentsAreFreeMeanwhile) {
  auto id = begin_rename();
  prepare_rename(id);
  auto other = world.ino(1, 101);
  EXPECT_EQ(error_of(world.execute(1, {create(other), insert(dir, "c", other)})), Errc::ok);
  EXPECT_EQ(error_of(world.execute(2, {write_piece(file, 0, "x"), chmod(file, 0600)})), Errc::ok);
  world.decide(id, true);
  finish_rename(id, true);
  world.forget(id);
  EXPECT_EQ(world.broken(), "");
}

TEST_F(Transactions, ADirectoryBeingRemovedTakesNoNewEntries) {
  // rmdir("/d")
  auto id = world.begin({part(0, {remove(kRootIno, "d", dir)}), part(1, {})}).tx();
  ASSERT_EQ(world.prepare(1, id, {unlink(dir, wire::UnlinkInode::MUST_BE_DIRECTORY)}).error(), 0U);
  auto other = world.ino(1, 101);
  EXPECT_EQ(error_of(world.execute(1, {create(other), insert(dir, "c", other)})), Errc::locked);
  world.decide(id, true);
  world.finish(1, id, true);
  EXPECT_EQ(error_of(world.execute(1, {create(other), insert(dir, "c", other)})), Errc::not_found);
  EXPECT_EQ(world.broken(), "");
}

TEST_F(Transactions, ADirectoryWithAnEntryUnderWayIsNotRemoved) {
  auto id = begin_rename();
  prepare_rename(id);
  EXPECT_EQ(error_of(world.execute(1, {unlink(dir)})), Errc::locked);
  EXPECT_EQ(error_of(world.prepare(1, tx(3, 7), {unlink(dir)})), Errc::locked);
}

TEST_F(Transactions, WhatIsAboutToBeCreatedIsWaitedFor) {
  // mkdir("/n"), decided and not yet finished: who made it may go on at once.
  auto made = world.ino(3, 9);
  auto id = world.begin({part(0, {insert(kRootIno, "n", made, wire::FILE_DIRECTORY)}), part(3, {})}).tx();
  ASSERT_EQ(world.prepare(3, id, {create(made, wire::FILE_DIRECTORY)}).error(), 0U);
  world.decide(id, true);
  EXPECT_EQ(error_of(world.execute(3, {chmod(made, 0700)})), Errc::locked);
  EXPECT_EQ(error_of(world.execute(3, {insert(made, "x", file)})), Errc::locked);
  EXPECT_EQ(error_of(world.lookup(made, "x")), Errc::locked);
  EXPECT_EQ(error_of(world.read_dir(made)), Errc::locked);
  world.finish(3, id, true);
  EXPECT_EQ(error_of(world.execute(3, {chmod(made, 0700)})), Errc::ok);
  EXPECT_EQ(world.broken(), "");
}

TEST_F(Transactions, ARefusedPrepareLocksNothing) {
  auto before = world.records(1).map();
  auto id = begin_rename();
  EXPECT_EQ(error_of(world.prepare(1, id, {insert(dir, "b", file), remove(dir, "absent", 1)})), Errc::not_found);
  EXPECT_EQ(world.records(1).map(), before);
}

TEST_F(Transactions, PreparingTwiceIsOneVote) {
  auto id = begin_rename();
  prepare_rename(id);
  auto before = world.records(1).map();
  prepare_rename(id);
  EXPECT_EQ(world.records(1).map(), before);
}

TEST_F(Transactions, TheFirstDecisionCounts) {
  auto id = begin_rename();
  prepare_rename(id);
  EXPECT_EQ(world.decide(id, true).error(), 0U);
  auto again = world.decide(id, false);
  EXPECT_EQ(again.error(), 0U);
  EXPECT_EQ(again.attrs_size(), 1);
  finish_rename(id, true);

  auto back = world.begin({part(0, {insert(kRootIno, "a", file)}), part(1, {})}).tx();
  EXPECT_EQ(error_of(world.decide(back, false, Errc::not_found)), Errc::not_found);
  EXPECT_EQ(error_of(world.decide(back, true)), Errc::not_found);
  EXPECT_FALSE(in_root());
}

TEST_F(Transactions, ALatePrepareAndFinishOfAForgottenTransactionDoNothing) {
  // Finding 10: they used to apply it a second time, and a renamed file existed twice.
  auto id = begin_rename();
  prepare_rename(id);
  world.decide(id, true);
  finish_rename(id, true);
  world.forget(id);
  // The name goes back, and the low-water mark of arc 0 passes the first transaction in arc 1.
  auto back = world.begin({part(0, {insert(kRootIno, "a", file)}), part(1, {})}).tx();
  ASSERT_EQ(world.prepare(1, back, {remove(dir, "b", file)}).error(), 0U);
  world.decide(back, true);
  auto mark = world.transactions(0).low_water();
  EXPECT_EQ(mark, back.index());
  world.finish(1, back, true, mark);
  world.forget(back);

  auto before = world.records(1).map();
  EXPECT_EQ(error_of(world.prepare(1, id, target())), Errc::invalid);
  EXPECT_EQ(world.finish(1, id, true, id.index()).error(), 0U);
  EXPECT_EQ(world.records(1).map(), before);
  EXPECT_TRUE(in_root());
  EXPECT_FALSE(in_dir());
  // Arc 2 has not heard of the mark: its own memory of the transaction does it there.
  EXPECT_EQ(world.prepare(2, id, touched()).error(), 0U);
  EXPECT_EQ(world.finish(2, id, true, id.index()).error(), 0U);
  EXPECT_EQ(world.broken(), "");
}

TEST_F(Transactions, APrepareThatComesAfterTheAbortLocksNothing) {
  auto id = begin_rename();
  world.decide(id, false);
  finish_rename(id, false);
  EXPECT_EQ(error_of(world.prepare(1, id, target())), Errc::invalid);
  EXPECT_EQ(world.broken(), "");
}

TEST_F(Transactions, ACommitWithoutAVoteIsRefused) {
  auto before = world.records(1).map();
  EXPECT_EQ(error_of(world.finish(1, tx(0, 500), true)), Errc::invalid);
  EXPECT_EQ(world.records(1).map(), before);
}

TEST_F(Transactions, ForgettingAnUndecidedOneIsRefused) {
  auto id = begin_rename();
  EXPECT_EQ(error_of(world.forget(id)), Errc::invalid);
  world.decide(id, false);
  EXPECT_EQ(error_of(world.forget(id)), Errc::ok);
  EXPECT_EQ(error_of(world.forget(id)), Errc::ok);
  EXPECT_EQ(error_of(world.decide(id, true)), Errc::locked);
}

TEST_F(Transactions, ABeginThatComesAgainIsTheSameTransaction) {
  auto who = identity(world.open_session(0), 1);
  auto id = begin_rename(who);
  EXPECT_EQ(begin_rename(who).index(), id.index());
  prepare_rename(id);
  auto decided = world.decide(id, true);
  auto again = world.begin({part(0, source()), part(1, target())}, who);
  EXPECT_FALSE(again.has_tx()) << "the final answer";
  again.clear_unsettled();
  EXPECT_EQ(again.SerializeAsString(), decided.SerializeAsString());
  EXPECT_EQ(world.transactions(0).coordinated_size(), 1);
}

TEST_F(Transactions, AfterAnAbortForALockTheSameIdentityBeginsAnew) {
  auto who = identity(world.open_session(0), 1);
  auto id = begin_rename(who);
  EXPECT_EQ(error_of(world.decide(id, false, Errc::locked)), Errc::locked);
  auto next = begin_rename(who);
  EXPECT_GT(next.index(), id.index());
}

TEST_F(Transactions, AnAbortForGoodIsRemembered) {
  auto who = identity(world.open_session(0), 1);
  auto id = begin_rename(who);
  world.decide(id, false, Errc::not_empty);
  EXPECT_EQ(error_of(world.begin({part(0, source()), part(1, target())}, who)), Errc::not_empty);
}

TEST_F(Transactions, ASessionThatEndedIsNotRememberedByADecision) {
  auto session = world.open_session(0);
  auto id = begin_rename(identity(session, 1));
  wire::Operation close;
  close.mutable_close_session()->set_session(session);
  world.apply(0, close);
  world.decide(id, false, Errc::not_empty);
  wire::Query list;
  list.mutable_list_sessions();
  EXPECT_EQ(world.query(0, list).sessions_size(), 0);
}

TEST_F(Transactions, DirmoveHasOneHolder) {
  auto id = world.begin({part(0, {dirmove()}), part(1, {})}).tx();
  auto other = world.begin({part(1, {}), part(0, {dirmove()})});
  ASSERT_EQ(other.error(), 0U);
  auto vote = world.prepare(0, other.tx(), {dirmove()});
  EXPECT_EQ(error_of(vote), Errc::locked);
  EXPECT_EQ(vote.tx().index(), id.index());
  EXPECT_EQ(error_of(world.execute(0, {dirmove()})), Errc::locked);
  world.decide(id, true);
  EXPECT_EQ(world.prepare(0, other.tx(), {dirmove()}).error(), 0U);
  EXPECT_EQ(error_of(world.execute(1, {dirmove()})), Errc::invalid) << "only in the root's arc";
}

TEST_F(Transactions, MalformedTransactionsAreRefused) {
  EXPECT_EQ(error_of(world.begin({part(0, {}), part(0, {})})), Errc::invalid);
  EXPECT_EQ(error_of(world.begin({part(0, {}), part(9, {})})), Errc::invalid);
  EXPECT_EQ(error_of(world.prepare(1, tx(1, 5), {})), Errc::invalid);
  EXPECT_EQ(error_of(world.prepare(1, tx(9, 5), {})), Errc::invalid);
  wire::Operation misplaced;
  *misplaced.mutable_execute() = part(1, {});
  EXPECT_EQ(error_of(world.apply(0, misplaced)), Errc::invalid);
}

TEST_F(Transactions, StatesAndListsTellWhatIsUnderWay) {
  auto state = [&](const wire::TxId& id) {
    wire::Query query;
    *query.mutable_transaction_state()->mutable_tx() = id;
    return world.query(id.arc(), query).tx_state();
  };
  auto id = begin_rename();
  prepare_rename(id);
  EXPECT_EQ(state(id), wire::QueryAnswer::UNDECIDED);
  auto at_coordinator = world.transactions(0);
  ASSERT_EQ(at_coordinator.coordinated_size(), 1);
  EXPECT_EQ(at_coordinator.coordinated(0).transaction().parts_size(), 3);
  ASSERT_EQ(world.transactions(1).intents_size(), 1);
  EXPECT_EQ(world.transactions(1).intents(0).tx().index(), id.index());
  world.decide(id, true);
  EXPECT_EQ(state(id), wire::QueryAnswer::COMMITTED);
  finish_rename(id, true);
  EXPECT_EQ(world.transactions(1).intents_size(), 0);
  world.forget(id);
  EXPECT_EQ(state(id), wire::QueryAnswer::UNKNOWN);
  EXPECT_EQ(world.transactions(0).low_water(), id.index() + 1);
}

TEST_F(Transactions, AContentStepThatLostItsFileIsPassedOver) {
  auto id = world.begin({part(0, {}), part(2, {})}).tx();
  ASSERT_EQ(world.prepare(2, id, {chmod(file, 0600)}).error(), 0U);
  ASSERT_EQ(error_of(world.execute(0, {remove(kRootIno, "a", file)})), Errc::ok);
  ASSERT_EQ(error_of(world.execute(2, {unlink(file)})), Errc::ok);
  ASSERT_EQ(error_of(world.purge(file)), Errc::ok);
  world.decide(id, true);
  EXPECT_EQ(world.finish(2, id, true).error(), 0U);
  EXPECT_EQ(world.broken(), "");
}

}  // namespace chordfs::tree_test
