#include "tools/cli/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chordfs::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Verdict = Copies::Verdict;

wire::ArcHash hash(std::uint64_t applied, std::string records, std::string blocks = "same") {
  wire::ArcHash answer;
  answer.set_applied(applied);
  answer.set_records(std::move(records));
  answer.set_blocks_hash(std::move(blocks));
  return answer;
}

TEST(CopiesOfAnArc, EqualAtOneIndexAreEqual) {
  Copies copies;
  copies.add("a", hash(7, "x"));
  copies.add("b", hash(7, "x"));
  EXPECT_EQ(copies.records({"a", "b"}), Verdict::equal);
  EXPECT_THAT(copies.with_other_records(), IsEmpty());
}

TEST(CopiesOfAnArc, OneThatHasNotAnsweredIsNotCompared) {
  Copies copies;
  copies.add("a", hash(7, "x"));
  EXPECT_EQ(copies.records({"a", "b"}), Verdict::changing);
  EXPECT_EQ(copies.blocks({"a", "b"}), Verdict::changing);
  EXPECT_EQ(copies.records({"a"}), Verdict::equal);
}

TEST(CopiesOfAnArc, AtDifferentIndicesNothingIsKnown) {
  Copies copies;
  copies.add("a", hash(7, "x"));
  copies.add("b", hash(8, "y"));
  EXPECT_EQ(copies.records({"a", "b"}), Verdict::changing);
  copies.add("a", hash(8, "y"));
  EXPECT_EQ(copies.records({"a", "b"}), Verdict::equal);
}

TEST(CopiesOfAnArc, AnIndexOfAnEarlierRoundCounts) {
  Copies copies;
  copies.add("a", hash(7, "x"));
  copies.add("b", hash(6, "w"));
  copies.add("c", hash(6, "w"));
  copies.add("b", hash(7, "x"));
  copies.add("a", hash(9, "z"));
  copies.add("c", hash(8, "y"));
  EXPECT_EQ(copies.records({"a", "b", "c"}), Verdict::equal) << "a with b at 7, b with c at 6";
}

TEST(CopiesOfAnArc, TwoPairsAreNotCompared) {
  Copies copies;
  copies.add("a", hash(7, "x"));
  copies.add("b", hash(7, "x"));
  copies.add("c", hash(8, "y"));
  copies.add("d", hash(8, "y"));
  EXPECT_EQ(copies.records({"a", "b", "c", "d"}), Verdict::changing);
}

TEST(CopiesOfAnArc, TheOneThatDiffersIsNamed) {
  Copies copies;
  copies.add("a", hash(7, "x"));
  copies.add("b", hash(7, "bad"));
  copies.add("c", hash(7, "x"));
  EXPECT_EQ(copies.records({"a", "b", "c"}), Verdict::differ);
  EXPECT_THAT(copies.with_other_records(), ElementsAre("b"));
}

TEST(CopiesOfAnArc, ADifferenceSeenOnceStays) {
  Copies copies;
  copies.add("a", hash(7, "x"));
  copies.add("b", hash(7, "bad"));
  copies.add("c", hash(7, "x"));
  for (const char* node : {"a", "b", "c"}) copies.add(node, hash(9, "z"));
  EXPECT_THAT(copies.with_other_records(), ElementsAre("b"));
  copies.clear();
  EXPECT_THAT(copies.with_other_records(), IsEmpty());
}

TEST(CopiesOfAnArc, OfTwoBothAreNamed) {
  Copies copies;
  copies.add("a", hash(7, "x"));
  copies.add("b", hash(7, "y"));
  EXPECT_THAT(copies.with_other_records(), ElementsAre("a", "b"));
}

TEST(CopiesOfAnArc, BlocksAreComparedInTheLatestAnswers) {
  Copies copies;
  copies.add("a", hash(7, "x", "one"));
  copies.add("b", hash(7, "x", "two"));
  EXPECT_EQ(copies.blocks({"a", "b"}), Verdict::changing);
  copies.add("a", hash(7, "x", "two"));
  EXPECT_EQ(copies.blocks({"a", "b"}), Verdict::equal);
}

TEST(CopiesOfAnArc, BadBlocksAreRememberedFromEveryAnswer) {
  Copies copies;
  auto first = hash(7, "x");
  first.add_broken("\x1f");
  copies.add("a", first);
  copies.add("a", hash(7, "x"));
  EXPECT_THAT(copies.bad_blocks()["a"], ElementsAre("1f"));
}

TEST(Blocks, MissingIsNamedByNode) {
  auto findings = compare_blocks(3, {{"a", {{"\x01", 5}, {"\x02", 6}}}, {"b", {{"\x02", 6}}}, {"c", {{"\x01", 5}}}});
  EXPECT_THAT(findings, ElementsAre(Finding{Finding::Kind::block_missing, 3, "b", "01"},
                                    Finding{Finding::Kind::block_missing, 3, "c", "02"}));
}

TEST(Blocks, EqualSetsHaveNoFindings) {
  EXPECT_THAT(compare_blocks(3, {{"a", {{"\x01", 5}}}, {"b", {{"\x01", 5}}}}), IsEmpty());
  EXPECT_THAT(compare_blocks(3, {}), IsEmpty());
}

TEST(Blocks, OtherLengthIsNamedOnEveryNode) {
  auto findings = compare_blocks(3, {{"a", {{"\x01", 5}}}, {"b", {{"\x01", 6}}}});
  EXPECT_THAT(findings, ElementsAre(Finding{Finding::Kind::block_differs, 3, "a", "01"},
                                    Finding{Finding::Kind::block_differs, 3, "b", "01"}));
}

wire::BlockSums sums(int bucket, std::uint64_t sum) {
  wire::BlockSums answer;
  for (int i = 0; i < 256; ++i) answer.add_sums(i == bucket ? sum : 0);
  return answer;
}

TEST(Buckets, OnlyThoseThatDifferAreAskedFor) {
  EXPECT_THAT(differing_buckets({sums(9, 1), sums(9, 2), sums(9, 1)}), ElementsAre(9U));
  EXPECT_THAT(differing_buckets({sums(9, 1), sums(9, 1)}), IsEmpty());
  EXPECT_THAT(differing_buckets({sums(9, 1), wire::BlockSums()}), SizeIs(256));
  EXPECT_THAT(differing_buckets({}), IsEmpty());
}

TEST(Findings, EveryKindHasANameAndALine) {
  for (int kind = 0; kind <= static_cast<int>(Finding::Kind::block_bad); ++kind) {
    Finding finding{static_cast<Finding::Kind>(kind), 1, "a", "1f"};
    EXPECT_NE(name_of(finding.kind), "?");
    EXPECT_NE(text_of(finding), "?");
  }
}

}  // namespace
}  // namespace chordfs::cli
