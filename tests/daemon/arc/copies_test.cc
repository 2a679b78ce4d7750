// Blocks on the members of one arc, through every fault that the simulated network and disks have.

#include "daemon/arc/copies/copies.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "daemon/arc/copies/block_sums.h"
#include "daemon/arc/raft/defects.h"
#include "tests/daemon/arc/copies_world.h"

namespace chordfs::test {

namespace {
constexpr int kGetBlock = wire::Request::kGetBlock;
constexpr int kBlockSums = wire::Request::kBlockSums;
}  // namespace

class CopiesTest : public testing::Test {
 protected:
  static constexpr ArcNumber kArc = CopiesWorld::kArc;

  /// Nodes 0 … nodes - 1 run; the first `voters` of them vote, 0 leads.
  void begin(int nodes, int voters, std::uint64_t seed = 1) {
    it.emplace(nodes, seed);
    for (int n = 0; n < voters; ++n) it->known.voters.push_back(n);
    for (int n = 0; n < nodes; ++n) it->start(n);
    it->world().run_for(5s);  // The comparisons of the start are over.
  }
  Duration since(Time before) { return it->world().now() - before; }
  SimNetwork& network() { return it->world().network(); }
  void cut(int a, int b) { network().cut_both(it->host(a), it->host(b)); }
  int holders(int block, int nodes) {
    int count = 0;
    for (int n = 0; n < nodes; ++n) count += it->on_disk(n, block);
    return count;
  }
  /// make_complete, as far as it got.
  struct Completing {
    std::optional<Result<bool>> result;
  };
  std::shared_ptr<Completing> complete(int learner) {
    auto completing = std::make_shared<Completing>();
    it->world().spawn("complete", [](Copies& copies, int n, std::shared_ptr<Completing> to) -> awaitable<void> {
      to->result = co_await copies.make_complete(kArc, CopiesWorld::replica(n));
    }(it->copies(0), learner, completing));
    return completing;
  }
  bool wait_for(const std::shared_ptr<Completing>& completing, Duration limit = 60s) {
    return it->world().run_until([&] { return completing->result.has_value(); }, limit);
  }

