#include "proto/id/id.h"

#include <gtest/gtest.h>

namespace chordfs {
namespace {

const Id kZero;
const Id kTop = Id() - Id().plus_power(0);

Id at(std::uint64_t top) {
  return Id::from_top(top);
}

TEST(Id, HashIsSha256CutToItsFirst160Bits) {
  EXPECT_EQ(Id::hash("abc").hex(), "ba7816bf8f01cfea414140de5dae2223b00361a3");  // FIPS 180-2, B.1
  EXPECT_EQ(Id::hash("").hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4");
}

TEST(Id, ParseTakesTwentyBytesOnly) {
  Id out = at(1);
  EXPECT_FALSE(Id::parse("short", out));
  EXPECT_EQ(out, kZero);
  EXPECT_TRUE(Id::parse(Id::hash("x").bytes(), out));
  EXPECT_EQ(out, Id::hash("x"));
}

TEST(Id, OrderIsThatOfTheNumbers) {
  EXPECT_LT(kZero, kZero.plus_power(0));
  EXPECT_LT(kZero.plus_power(8), kZero.plus_power(9));
  EXPECT_LT(at(0x7fffffffffffffff), at(0x8000000000000000));
  EXPECT_LT(at(1), kTop);
}

TEST(Id, SumCarriesAndWraps) {
  EXPECT_EQ(kTop + kZero.plus_power(0), kZero);
  EXPECT_EQ(kTop.plus_power(0), kZero);
  EXPECT_EQ(kZero.plus_power(159).plus_power(159), kZero);
  EXPECT_EQ(at(0xff).plus_power(96).top(), 0x100U);
  EXPECT_EQ(kZero.plus_power(96).top(), 1U);
}

TEST(Id, DifferenceUndoesTheSum) {
  auto a = Id::hash("a");
  auto b = Id::hash("b");
  EXPECT_EQ(a + b - b, a);
  EXPECT_EQ(a - b + b, a);
  EXPECT_EQ(kZero - kZero.plus_power(0), kTop);
}

TEST(Id, TopAndBrief) {
  EXPECT_EQ(at(0x0123456789abcdef).top(), 0x0123456789abcdefU);
  EXPECT_EQ(at(0x0123456789abcdef).brief(), "01234567");
}

TEST(Between, WithoutWrap) {
  EXPECT_TRUE(between(at(1), at(2), at(3)));
  EXPECT_FALSE(between(at(1), at(1), at(3)));
  EXPECT_FALSE(between(at(1), at(3), at(3)));
  EXPECT_FALSE(between(at(1), at(4), at(3)));
}

TEST(Between, AcrossZero) {
  EXPECT_TRUE(between(at(9), kTop, at(2)));
  EXPECT_TRUE(between(at(9), kZero, at(2)));
  EXPECT_TRUE(between(at(9), at(1), at(2)));
  EXPECT_FALSE(between(at(9), at(2), at(2)));
  EXPECT_FALSE(between(at(9), at(9), at(2)));
  EXPECT_FALSE(between(at(9), at(5), at(2)));
}

TEST(Between, WholeCircleButTheEnd) {
  EXPECT_TRUE(between(at(5), at(6), at(5)));
  EXPECT_TRUE(between(at(5), at(4), at(5)));
  EXPECT_FALSE(between(at(5), at(5), at(5)));
}

TEST(Owned, EndBelongsBeginningDoesNot) {
  EXPECT_TRUE(owned(at(1), at(3), at(3)));
  EXPECT_TRUE(owned(at(1), at(2), at(3)));
  EXPECT_FALSE(owned(at(1), at(1), at(3)));
  EXPECT_TRUE(owned(at(9), kZero, at(3)));
  EXPECT_TRUE(owned(at(9), kTop, kZero));
  EXPECT_TRUE(owned(kTop, kZero, kZero));
}

TEST(Owned, LoneNodeOwnsTheCircle) {
  EXPECT_TRUE(owned(at(5), at(5), at(5)));
  EXPECT_TRUE(owned(at(5), at(4), at(5)));
}

TEST(Owned, EveryKeyHasExactlyOneOwner) {
  const Id nodes[] = {Id::hash("n1"), Id::hash("n2"), Id::hash("n3"), Id::hash("n4"), kZero, kTop};
  for (int key = 0; key < 200; ++key) {
    auto id = key < 6 ? nodes[key] : Id::hash(std::to_string(key));
    int owners = 0;
    for (const auto& to : nodes) {
      Id from = to;  // Its predecessor: the node met last when walking clockwise from `to`.
      for (const auto& candidate : nodes)
        if (candidate != to && (from == to || between(from, candidate, to))) from = candidate;
      owners += owned(from, id, to);
    }
    EXPECT_EQ(owners, 1) << id.hex();
  }
}

TEST(ArcMap, ArcOfItsPointAndOfItsLastIdentifier) {
  for (int bits : {0, 1, 8, 16}) {
    ArcMap map(bits);
    EXPECT_EQ(map.count(), 1U << bits);
    for (ArcNumber arc = 0; arc < map.count(); arc += 1 + map.count() / 97) {
      EXPECT_EQ(map.arc_of(map.point(arc)), arc);
      auto next = map.point((arc + 1) % map.count());
      EXPECT_EQ(map.arc_of(next - kZero.plus_power(0)), arc);
    }
  }
}

TEST(ArcMap, PointsAreEquallyFarApart) {
  ArcMap map(8);
  EXPECT_EQ(map.point(1) - map.point(0), kZero.plus_power(152));
  EXPECT_EQ(map.point(0) - map.point(255), kZero.plus_power(152));
}

TEST(Uuid, RoundTripAndEmpty) {
  Uuid uuid(0x0123456789abcdef, 0xfedcba9876543210);
  EXPECT_EQ(uuid.hex(), "0123456789abcdeffedcba9876543210");
  Uuid out;
  EXPECT_TRUE(out.empty());
  EXPECT_TRUE(Uuid::parse(uuid.bytes(), out));
  EXPECT_EQ(out, uuid);
  EXPECT_FALSE(Uuid::parse("x", out));
  EXPECT_TRUE(out.empty());
}

TEST(PositionId, IsTheHashOfIdentityAndIndex) {
  Uuid node(1, 2);
  EXPECT_EQ(position_id(node, 3), Id::hash(node.bytes() + std::string("\0\0\0\3", 4)));
  EXPECT_NE(position_id(node, 0), position_id(node, 1));
}

}  // namespace
}  // namespace chordfs
