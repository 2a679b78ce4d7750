#include "tools/sim/experiments/experiment.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <ctime>
#include <numeric>

namespace chordfs {

namespace json = boost::json;

// ---- Sample ----

void Sample::add(const Sample& other) {
  values_.insert(values_.end(), other.values_.begin(), other.values_.end());
  sorted_ = false;
}

double Sample::mean() const {
  if (values_.empty()) return 0;
  return std::accumulate(values_.begin(), values_.end(), 0.0) / static_cast<double>(values_.size());
}

double Sample::percentile(double percent) const {
  if (values_.empty()) return 0;
  if (!sorted_) std::ranges::sort(values_);
  sorted_ = true;
  const auto rank = std::ceil(percent / 100 * static_cast<double>(values_.size()));
  return values_[static_cast<std::size_t>(std::max(rank, 1.0)) - 1];
}

double Sample::share(double value) const {
  return values_.empty()
             ? 0
             : static_cast<double>(std::ranges::count(values_, value)) / static_cast<double>(values_.size());
}

// ---- Progress ----

namespace {
constexpr double kShowEverySeconds = 0.5;

double cpu_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}
}  // namespace

Progress::Progress(std::string what, double total)
    : what_(std::move(what)), total_(total), began_(cpu_seconds()), visible_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  clear();
}

void Progress::at(double done) {
  done_ = done;
  const double now = cpu_seconds();
  if (!visible_ || done <= 0 || now - shown_ < kShowEverySeconds) return;
  shown_ = now;
  const double left = (now - began_) / done * std::max(total_ - done, 0.0);
  fmt::print(stderr, "\r\033[K{}: {:.0f} %, {:.0f} s left", what_, 100 * done / total_, left);
}

void Progress::clear() {
  if (visible_ && shown_ > 0) fmt::print(stderr, "\r\033[K");
}

// ---- Report ----

double rounded(double value, int digits) {
  const double scale = std::pow(10, digits);
  return std::round(value * scale) / scale;
}

Row& Report::row(std::string_view configuration, std::size_t nodes) {
  auto& row = rows_.emplace_back();
  row["configuration"] = configuration;
  row["nodes"] = nodes;
  return row;
}

void Report::beside(Row& row, std::string_view name, double ours, double papers) {
  row[name] = rounded(ours, 4);
  row[fmt::format("paper_{}", name)] = papers;
  auto& ratio = row[fmt::format("ratio_{}", name)];
  if (papers != 0) ratio = rounded(ours / papers, 3);
}

void Report::equals(Row& row, std::string_view name, double ours, double papers, double tolerance) {
  beside(row, name, ours, papers);
  if (std::abs(ours - papers) > tolerance * papers)
    worse_.push_back(fmt::format("{} of {}: {:.4g}, the paper's {} ± {:.0f} %", name, json::serialize(row["nodes"]),
                                 ours, papers, 100 * tolerance));
}

void Report::at_most(Row& row, std::string_view name, double ours, double papers, double tolerance) {
  beside(row, name, ours, papers);
  if (ours > papers * (1 + tolerance))
    worse_.push_back(fmt::format("{} of {}: {:.4g}, the paper's {} + {:.0f} %", name, json::serialize(row["nodes"]),
                                 ours, papers, 100 * tolerance));
}

void Report::must(bool holds, std::string what) {
  if (!holds) worse_.push_back(std::move(what));
}

// ---- The list ----

namespace {
constexpr std::array kExperiments = {
    Experiment{"load", "keys a node holds: 10,000 nodes, 100,000 to 1,000,000 keys (ToN 2003, figure 8)", run_load},
    Experiment{"virtual-nodes", "the same with 1 to 20 positions a node (figure 9)", run_virtual_nodes},
    Experiment{"path-length", "nodes asked by a lookup in rings of 2^3 to 2^14 nodes (figure 10)", run_path_length},
    Experiment{"failures", "lookups in 1,000 nodes of which up to half fail at once (table II)", run_failures},
    Experiment{"churn", "lookups while nodes join, leave and crash (table III; SIGCOMM 2001, figure 12)", run_churn},
    Experiment{"latency", "milliseconds of a lookup between ten sites (SIGCOMM 2001, figure 13)", run_latency},
    Experiment{"exploration", "every order of every step over a few identifiers; ours and the published protocol",
               run_exploration},
    Experiment{"stretch", "lookups beside round trips, with proximity choice (table IV)", run_stretch},
    Experiment{"storage", "arcs, replication and repair under a year of churn", run_storage},
    Experiment{"speed", "10,000 nodes join and settle, then a million lookups: what the simulator costs", run_speed},
};

std::string cell(const json::value& value) {
  if (value.is_null()) return "-";
  if (value.is_string()) return std::string(value.as_string());
  if (value.is_double()) return fmt::format("{:.6g}", value.as_double());
  return json::serialize(value);
}

std::vector<std::string> keys(const Row& row) {
  std::vector<std::string> keys;
  for (const auto& entry : row) keys.emplace_back(entry.key());
  return keys;
}

/// Rows with the same columns, one below the other.
std::string table(std::span<const Row* const> rows) {
  std::string text;
  std::vector<std::vector<std::string>> lines{keys(*rows.front())};
  for (const Row* row : rows) {
    auto& line = lines.emplace_back();
    for (const auto& entry : *row) line.push_back(cell(entry.value()));
  }
  std::vector<std::size_t> widths(lines.front().size());
  for (const auto& line : lines)
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  for (const auto& line : lines) {
    std::string out;
    for (std::size_t i = 0; i < line.size(); ++i)
      out += i == 0 ? fmt::format("{:<{}}", line[i], widths[i]) : fmt::format("  {:>{}}", line[i], widths[i]);
    text += out + "\n";
  }
  return text;
}
}  // namespace

std::span<const Experiment> experiments() {
  return kExperiments;
}

const Experiment* find_experiment(std::string_view name) {
  for (const auto& experiment : kExperiments)
    if (experiment.name == name) return &experiment;
  return nullptr;
}

json::object to_json(const Experiment& experiment, const ExperimentOptions& options, const Report& report) {
  auto lines = [](const std::vector<std::string>& texts) {
    json::array array;
    for (const auto& text : texts) array.emplace_back(text);
    return array;
  };
  json::array rows;
  for (const Row& row : report.rows()) rows.emplace_back(row);
  return {
      {"experiment", experiment.name},  {"seed", options.seed},    {"quick", options.quick},        {"ok", report.ok()},
      {"notes", lines(report.notes())}, {"rows", std::move(rows)}, {"worse", lines(report.worse())}};
}

std::string to_text(const Experiment& experiment, const ExperimentOptions& options, const Report& report) {
  std::string text = fmt::format("{}: {}; seed {}{}\n", experiment.name, experiment.what, options.seed,
                                 options.quick ? ", quick" : "");
  for (const auto& note : report.notes()) text += "  " + note + "\n";
  std::vector<const Row*> alike;
  for (const Row& row : report.rows()) {
    if (!alike.empty() && keys(*alike.front()) != keys(row)) {
      text += "\n" + table(alike);
      alike.clear();
    }
    alike.push_back(&row);
  }
  if (!alike.empty()) text += "\n" + table(alike);
  text += "\n";
  for (const auto& line : report.worse()) text += "WORSE: " + line + "\n";
  text += report.ok() ? "all within the tolerances\n" : "";
  return text;
}

}  // namespace chordfs
