#include "tools/sim/experiments/picture.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <vector>

namespace chordfs {

namespace json = boost::json;

namespace {
/// One curve: of the rows of a configuration these fields; the first is x.
struct Curve {
  std::string_view configuration;
  std::vector<std::string_view> fields;
  std::string_view style;  ///< "linespoints", "yerrorbars" …
  std::string_view title;
};
struct Panel {
  std::string_view title, x, y, options;
  std::vector<Curve> curves;
};
struct Picture {
  std::string_view experiment;
  std::vector<Panel> panels;
};

const std::vector<Picture>& pictures() {
  static const std::vector<Picture> all = {
      {"path-length",
       {{"Path length",
         "nodes",
         "hops",
         "set logscale x 2",
         {{"paper", {"nodes", "mean", "p1", "p99"}, "yerrorbars", "ChordFS as in the paper: mean, 1st, 99th"},
          {"paper", {"nodes", "paper_mean"}, "lines", "the paper's mean"},
          {"chordfs, cold", {"nodes", "mean"}, "linespoints", "ChordFS, no cache"},
          {"chordfs, warm", {"nodes", "mean"}, "linespoints", "ChordFS, warm cache"}}},
        {"Its distribution, 4,096 nodes",
         "hops",
         "share",
         "set yrange [0:*]",
         {{"paper, distribution", {"hops", "share"}, "linespoints", "ChordFS as in the paper"},
          {"paper, distribution", {"hops", "paper_share"}, "points", "the paper"}}}}},
      {"load",
       {{"Keys a node holds, 10,000 nodes",
         "keys",
         "keys a node",
         "set yrange [0:*]; set format x '%.0f'",
         {{"paper", {"keys", "mean", "p1", "p99"}, "yerrorbars", "one position: mean, 1st, 99th"},
          {"paper", {"keys", "paper_p99"}, "points", "the paper's 99th"},
          {"chordfs", {"keys", "mean", "p1", "p99"}, "yerrorbars", "ChordFS, eight positions"}}}}},
      {"virtual-nodes",
       {{"Keys a node holds, in percent of the mean",
         "positions a node",
         "%",
         "set yrange [0:*]",
         {{"paper", {"positions", "p99"}, "linespoints", "99th percentile"},
          {"paper", {"positions", "paper_p99"}, "points", "the paper's"},
          {"paper", {"positions", "p1"}, "linespoints", "1st percentile"},
          {"paper", {"positions", "paper_p1"}, "points", "the paper's"}}}}},
      {"failures",
       {{"Path length, nodes failing at once",
         "share of nodes that fail",
         "hops",
         "set yrange [0:*]",
         {{"paper", {"failed", "mean"}, "linespoints", "ChordFS as in the paper"},
          {"paper", {"failed", "paper_mean"}, "points", "the paper"},
          {"chordfs", {"failed", "mean"}, "linespoints", "ChordFS"}}},
        {"Dead nodes asked by a lookup",
         "share of nodes that fail",
         "timeouts",
         "set yrange [0:*]",
         {{"paper", {"failed", "timeouts"}, "linespoints", "ChordFS as in the paper"},
          {"paper", {"failed", "paper_timeouts"}, "points", "the paper"},
          {"chordfs", {"failed", "timeouts"}, "linespoints", "ChordFS"}}}}},
      {"churn",
       {{"Timeouts while nodes join and leave",
         "joins and leaves a second",
         "timeouts a lookup",
         "set yrange [0:*]",
         {{"paper", {"rate", "timeouts"}, "linespoints", "ChordFS as in the paper"},
          {"paper", {"rate", "paper_timeouts"}, "points", "the paper"},
          {"chordfs", {"rate", "timeouts"}, "linespoints", "ChordFS"}}}}},
  };
  return all;
}

/// Lines of numbers; empty if no row has all of them.
std::string data(const json::array& rows, const Curve& curve) {
  std::string text;
  for (const auto& value : rows) {
    const auto* row = value.if_object();
    if (row == nullptr) continue;
    const auto* configuration = row->if_contains("configuration");
    if (configuration == nullptr || !configuration->is_string() || configuration->as_string() != curve.configuration)
      continue;
    std::string line;
    for (auto field : curve.fields) {
      const auto* number = row->if_contains(field);
      if (number == nullptr || !number->is_number()) {
        line.clear();
        break;
      }
      line += json::serialize(*number) + " ";
    }
    if (!line.empty()) text += line + "\n";
  }
  return text;
}
}  // namespace

Result<std::string> picture_of(const json::object& experiment) {
  const auto* name = experiment.if_contains("experiment");
  const auto* rows = experiment.if_contains("rows");
  if (name == nullptr || !name->is_string() || rows == nullptr || !rows->is_array())
    return Error{Errc::invalid, "this is not what chordfs-sim experiment NAME --json prints"};
  for (const auto& picture : pictures()) {
    if (picture.experiment != name->as_string()) continue;
    std::string blocks, plots;
    std::size_t drawn = 0, curves = 0;
    for (const auto& panel : picture.panels) {
      std::string plot;
      for (const auto& curve : panel.curves) {
        const auto lines = data(rows->as_array(), curve);
        if (lines.empty()) continue;
        blocks += fmt::format("$curve{} << END\n{}END\n", curves, lines);
        plot += fmt::format("{}$curve{} with {} lw 2 title \"{}\"", plot.empty() ? "plot " : ", ", curves, curve.style,
                            curve.title);
        ++curves;
      }
      if (plot.empty()) continue;
      ++drawn;
      plots += fmt::format(
          "reset\nset key top left\nset grid\nset title \"{}\"\nset xlabel \"{}\"\nset ylabel \"{}\"\n{}\n{}\n",
          panel.title, panel.x, panel.y, panel.options, plot);
    }
    if (drawn == 0) return Error{Errc::invalid, "there are no rows to draw"};
    return fmt::format(
        "set terminal svg size {},420 dynamic background rgb 'white' font 'sans,12'\n{}set multiplot layout "
        "1,{}\n{}unset multiplot\n",
        560 * drawn, blocks, drawn, plots);
  }
  return Error{Errc::invalid, fmt::format("there is no picture of {}", std::string_view(name->as_string()))};
}

}  // namespace chordfs
