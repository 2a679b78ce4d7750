#include "tools/sim/main_plot.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <CLI/CLI.hpp>
#include <boost/json/parse.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tools/sim/experiments/picture.h"

namespace chordfs {

namespace {
int failed(const std::string& what) {
  fmt::print(stderr, "chordfs-sim: {}\n", what);
  return 1;
}

/// For a shell, within single quotes.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}
}  // namespace

int plot_command(int argc, char** argv) {
  CLI::App app("Draws the picture of an experiment's JSON, with gnuplot", "chordfs-sim plot");
  std::string from, to;
  app.add_option("file", from, "what chordfs-sim experiment NAME --json has printed")->required();
  app.add_option("-o,--output", to, "the SVG to write")->required();
  try {
    app.parse(argc - 1, argv + 1);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  std::ifstream file(from);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) return failed(fmt::format("{} cannot be read", from));
  boost::system::error_code error;
  const auto value = boost::json::parse(text.str(), error);
  if (error || !value.is_object()) return failed(fmt::format("{}: this is no JSON object", from));
  const auto script = picture_of(value.as_object());
  if (!script) return failed(fmt::format("{}: {}", from, script.error().text()));

  if (std::system("command -v gnuplot >/dev/null 2>&1") != 0)
    return failed("gnuplot is not installed: apt-get install gnuplot-nox");
  const std::string part = to + ".part";
  std::FILE* gnuplot = popen(fmt::format("gnuplot - >{}", quoted(part)).c_str(), "w");
  if (gnuplot == nullptr) return failed("gnuplot cannot be started");
  const bool written = std::fputs(script->c_str(), gnuplot) >= 0;
  const int status = pclose(gnuplot);
  if (!written || status != 0 || std::rename(part.c_str(), to.c_str()) != 0) {
    std::remove(part.c_str());
    return failed(fmt::format("gnuplot has not drawn {}", to));
  }
  return 0;
}

}  // namespace chordfs
