#include <gtest/gtest.h>

#include "proto/client/lookup.h"
#include "tests/proto/client/places.h"

namespace chordfs {
namespace {

using test::at;
using test::endpoint;
using test::key;

TEST(Candidates, ClosestBeforeTheTargetComesFirst) {
  Candidates candidates(key(100));
  for (int place : {50, 120, 90, 10}) candidates.offer(at(place));
  for (int place : {90, 50, 10, 120}) EXPECT_EQ(candidates.next()->position, at(place));
  EXPECT_FALSE(candidates.next());
}

TEST(Candidates, ThePreferredComesBeforeAllAndTheUnplacedLast) {
  Candidates candidates(key(100));
  candidates.offer(endpoint(1));
  candidates.offer(at(90));
  candidates.prefer(at(110));
  EXPECT_EQ(candidates.next()->at, endpoint(110));
  EXPECT_EQ(candidates.next()->at, endpoint(90));
  EXPECT_EQ(candidates.next()->at, endpoint(1));
}

TEST(Candidates, NobodyIsHandedOutTwiceOrWhenExcluded) {
  Candidates candidates(key(100));
  candidates.exclude(endpoint(7));
  candidates.offer(at(90, 7));
  candidates.prefer(at(110, 7));
  candidates.offer(at(90, 1));
  candidates.offer(at(80, 1));
  EXPECT_EQ(candidates.next()->position, at(90, 1));
  candidates.offer(endpoint(1));
  EXPECT_FALSE(candidates.next());
}

TEST(Candidates, RememberWhoNamedThem) {
  Candidates candidates(key(100));
  candidates.offer(at(50));
  candidates.offer(at(90), endpoint(3));
  EXPECT_EQ(candidates.next()->named_by, endpoint(3));
  EXPECT_EQ(candidates.next()->named_by, std::nullopt);
}

TEST(Candidates, KeepALimitedNumber) {
  Candidates candidates(key(100));
  for (std::size_t i = 0; i < kLookupCandidatesMax + 10; ++i) candidates.offer(endpoint(static_cast<int>(i)));
  std::size_t count = 0;
  while (candidates.next()) ++count;
  EXPECT_EQ(count, kLookupCandidatesMax);
}

}  // namespace
}  // namespace chordfs
