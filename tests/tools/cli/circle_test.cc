#include "tools/cli/circle.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace chordfs::cli {
namespace {

/// That share of the way round, in quarters.
Id quarter(unsigned number) {
  return Id::from_top(std::uint64_t{number} << 62);
}

TEST(Circle, NodesStandClockwiseFromTheTop) {
  auto drawing =
      draw_circle({{quarter(0), 'a'}, {quarter(1), 'b'}, {quarter(2), 'c'}, {quarter(3), 'd'}}, 5, {"ring", "of four"});
  EXPECT_EQ(drawing,
            "      ....a....\n"
            "   ....       ....\n"
            " ...             ...\n"
            "..                 ..\n"
            ".       ring        .\n"
            "d      of four      b\n"
            ".                   .\n"
            "..                 ..\n"
            " ...             ...\n"
            "   ....       ....\n"
            "      ....c....\n");
}

TEST(Circle, NobodyIsAnEmptyCircle) {
  auto drawing = draw_circle({}, 4, {});
  EXPECT_EQ(drawing.find_first_not_of(". \n"), std::string::npos);
}

TEST(Circle, PositionsThatFallTogetherAreBothShown) {
  auto drawing = draw_circle({{quarter(1), 'a'}, {quarter(1), 'b'}}, 5, {});
  EXPECT_EQ(std::ranges::count(drawing, 'a'), 1);
  EXPECT_EQ(std::ranges::count(drawing, 'b'), 1);
}

TEST(Circle, MorePositionsThanPlacesFillIt) {
  std::vector<Mark> marks(1000, Mark{quarter(3), 'x'});
  auto drawing = draw_circle(std::move(marks), 3, {});
  EXPECT_EQ(drawing.find_first_not_of("x \n"), std::string::npos);
}

TEST(Circle, LastIdentifierIsStillOnTheCircle) {
  auto last = Id::from_top(~std::uint64_t{0});
  EXPECT_EQ(std::ranges::count(draw_circle({{last, 'z'}}, 5, {}), 'z'), 1);
}

TEST(Circle, TextInsideIsCutNotTheCircle) {
  auto empty = draw_circle({}, 3, {});
  auto full = draw_circle({}, 3, std::vector<std::string>(20, std::string(100, '#')));
  EXPECT_EQ(std::ranges::count(full, '.'), std::ranges::count(empty, '.'));
}

TEST(Circle, LettersNeverRunOut) {
  EXPECT_EQ(letter_of(0), 'a');
  EXPECT_EQ(letter_of(26), 'A');
  EXPECT_EQ(letter_of(61), '9');
  EXPECT_EQ(letter_of(62), '*');
  EXPECT_EQ(letter_of(100'000), '*');
}

}  // namespace
}  // namespace chordfs::cli
