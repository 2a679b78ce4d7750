#pragma once
// Progress: how far a transfer has come, and the one line that shows it. Progress is pure: time comes in as an
// argument. ProgressBar prints it on stderr, only if that is a terminal. Owner: a subcommand. Thread: main's.

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "proto/base/runtime.h"

namespace chordfs::cli {

class Progress {
 public:
  /// The rate is that of the last so many seconds: it follows the network, and does not jump about.
  static constexpr Duration kWindow = 5s;
  static constexpr Duration kSampleEvery = 250ms;

  /// `total`: nothing if it is not known (a pipe).
  Progress(std::string name, std::optional<std::uint64_t> total, Time now);

  /// So much is done altogether.
  void reached(std::uint64_t done, Time now);
  /// What was there before this run (a transfer that is resumed): done, but not by our rate.
  void begin_at(std::uint64_t done, Time now);

  std::uint64_t done() const { return samples_.back().done; }
  /// Bytes per second; nothing before there is anything to tell it from.
  std::optional<double> rate() const;
  std::optional<Duration> left() const;
  /// "report.pdf  12.0 MiB of 40.0 MiB   30% [======>             ]  8.1 MiB/s  0:04 left". Where that is wider than
  /// `width`, first the name is cut short, then the bar is left out.
  std::string line(std::size_t width) const;

 private:
  struct Sample {
    Time at;
    std::uint64_t done;
  };
  enum class Bar { shown, hidden };
  std::string share(Bar bar) const;
  std::string figures(Bar bar) const;

  std::string name_;
  std::optional<std::uint64_t> total_;
  std::deque<Sample> samples_;  ///< Oldest first; never empty; the last one is now.
};

class ProgressBar {
 public:
  static constexpr Duration kDrawEvery = 100ms;

  ProgressBar(Runtime& runtime, std::string name, std::optional<std::uint64_t> total);
  /// Takes the line away: what follows is the result.
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;

  void begin_at(std::uint64_t done) { progress_.begin_at(done, runtime_.now()); }
  void reached(std::uint64_t done);

 private:
  Runtime& runtime_;
  Progress progress_;
  const bool terminal_;
  std::optional<Time> drawn_;
};

/// A line of stderr that is overwritten by the next one; nothing unless it is a terminal. Empty: takes it away.
void show_status(const std::string& line);
bool stderr_is_terminal();
/// Columns of the terminal; 80 if nobody knows.
std::size_t terminal_width();

}  // namespace chordfs::cli
