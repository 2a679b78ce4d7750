#include "tools/cli/circle.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <tuple>

namespace chordfs::cli {

namespace {
/// A character is about twice as high as it is wide.
constexpr int kColumnsPerLine = 2;

struct Place {
  int line = 0;
  int column = 0;
  friend bool operator==(const Place&, const Place&) = default;
};

/// Every character on the circle once, clockwise from the top.
std::vector<Place> places(int radius) {
  std::vector<Place> all;
  const int steps = 64 * radius;
  for (int step = 0; step < steps; ++step) {
    double angle = 2 * std::numbers::pi * step / steps;
    Place place{radius - static_cast<int>(std::lround(radius * std::cos(angle))),
                kColumnsPerLine * radius + static_cast<int>(std::lround(kColumnsPerLine * radius * std::sin(angle)))};
    if (std::ranges::find(all, place) == all.end()) all.push_back(place);
  }
  return all;
}

/// One letter a place; marks that fall together move on.
std::string letters(const std::vector<Mark>& marks, std::size_t count) {
  std::string letters(count, '.');
  for (const auto& mark : marks) {
    constexpr double kCircle = 18446744073709551616.0;  // 2^64
    auto share = static_cast<double>(mark.at.top()) / kCircle;
    auto at = std::min(static_cast<std::size_t>(share * static_cast<double>(count)), count - 1);
    for (std::size_t tried = 0; tried < count; ++tried, at = (at + 1) % count)
      if (letters[at] == '.') {
        letters[at] = mark.letter;
        break;
      }
  }
  return letters;
}

void write_inside(std::vector<std::string>& lines, int radius, const std::vector<std::string>& inside) {
  auto count = std::min<int>(static_cast<int>(inside.size()), 2 * radius - 3);
  auto first = radius - count / 2;
  for (int i = 0; i < count; ++i) {
    auto& line = lines[static_cast<std::size_t>(first + i)];
    auto middle = line.size() / 2;
    auto left = line.find_last_not_of(' ', middle);
    auto right = line.find_first_not_of(' ', middle);
    auto room = right - left - 3;
    auto text = inside[static_cast<std::size_t>(i)].substr(0, room);
    line.replace(left + 2 + (room - text.size()) / 2, text.size(), text);
  }
}
}  // namespace

char letter_of(std::size_t number) {
  static constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  return number < kLetters.size() ? kLetters[number] : '*';
}

std::string draw_circle(std::vector<Mark> marks, int radius, const std::vector<std::string>& inside) {
  std::ranges::sort(marks, {}, [](const Mark& mark) { return std::tie(mark.at, mark.letter); });
  radius = std::max(radius, 3);
  auto around = places(radius);
  auto text = letters(marks, around.size());
  auto width = static_cast<std::size_t>(2 * kColumnsPerLine * radius + 1);
  std::vector<std::string> lines(static_cast<std::size_t>(2 * radius + 1), std::string(width, ' '));
  for (std::size_t i = 0; i < around.size(); ++i)
    lines[static_cast<std::size_t>(around[i].line)][static_cast<std::size_t>(around[i].column)] = text[i];
  write_inside(lines, radius, inside);
  std::string drawing;
  for (auto& line : lines) {
    line.erase(line.find_last_not_of(' ') + 1);
    drawing += line + "\n";
  }
  return drawing;
}

}  // namespace chordfs::cli
