#include "tools/cli/screen.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string_view>

namespace chordfs::cli {

namespace {
constexpr Duration kKeyEvery = 100ms;
}

Screen::Screen() {
  keys_ = tcgetattr(STDIN_FILENO, &before_) == 0;
  if (keys_) {
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  }
  fmt::print("\033[?1049h\033[?25l");
}

Screen::~Screen() {
  fmt::print("\033[?25h\033[?1049l");
  std::fflush(stdout);
  if (keys_) tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

void Screen::show(const std::string& text) {
  fmt::print("\033[H");
  std::string_view rest = text;
  while (!rest.empty()) {
    auto end = std::min(rest.find('\n'), rest.size());
    fmt::print("{}\033[K\n", rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  fmt::print("\033[J");
  std::fflush(stdout);
}

bool Screen::quit() const {
  pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  char key = 0;
  while (keys_ && poll(&input, 1, 0) == 1 && read(STDIN_FILENO, &key, 1) == 1)
    if (key == 'q' || key == 'Q') return true;
  return false;
}

awaitable<bool> Screen::quit_within(Runtime& runtime, Duration duration) {
  for (auto waited = 0ns; waited < duration; waited += kKeyEvery) {
    if (quit()) co_return true;
    co_await runtime.sleep(kKeyEvery);
  }
  co_return false;
}

}  // namespace chordfs::cli
