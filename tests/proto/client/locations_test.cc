#include "proto/client/locations.h"

#include <gtest/gtest.h>

#include "tests/proto/client/places.h"

namespace chordfs {
namespace {

using test::at;
using test::endpoint;
using test::key;
using test::places;

TEST(Locations, EmptyKnowsNobody) {
  Locations locations;
  EXPECT_FALSE(locations.owner(key(5)));
  EXPECT_TRUE(locations.preceding(key(5), 3).empty());
}

TEST(Locations, EveryAdjacentPairIsARange) {
  Locations locations;
  locations.learn(key(10), places({20, 40, 60}));
  EXPECT_EQ(locations.owner(key(10)), at(20));
  EXPECT_EQ(locations.owner(key(20)), at(20));
  EXPECT_EQ(locations.owner(key(21)), at(40));
  EXPECT_EQ(locations.owner(key(60)), at(60));
}

TEST(Locations, WhatLiesBeforeTheIdAskedForIsNotKnown) {
  Locations locations;
  locations.learn(key(10), places({20, 40}));
  EXPECT_FALSE(locations.owner(key(9)));
  EXPECT_FALSE(locations.owner(key(41)));
  locations.learn(key(5), places({20}));
  EXPECT_EQ(locations.owner(key(9)), at(20));
  locations.learn(key(15), places({20}));
  EXPECT_EQ(locations.owner(key(9)), at(20)) << "a narrower answer takes nothing back";
}

TEST(Locations, RangesGoRoundTheCircle) {
  Locations locations;
  locations.learn(key(200), places({250, 3, 20}));
  EXPECT_EQ(locations.owner(key(255)), at(3));
  EXPECT_EQ(locations.owner(key(0)), at(3));
  EXPECT_EQ(locations.owner(key(4)), at(20));
  EXPECT_FALSE(locations.owner(key(100)));
}

TEST(Locations, ANewcomerTakesItsPartOfARange) {
  Locations locations;
  locations.learn(key(10), places({20, 40}));
  locations.learn(key(25), places({30, 40}));
  EXPECT_EQ(locations.owner(key(30)), at(30));
  EXPECT_EQ(locations.owner(key(31)), at(40));
  EXPECT_FALSE(locations.owner(key(21))) << "nobody said that 30 owns this";
}

TEST(Locations, WhoHasGoneFromBetweenIsDropped) {
  Locations locations;
  locations.learn(key(10), places({20, 40, 60}));
  locations.learn(key(20), places({20, 60}));
  EXPECT_EQ(locations.owner(key(30)), at(60));
  EXPECT_EQ(locations.size(), 2U);
  locations.learn(key(15), places({60}));
  EXPECT_EQ(locations.size(), 1U);
}

TEST(Locations, APlaceHasOneNode) {
  Locations locations;
  locations.learn(key(10), places({20}));
  locations.learn(key(10), std::vector{at(20, 99)});  // It came back under another address.
  EXPECT_EQ(locations.owner(key(12)), at(20, 99));
  EXPECT_EQ(locations.size(), 1U);
}

TEST(Locations, ARunOutOfOrderEndsWhereItIs) {
  Locations locations;
  locations.learn(key(10), places({20, 40, 30, 50}));
  EXPECT_EQ(locations.owner(key(35)), at(40));
  EXPECT_FALSE(locations.owner(key(45)));
}

TEST(Locations, ForgetsPositionsAndNodes) {
  Locations locations;
  locations.learn(key(10), std::vector{at(20, 1), at(40, 2), at(60, 1)});
  EXPECT_EQ(locations.drop(key(40)), 1U);
  EXPECT_FALSE(locations.owner(key(30)));
  EXPECT_EQ(locations.drop(key(40)), 0U);
  EXPECT_EQ(locations.forget(endpoint(1)), 2U);
  EXPECT_EQ(locations.size(), 0U);
  locations.learn(key(10), std::vector{at(20, 1)});
  EXPECT_EQ(locations.forget(at(20, 1).node), 1U);
}

TEST(Locations, AnEntryPutRightMeanwhileIsNotDropped) {
  Locations locations;
  locations.learn(key(10), places({20, 60}));
  auto guess = *locations.owner(key(30));
  locations.learn(key(30), places({40, 60}));
  EXPECT_EQ(locations.drop_wrong(key(30), guess), 0U);
  EXPECT_EQ(locations.owner(key(50)), at(60));
  EXPECT_EQ(locations.drop_wrong(key(50), guess), 1U);
}

TEST(Locations, PrecedingAreTheClosestOfDifferentNodes) {
  Locations locations;
  locations.learn(key(10), std::vector{at(20, 1), at(40, 2), at(60, 2), at(80, 3)});
  EXPECT_EQ(locations.preceding(key(80), 3), (std::vector{at(60, 2), at(20, 1), at(80, 3)}));
  EXPECT_EQ(locations.preceding(key(15), 1), (std::vector{at(80, 3)}));
}

TEST(Locations, FullItDropsWhatHasNotHelped) {
  Locations locations(3);
  locations.learn(key(10), places({20}));
  locations.learn(key(30), places({40}));
  locations.learn(key(50), places({60}));
  EXPECT_TRUE(locations.owner(key(15)));
  EXPECT_TRUE(locations.owner(key(55)));
  locations.learn(key(70), places({80}));
  EXPECT_EQ(locations.size(), 3U);
  EXPECT_FALSE(locations.owner(key(35)));
  EXPECT_TRUE(locations.owner(key(15)));
  EXPECT_TRUE(locations.owner(key(75)));
}

TEST(Locations, NoRoomMeansNoCache) {
  Locations locations(0);
  locations.learn(key(10), places({20, 40}));
  EXPECT_EQ(locations.size(), 0U);
}

}  // namespace
}  // namespace chordfs
