#pragma once
// Screen: a terminal that a subcommand draws on again and again. Owner: a subcommand. Thread: main's.

#include <termios.h>

#include <string>

#include "proto/base/runtime.h"

namespace chordfs::cli {

/// The alternate screen, and keys without Enter, for as long as it lives.
class Screen {
 public:
  Screen();
  ~Screen();
  Screen(const Screen&) = delete;

  void show(const std::string& text);
  /// Waits so long; true as soon as q was pressed.
  awaitable<bool> quit_within(Runtime& runtime, Duration duration);

 private:
  bool quit() const;

  termios before_{};
  bool keys_ = false;
};

}  // namespace chordfs::cli
