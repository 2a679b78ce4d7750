#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "tools/cli/nodes.h"
#include "tools/cli/screen.h"
#include "tools/cli/session.h"
#include "tools/cli/text.h"

namespace chordfs::cli {

namespace {
constexpr Duration kLookEvery = 1s;
constexpr int kRadius = 9;

struct Watch {
  bool json = false;
  std::uint64_t count = 0;  ///< 0: until interrupted.
};

std::string screen_of(const Result<RingView>& view, const std::vector<std::string>& news) {
  if (!view) return fmt::format("nobody answers: {}\n", view.error().text());
  auto text = fmt::format("{}    q: quit\n{}\n{}\n", headline(*view), table(*view), drawing(*view, kRadius));
  for (const auto& line : news) text += line + "\n";
  return text;
}

/// The latest changes, oldest first, a few of them.
void remember(std::vector<std::string>& news, std::vector<std::string> lines) {
  constexpr std::size_t kNewsMax = 8;
  std::ranges::move(lines, std::back_inserter(news));
  if (news.size() > kNewsMax) news.erase(news.begin(), news.end() - kNewsMax);
}

awaitable<Result<int>> watch_on_screen(RingClient& client, Watch watch) {
  Screen screen;
  std::vector<std::string> news;
  std::optional<RingView> before;
  for (std::uint64_t looks = 1;; ++looks) {
    auto view = co_await look(client);
    if (view && before) remember(news, changes(*before, *view));
    screen.show(screen_of(view, news));
    if (view) before = std::move(*view);
    if (looks == watch.count) co_return kDone;
    if (co_await screen.quit_within(client.runtime(), kLookEvery)) co_return kDone;
  }
}

void report(const RingView* before, const RingView& view, bool as_json, std::int64_t now) {
  if (before && changes(*before, view).empty()) return;
  if (as_json)
    print_json(to_json(view));
  else if (!before)
    fmt::print("{}  {}\n", date(now), headline(view));
  else
    for (const auto& line : changes(*before, view)) fmt::print("{}  {}\n", date(now), line);
  std::fflush(stdout);
}

awaitable<Result<int>> watch_in_lines(RingClient& client, Watch watch) {
  std::optional<RingView> before;
  for (std::uint64_t looks = 1;; ++looks) {
    auto view = co_await look(client);
    if (view) {
      report(before ? &*before : nullptr, *view, watch.json, client.runtime().wall_now());
      before = std::move(*view);
    } else if (!before || looks == watch.count) {
      co_return view.error();
    }
    if (looks == watch.count) co_return kDone;
    co_await client.runtime().sleep(kLookEvery);
  }
}

awaitable<Result<int>> watch_ring(RingClient& client, Watch watch) {
  bool screen = !watch.json && isatty(STDOUT_FILENO) == 1;
  return screen ? watch_on_screen(client, watch) : watch_in_lines(client, watch);
}
}  // namespace

void add_watch(Program& program) {
  auto count = std::make_shared<std::uint64_t>(0);
  auto* sub = add(program,
                  {.name = "watch",
                   .what = "Shows the ring live; on a pipe, a line a change",
                   .example = "chordfs watch --via 6000",
                   .json = "a line as of chordfs ring --json at first and after each change"},
                  [count](const Shared& shared) {
                    Watch watch{.json = shared.json, .count = *count};
                    return with_client(shared, [watch](RingClient& client) { return watch_ring(client, watch); });
                  });
  sub->add_option("--count", *count, "Look so many times, then end (default: until q or Ctrl-C)")
      ->type_name("N")
      ->check(CLI::PositiveNumber.description(""));
}

}  // namespace chordfs::cli