  std::optional<CopiesWorld> it;
};

// ---- Put ----

TEST_F(CopiesTest, PutIsOnEveryMemberAndNobodyElse) {
  begin(4, 3);
  ASSERT_TRUE(it->put(0, 1));
  for (int n : {0, 1, 2}) EXPECT_TRUE(it->holds(n, 1)) << n;
  EXPECT_FALSE(it->holds(3, 1));
}

TEST_F(CopiesTest, PutIsForTheLeader) {
  begin(3, 3);
  EXPECT_EQ(it->put(1, 1).code(), Errc::not_owner);
  EXPECT_EQ(holders(1, 3), 0);
}

TEST_F(CopiesTest, DeadMemberDelaysNoPut) {
  begin(3, 3);
  it->host(2).crash();
  auto before = it->world().now();
  ASSERT_TRUE(it->put(0, 1));
  EXPECT_LT(since(before), 100ms);
  it->start(2);
  EXPECT_TRUE(it->wait_until_holds(2, 1));
}

TEST_F(CopiesTest, FrozenMemberDelaysAPutByItsTimeOnly) {
  begin(3, 3);
  it->host(2).pause();
  auto before = it->world().now();
  ASSERT_TRUE(it->put(0, 1));
  EXPECT_GE(since(before), kPutTime);
  EXPECT_LT(since(before), kPutTime + 100ms);
  EXPECT_EQ(holders(1, 3), 2);
}

TEST_F(CopiesTest, MemberThatIsNotLiveDelaysNoPut) {
  begin(3, 3);
  cut(0, 2);
  it->not_live = {2};
  auto before = it->world().now();
  ASSERT_TRUE(it->put(0, 1));
  EXPECT_LT(since(before), 100ms);
}

TEST_F(CopiesTest, WhoMissedAPutGetsItWithoutBeingToldOfAChange) {
  begin(3, 3);
  cut(0, 2);
  ASSERT_TRUE(it->put(0, 1));
  it->world().run_for(20s);
  EXPECT_FALSE(it->holds(2, 1));
  network().heal();
  EXPECT_TRUE(it->wait_until_holds(2, 1));
}

TEST_F(CopiesTest, WithoutAMajorityItIsUnknown) {
  begin(3, 3);
  cut(0, 1);
  it->host(2).crash();
  auto before = it->world().now();
  EXPECT_EQ(it->put(0, 1).code(), Errc::timed_out);
  EXPECT_LT(since(before), kPutTime + 100ms);
}

TEST_F(CopiesTest, DefectThatAcknowledgesEarlyIsSeen) {
  begin(3, 3);
  cut(0, 1);
  cut(0, 2);
  plant(Defect::block_acknowledged_early);
  EXPECT_TRUE(it->put(0, 1));
  plant(Defect::none);
  EXPECT_EQ(holders(1, 3), 1);
}

TEST_F(CopiesTest, JointViewNeedsBothMajorities) {
  begin(5, 3);
  it->known.voters = {0, 3, 4};
  it->known.old_voters = {0, 1, 2};
  it->known.index = 2;
  it->host(3).crash();
  it->host(4).crash();
  EXPECT_EQ(it->put(0, 1).code(), Errc::timed_out);
  it->start(4);
  EXPECT_TRUE(it->put(0, 1));
}

TEST_F(CopiesTest, OnlyWhoKnowsTheNewestViewMayAcknowledge) {
  begin(3, 3);
  it->instead[1] = it->instead[2] = {.voters = {0, 1, 2}, .index = 2};
  EXPECT_EQ(it->put(0, 1).code(), Errc::timed_out);
  it->instead[1] = it->instead[2] = {.voters = {0, 1, 2}, .term = 2, .leader = 1};
  EXPECT_EQ(it->put(0, 2).code(), Errc::timed_out);
  it->instead.clear();
  EXPECT_TRUE(it->put(0, 3));
}

TEST_F(CopiesTest, ViewThatComesWhileABlockIsStoredRefusesIt) {
  begin(3, 3);
  for (int n : {1, 2}) it->disk(n).options().latency.put_file = 100ms;
  it->world().after(20ms, [&] { it->instead[1] = it->instead[2] = {.voters = {0, 1, 2}, .index = 2}; });
  EXPECT_EQ(it->put(0, 1).code(), Errc::timed_out);
}

TEST_F(CopiesTest, WhoJoinsTheViewDuringAPutHasItWhenItReturns) {
  begin(4, 3);
  for (int n : {0, 1, 2}) it->disk(n).options().latency.put_file = 100ms;
  it->world().after(20ms, [&] {
    it->known.learners = {3};
    it->known.index = 2;
  });
  ASSERT_TRUE(it->put(0, 1));
  EXPECT_TRUE(it->holds(3, 1));
}

// ---- Get ----

TEST_F(CopiesTest, MissingCopyIsReadElsewhereAndMended) {
  begin(3, 3);
  it->place(0, 1, 50'000);
  EXPECT_EQ(it->get(2, 1), CopiesWorld::contents(1, 50'000));
  EXPECT_TRUE(it->wait_until_holds(2, 1, 1s));
}

TEST_F(CopiesTest, FlippedBitIsReadElsewhereAndMended) {
  begin(3, 3);
  ASSERT_TRUE(it->put(0, 1, 50'000));
  ASSERT_TRUE(it->disk(0).flip_file(BlockName{kArc, CopiesWorld::id(1)}.file(), 20'000));
  EXPECT_EQ(it->get(0, 1), CopiesWorld::contents(1, 50'000));
  EXPECT_TRUE(it->wait_until_holds(0, 1, 1s));
  EXPECT_EQ(it->get(0, 1, true), CopiesWorld::contents(1, 50'000));
}

TEST_F(CopiesTest, FlippedBitThatAnotherMemberMeetsIsMendedToo) {
  begin(3, 3);
  ASSERT_TRUE(it->put(0, 1, 50'000));
  ASSERT_TRUE(it->disk(1).flip_file(BlockName{kArc, CopiesWorld::id(1)}.file(), 20'000));
  EXPECT_EQ(it->get(1, 1, true).code(), Errc::corrupt);
  EXPECT_TRUE(it->wait_until_holds(1, 1, 1s));
  EXPECT_EQ(it->get(1, 1, true), CopiesWorld::contents(1, 50'000));
}

TEST_F(CopiesTest, SilentMemberDelaysAReadLittle) {
  begin(3, 3);
  it->place(2, 1);
  it->host(1).pause();
  auto before = it->world().now();
  EXPECT_EQ(it->get(0, 1), CopiesWorld::contents(1));
  EXPECT_LT(since(before), 500ms);
}

TEST_F(CopiesTest, NoBlockIsSaidOnlyIfAllSaySo) {
  begin(3, 3);
  EXPECT_EQ(it->get(0, 1).code(), Errc::no_block);
  it->host(2).crash();
  EXPECT_EQ(it->get(0, 1).code(), Errc::busy);
}

TEST_F(CopiesTest, WhoIsNoReplicaServesWhatItStillHas) {
  begin(4, 3);
  EXPECT_EQ(it->get(3, 1).code(), Errc::not_owner);
  it->place(3, 1);
  EXPECT_EQ(it->get(3, 1), CopiesWorld::contents(1));
}

TEST_F(CopiesTest, ScrubFindsAFlippedBitThatNobodyReads) {
  begin(3, 3);
  for (int block = 0; block < 20; ++block) ASSERT_TRUE(it->put(0, block));
  auto file = BlockName{kArc, CopiesWorld::id(7)}.file();
  auto sound = it->disk(1).file(file);
  ASSERT_TRUE(it->disk(1).flip_file(file, sound.size() - 1));
  EXPECT_TRUE(it->world().run_until([&] { return it->disk(1).file(file) == sound; }, 2 * kScrubTime));
}

// ---- Drop ----

TEST_F(CopiesTest, DropErasesEverywhere) {
  begin(3, 3);
  for (int block : {1, 2, 3}) ASSERT_TRUE(it->put(0, block));
  ASSERT_TRUE(it->drop(0, {1, 2}));
  EXPECT_TRUE(it->world().run_until([&] { return holders(1, 3) + holders(2, 3) == 0; }, 1s));
  EXPECT_EQ(holders(3, 3), 3);
  EXPECT_EQ(it->get(0, 1).code(), Errc::no_block);
}

TEST_F(CopiesTest, LateDuplicateDoesNotBringADroppedBlockBack) {
  begin(3, 3);
  ASSERT_TRUE(it->put(0, 1));
  ASSERT_TRUE(it->drop(0, {1}));
  ASSERT_TRUE(it->world().run_until([&] { return holders(1, 3) == 0; }, 1s));
  EXPECT_EQ(it->put(0, 1).code(), Errc::stale);
  auto late = CopiesWorld::put_request(1);
  late.header.mutable_put_block()->set_passed_on(true);
  late.header.mutable_put_block()->set_term(1);
  late.header.mutable_put_block()->set_view_index(1);
  EXPECT_EQ(it->call(1, std::move(late)).code(), Errc::stale);
  EXPECT_EQ(holders(1, 3), 0);
}

TEST_F(CopiesTest, WhoHasNotHeardOfADropGivesNothingBackAndIsToldByAnyMember) {
  begin(3, 3);
  ASSERT_TRUE(it->put(0, 1));
  cut(0, 2);
  ASSERT_TRUE(it->drop(0, {1}));
  it->copies(1).changed(kArc);  // The leader cannot reach node 2; node 1 can, and compares.
  EXPECT_TRUE(it->world().run_until([&] { return holders(1, 3) == 0; }, 60s));
  it->world().run_for(10s);
  EXPECT_EQ(holders(1, 3), 0) << "node 1 must not fetch it from node 2";
}

// ---- Comparing ----

TEST_F(CopiesTest, ComparingFetchesNothingButTheDifference) {
  begin(3, 3);
  for (int block = 0; block < 200; ++block)
    for (int n : {0, 1, 2})
      if (n != 2 || block % 67 != 0) it->place(n, block);
  it->place(2, 1000);
  auto fetched = it->requests(kGetBlock);
  auto asked = it->requests(kBlockSums);
  it->copies(2).changed(kArc);
  for (int block : {0, 67, 134}) EXPECT_TRUE(it->wait_until_holds(2, block));
  it->world().run_for(10s);
  EXPECT_EQ(it->requests(kGetBlock) - fetched, 3U);
  EXPECT_LE(it->requests(kBlockSums) - asked, 4U);
  EXPECT_FALSE(it->holds(0, 1000)) << "who lacks it compares itself";
  asked = it->requests(kBlockSums);
  it->world().run_for(kCompareEvery * 3 / 4 - 15s);
  EXPECT_EQ(it->requests(kBlockSums), asked) << "equal and quiet: nothing is said";
  EXPECT_TRUE(it->wait_until_holds(0, 1000, kCompareEvery));
}

TEST_F(CopiesTest, VoterThatCannotReachAnotherTriesAgainUntilItCan) {
  begin(3, 3);
  it->host(1).crash();
  it->place(0, 1);
  it->copies(2).changed(kArc);
  EXPECT_TRUE(it->wait_until_holds(2, 1, 2s));
  it->start(1);
  it->place(1, 2);
  EXPECT_TRUE(it->wait_until_holds(2, 2, 60s));
}

TEST_F(CopiesTest, LearnerIsCompleteWhenItHasWhatAMajorityHas) {
  begin(6, 5);
  it->known.learners = {5};
  it->known.index = 2;
  for (int block = 0; block < 30; ++block)
    for (int n : {2, 3, 4}) it->place(n, block, 10'000);
  for (int n : {2, 3, 4}) cut(5, n);
  auto completing = complete(5);
  EXPECT_FALSE(wait_for(completing, 20s)) << "two of five are no majority";
  network().heal();
  ASSERT_TRUE(wait_for(completing));
  ASSERT_TRUE(*completing->result);
  EXPECT_TRUE(**completing->result);
  for (int block = 0; block < 30; ++block) EXPECT_TRUE(it->holds(5, block)) << block;
  EXPECT_EQ(it->copies(0).bytes_left_at(kArc, CopiesWorld::replica(5)), 0U);
}

TEST_F(CopiesTest, VoterThatDoesNotKnowTheLearnerDoesNotCount) {
  for (CopiesWorld::Known old : {CopiesWorld::Known{.voters = {0, 1, 2}},
                                 CopiesWorld::Known{.voters = {0, 1, 2}, .learners = {3}, .index = 2, .term = 1}}) {
    begin(4, 3);
    it->known.learners = {3};
    it->known.index = 2;
    it->known.term = 2;
    it->instead[1] = it->instead[2] = old;
    auto completing = complete(3);
    EXPECT_FALSE(wait_for(completing, 20s));
    it->instead.clear();
    EXPECT_TRUE(wait_for(completing));
    EXPECT_TRUE(completing->result->value_or(false));
  }
}

TEST_F(CopiesTest, PutThatMissedTheLearnerMakesItIncomplete) {
  begin(4, 3);
  it->known.learners = {3};
  it->known.index = 2;
  for (int block = 0; block < 300; ++block) it->place(0, block, 20'000);
  Request refused;  // A way to let node 3 miss a put: it takes no block of this identity.
  refused.header.mutable_drop_block()->set_arc(kArc);
  refused.header.mutable_drop_block()->add_blocks(CopiesWorld::id(999));
  refused.header.mutable_drop_block()->set_passed_on(true);
  ASSERT_TRUE(it->call(3, std::move(refused)));
  auto completing = complete(3);
  ASSERT_TRUE(it->put(0, 999));
  ASSERT_FALSE(completing->result) << "the put was to fall into the comparison";
  ASSERT_TRUE(wait_for(completing));
  EXPECT_FALSE(completing->result->value_or(true));
  auto again = complete(3);
  ASSERT_TRUE(wait_for(again));
  EXPECT_TRUE(again->result->value_or(false));
}

TEST_F(CopiesTest, LearnerThatMissedAPutGetsItOnceItVotes) {
  begin(4, 3);
  it->known.learners = {3};
  it->known.index = 2;
  auto completing = complete(3);
  ASSERT_TRUE(wait_for(completing));
  EXPECT_TRUE(it->copies(0).owes_nothing(kArc, CopiesWorld::replica(3)));
  cut(0, 3);
  ASSERT_TRUE(it->put(0, 1));
  EXPECT_FALSE(it->copies(0).owes_nothing(kArc, CopiesWorld::replica(3)));
  network().heal();
  it->known.learners = {};
  it->known.voters = {0, 1, 3};
  it->known.index = 3;
  it->copies(0).changed(kArc);
  EXPECT_TRUE(it->wait_until_holds(3, 1));
  it->world().run_for(1s);
  EXPECT_TRUE(it->copies(0).owes_nothing(kArc, CopiesWorld::replica(3)));
}

TEST_F(CopiesTest, ChangeOfTheViewEndsCompleting) {
  begin(4, 3);
  it->known.learners = {3};
  it->host(1).pause();
  it->host(2).pause();
  auto completing = complete(3);
  it->world().run_for(3s);
  it->known.index = 2;
  ASSERT_TRUE(wait_for(completing));
  EXPECT_EQ(completing->result->code(), Errc::stale);
}

TEST_F(CopiesTest, RemovedReplicaHandsBackWhatMembersLack) {
  begin(4, 3);
  for (int block = 0; block < 50; ++block) it->place(3, block);
  for (int block = 0; block < 48; ++block)
    for (int n : {0, 1, 2}) it->place(n, block);
  it->place(1, 48);
  auto before = it->requests(wire::Request::kPutBlock);
  auto handed = it->world().run(it->copies(3).hand_back(kArc, CopiesWorld::view(it->known)));
  ASSERT_TRUE(handed) << handed.error().text();
  EXPECT_TRUE(*handed);
  EXPECT_EQ(holders(48, 3) + holders(49, 3), 6);
  EXPECT_EQ(it->requests(wire::Request::kPutBlock) - before, 5U);
  it->host(2).crash();
  EXPECT_FALSE(it->world().run(it->copies(3).hand_back(kArc, CopiesWorld::view(it->known))));
}

TEST_F(CopiesTest, ManyArcsAreComparedAFewAtOnce) {
  begin(3, 3);
  it->host(1).pause();
  it->host(2).pause();
  auto before = it->requests(kBlockSums);
  it->arcs = 256;
  for (ArcNumber arc = 0; arc < 256; ++arc) it->copies(0).changed(arc);
  it->world().run_for(1500ms);
  EXPECT_EQ(it->requests(kBlockSums) - before, kComparisonsAtOnce);
}

// ---- Everything at once ----

class CopiesChaos : public CopiesTest, public testing::WithParamInterface<std::uint64_t> {};

TEST_P(CopiesChaos, NothingAcknowledgedIsLostAndAllAgreeInTheEnd) {
  begin(3, 3, GetParam());
  auto& rng = it->world().rng();
  network().options().loss = 0.02;
  network().options().duplication = 0.02;
  std::set<int> acknowledged, dropped;
  int failed = 0;
  for (int step = 0; step < 300; ++step) {
    int n = static_cast<int>(rng.below(3));
    switch (rng.below(14)) {
      case 0:
        if (it->host(n).alive()) rng.chance(0.5) ? it->host(n).crash() : it->host(n).power_off();
        it->world().run_for(1ms);
        break;
      case 1:
      case 2:
        for (int m = 0; m < 3; ++m)
          if (!it->host(m).alive()) it->start(m);
        break;
      case 3:
        cut(n, (n + 1) % 3);
        break;
      case 4:
      case 7:
        network().heal();
        break;
      case 5:  // Another leader; everybody who is up hears of it.
        it->known.leader = n;
        ++it->known.term;
        it->changed();
        break;
      case 6:
        if (!acknowledged.empty()) {
          int block = *std::next(acknowledged.begin(), static_cast<int>(rng.below(acknowledged.size())));
          dropped.insert(block);  // Even if the call fails: it may have happened.
          acknowledged.erase(block);
          std::ignore = it->drop(it->known.leader, {block});
        }
        break;
      default:
        if (!it->put(it->known.leader, step, 1 + rng.below(40'000))) {
          ++failed;
          break;
        }
        acknowledged.insert(step);
        EXPECT_GE(holders(step, 3), 2) << "block " << step << " at step " << step;
    }
    it->world().run_for(rng.between(0ms, 400ms));
  }
  network().heal();
  network().options().loss = network().options().duplication = 0;
  for (int n = 0; n < 3; ++n)
    if (!it->host(n).alive()) it->start(n);
  it->changed();
  // Until no tombstone is left: some may keep a dropped block that others must not fetch yet.
  it->world().run_for(kTombstoneTime + 2 * kCompareEvery);
  EXPECT_GT(acknowledged.size() + dropped.size(), 40U) << failed << " failed";
  std::vector<std::string> lists;
  for (int n = 0; n < 3; ++n) {
    std::string list;
    for (const auto& held : it->blocks(n).list(kArc)) list += std::to_string(read_u32(held.id.substr(12))) + " ";
    lists.push_back(list);
    for (int block : acknowledged) {
      auto read = it->get(n, block, true);
      ASSERT_TRUE(read) << "seed " << GetParam() << " node " << n << ": " << read.error().text();
    }
  }
  EXPECT_EQ(lists[0], lists[1]) << "seed " << GetParam();
  EXPECT_EQ(lists[0], lists[2]) << "seed " << GetParam();
}

INSTANTIATE_TEST_SUITE_P(Seeds, CopiesChaos, testing::Range<std::uint64_t>(1, 31));

// ---- Pure ----

TEST(BlockSums, DependOnWhatIsHeldAndNotOnItsOrder) {
  std::vector<BlockStore::Held> held;
  for (int block = 0; block < 1000; ++block) held.push_back({CopiesWorld::id(block), 7});
  wire::BlockSums sums;
  write(BlockSums(held), sums);
  std::ranges::reverse(held);
  EXPECT_TRUE(differing(BlockSums(held), sums)->empty());
  held[17].length = 8;
  held.pop_back();
  std::set<std::uint32_t> expected{static_cast<std::uint32_t>(bucket_of(held[17].id)),
                                   static_cast<std::uint32_t>(bucket_of(CopiesWorld::id(0)))};
  auto buckets = *differing(BlockSums(held), sums);
  EXPECT_EQ(std::set(buckets.begin(), buckets.end()), expected);
  sums.mutable_sums()->RemoveLast();
  EXPECT_EQ(differing(BlockSums(held), sums).code(), Errc::bad_message);
}

TEST(Tombstones, AreForgottenInTime) {
  Tombstones tombstones;
  Time now{};
  tombstones.add(1, "a", now);
  tombstones.add(1, "a", now + 1min);
  EXPECT_TRUE(tombstones.has(1, "a", now + kTombstoneTime));
  EXPECT_FALSE(tombstones.has(2, "a", now));
  EXPECT_FALSE(tombstones.has(1, "a", now + kTombstoneTime + 1min));
}

}  // namespace chordfs::test
