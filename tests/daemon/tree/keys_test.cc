#include "daemon/tree/keys.h"

#include <gtest/gtest.h>

namespace chordfs::tree {

TEST(Keys, PrefixEndsBeforeTheNextNumberEvenAfterAllOnes) {
  auto range = keys_with_prefix(std::string("D\x01\xff\xff", 4));
  EXPECT_EQ(range.to, "D\x02");
  EXPECT_LT(entry_key_from(7, kNameHashMax) + std::string(255, '\xff'), entry_keys(7).to);
  EXPECT_GE(entry_key_from(8, 0), entry_keys(7).to);
}

TEST(Keys, OrderOfEntriesIsOrderOfCookies) {
  for (std::string name : {"a", "b", "c", "d"})
    for (std::string other : {"e", "f", "g", "h"})
      EXPECT_EQ(entry_key(1, name) < entry_key(1, other), cookie_of(name_hash(name)) < cookie_of(name_hash(other)));
}

TEST(Keys, CookiesKeepSixteenFreeAndFitInto63Bits) {
  EXPECT_EQ(cookie_of(0), 16U);
  EXPECT_EQ(cookie_of(kNameHashMax), (std::uint64_t{1} << 63) - 1);
  EXPECT_EQ(hash_after(0), 0U);
  EXPECT_EQ(hash_after(15), 0U);
  EXPECT_EQ(hash_after(cookie_of(5)), 6U);
}

TEST(Keys, NameComesBackFromItsKey) {
  std::string name("\x00 odd \xff", 7);
  auto key = entry_key(9, name);
  EXPECT_EQ(number_in(key), 9U);
  EXPECT_EQ(entry_name_in(key).name, name);
  EXPECT_EQ(entry_name_in(key).hash, name_hash(name));
}

}  // namespace chordfs::tree
