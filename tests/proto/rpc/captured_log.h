#pragma once
// What the program logs while this lives.

#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <sstream>
#include <string>

namespace chordfs {

class CapturedLog {
 public:
  CapturedLog() : before_(spdlog::default_logger()) {
    spdlog::set_default_logger(
        std::make_shared<spdlog::logger>("captured", std::make_shared<spdlog::sinks::ostream_sink_mt>(text_)));
    spdlog::set_pattern("%v");
  }
  ~CapturedLog() { spdlog::set_default_logger(before_); }

  std::string text() const { return text_.str(); }
  bool has(std::string_view words) const { return text().find(words) != std::string::npos; }
  /// Lines with these words.
  int count(std::string_view words) const {
    std::istringstream in(text());
    int found = 0;
    for (std::string line; std::getline(in, line);) found += line.find(words) != std::string::npos ? 1 : 0;
    return found;
  }

 private:
  std::shared_ptr<spdlog::logger> before_;
  std::ostringstream text_;
};

}  // namespace chordfs
