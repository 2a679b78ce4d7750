#pragma once
// Experiments: the tables and figures of the Chord paper (Stoica et al., ToN 2003 and SIGCOMM 2001), made by ChordFS's
// own ring. First the paper's configuration, then ChordFS's defaults on the same seed, which must do better.
//
// An Experiment fills a Report: rows, each of one configuration and one size, with the paper's figure and the ratio
// beside ours, and what is worse than the tolerance allows. The command (command.cc), the tests and the pictures
// (picture.h) read nothing else.
// Pure as far as the caller can see, but for the progress on stderr: the same options give the same report.
// Thread: the caller's. Errors: in the report.

#include <boost/json/object.hpp>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace chordfs {

/// Values measured; what is asked of them is sorted once.
class Sample {
 public:
  void add(double value) { values_.push_back(value), sorted_ = false; }
  void add(const Sample& other);
  std::size_t size() const { return values_.size(); }
  double mean() const;
  double max() const { return percentile(100); }
  /// The smallest value that at least so many percent do not exceed; 0 of nothing.
  double percentile(double percent) const;
  double median() const { return percentile(50); }
  /// The share of them that equal `value`.
  double share(double value) const;

 private:
  mutable std::vector<double> values_;
  mutable bool sorted_ = false;
};

/// On stderr, if that is a terminal: how much is done and how long the rest will take, in seconds of CPU.
class Progress {
 public:
  Progress(std::string what, double total);
  ~Progress();
  Progress(const Progress&) = delete;
  /// So much of `total` is done.
  void at(double done);
  void step() { at(done_ + 1); }

 private:
  void clear();
  std::string what_;
  double total_;
  double done_ = 0;
  double began_;
  double shown_ = 0;
  bool visible_;
};

using Row = boost::json::object;

class Report {
 public:
  /// Of one configuration ("paper", "chordfs" …) and one size; the caller adds what it measured. Stays where it is.
  Row& row(std::string_view configuration, std::size_t nodes);
  /// "name": ours; "paper_name" and "ratio_name" beside it (no ratio to 0).
  void beside(Row& row, std::string_view name, double ours, double papers);

  // Each remembers what is wrong as a line of `worse`.
  /// As `beside`; ours differs from the paper's by at most this share.
  void equals(Row& row, std::string_view name, double ours, double papers, double tolerance);
  /// As `beside`; ours is above the paper's by at most this share.
  void at_most(Row& row, std::string_view name, double ours, double papers, double tolerance);
  void must(bool holds, std::string what);

  /// How it was counted and what it means; shown above the rows.
  void say(std::string line) { notes_.push_back(std::move(line)); }

  const std::deque<Row>& rows() const { return rows_; }
  const std::vector<std::string>& notes() const { return notes_; }
  const std::vector<std::string>& worse() const { return worse_; }
  bool ok() const { return worse_.empty(); }

 private:
  std::deque<Row> rows_;
  std::vector<std::string> notes_, worse_;
};

/// Rounded, so that it reads well in a table.
double rounded(double value, int digits = 2);

struct ExperimentOptions {
  std::uint64_t seed = 1;
  std::optional<std::size_t> nodes;  ///< Instead of the paper's size or sizes.
  bool quick = false;                ///< Small rings and samples: some seconds, wider tolerances.
};

struct Experiment {
  std::string_view name;
  std::string_view what;
  void (*run)(const ExperimentOptions& options, Report& report);
};

std::span<const Experiment> experiments();
const Experiment* find_experiment(std::string_view name);
/// One object: experiment, seed, ok, notes, rows, worse.
boost::json::object to_json(const Experiment& experiment, const ExperimentOptions& options, const Report& report);
/// A table for people.
std::string to_text(const Experiment& experiment, const ExperimentOptions& options, const Report& report);

/// chordfs-sim experiment …
int experiment_command(int argc, char** argv);

void run_load(const ExperimentOptions& options, Report& report);
void run_virtual_nodes(const ExperimentOptions& options, Report& report);
void run_path_length(const ExperimentOptions& options, Report& report);
void run_failures(const ExperimentOptions& options, Report& report);
void run_churn(const ExperimentOptions& options, Report& report);
void run_latency(const ExperimentOptions& options, Report& report);
void run_stretch(const ExperimentOptions& options, Report& report);
void run_storage(const ExperimentOptions& options, Report& report);
void run_speed(const ExperimentOptions& options, Report& report);
void run_exploration(const ExperimentOptions& options, Report& report);

}  // namespace chordfs
