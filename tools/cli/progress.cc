#include "tools/cli/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "tools/cli/text.h"

namespace chordfs::cli {

namespace {
constexpr std::size_t kBarWidth = 20;
constexpr std::size_t kNameWidthMax = 24;

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}
}  // namespace

Progress::Progress(std::string name, std::optional<std::uint64_t> total, Time now)
    : name_(std::move(name)), total_(total), samples_{{now, 0}} {
  if (name_.size() > kNameWidthMax) name_.resize(kNameWidthMax);
}

void Progress::begin_at(std::uint64_t done, Time now) {
  samples_.assign(1, {now, done});
}

void Progress::reached(std::uint64_t done, Time now) {
  // The last sample moves along until it is old enough to stay.
  bool stays = samples_.size() == 1 || samples_.back().at - samples_[samples_.size() - 2].at >= kSampleEvery;
  if (stays)
    samples_.push_back({now, done});
  else
    samples_.back() = {now, done};
  while (samples_.size() > 2 && now - samples_[1].at >= kWindow) samples_.pop_front();
}

std::optional<double> Progress::rate() const {
  const auto& first = samples_.front();
  const auto& last = samples_.back();
  if (last.at <= first.at || last.done < first.done) return std::nullopt;
  return static_cast<double>(last.done - first.done) / seconds(last.at - first.at);
}

std::optional<Duration> Progress::left() const {
  auto speed = rate();
  if (!total_ || !speed || *speed < 1) return std::nullopt;
  auto rest = static_cast<double>(*total_ - std::min(*total_, done())) / *speed;
  constexpr double kTooLong = 1e8;  // Three years: no longer a forecast, and Duration has an end.
  if (rest > kTooLong) return std::nullopt;
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(rest));
}

std::string Progress::share(Bar bar) const {
  if (!total_) return "";
  auto part = *total_ == 0 ? 1.0 : std::min(1.0, static_cast<double>(done()) / static_cast<double>(*total_));
  auto text = fmt::format(" of {}  {:3.0f}%", human(*total_), part * 100);
  if (bar == Bar::hidden) return text;
  auto full = static_cast<std::size_t>(part * kBarWidth);
  std::string marks(full, '=');
  if (full < kBarWidth) marks += '>';
  return text + fmt::format(" [{:<{}}]", marks, kBarWidth);
}

std::string Progress::figures(Bar bar) const {
  auto text = "  " + human(done()) + share(bar);
  if (auto speed = rate()) text += fmt::format("  {}/s", human(static_cast<std::uint64_t>(*speed)));
  if (auto rest = left()) text += fmt::format("  {} left", human(*rest));
  return text;
}

std::string Progress::line(std::size_t width) const {
  // The figures are worth more than the bar, and the bar more than the whole name.
  constexpr std::size_t kNameWidthMin = 8;
  auto text = figures(Bar::shown);
  if (std::min(name_.size(), kNameWidthMin) + text.size() > width) text = figures(Bar::hidden);
  auto room = width - std::min(width, text.size());
  return (name_.substr(0, room) + text).substr(0, width);
}

ProgressBar::ProgressBar(Runtime& runtime, std::string name, std::optional<std::uint64_t> total)
    : runtime_(runtime), progress_(printable(name), total, runtime.now()), terminal_(stderr_is_terminal()) {}

ProgressBar::~ProgressBar() {
  if (drawn_) show_status("");
}

void ProgressBar::reached(std::uint64_t done) {
  if (!terminal_) return;
  auto now = runtime_.now();
  progress_.reached(done, now);
  if (drawn_ && now - *drawn_ < kDrawEvery) return;
  drawn_ = now;
  show_status(progress_.line(terminal_width() - 1));
}

bool stderr_is_terminal() {
  return isatty(STDERR_FILENO) == 1;
}

void show_status(const std::string& line) {
  // "\033[K": what an earlier, longer line left.
  if (stderr_is_terminal()) fmt::print(stderr, "\r{}\033[K", line);
}

std::size_t terminal_width() {
  winsize size{};
  for (int fd : {STDERR_FILENO, STDOUT_FILENO})
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 1) return size.ws_col;
  return 80;
}

}  // namespace chordfs::cli
