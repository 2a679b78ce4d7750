#pragma once
// Interruption: how a program that waits is told to wait no longer (it was sent a signal). Shared by the call, which
// looks at it and waits for it, and whoever hears of the signal. Thread: the Runtime's.

#include <functional>
#include <utility>

namespace chordfs {

class Interruption {
 public:
  void request() {
    requested_ = true;
    if (wake_) wake_();
  }
  bool requested() const { return requested_; }
  /// Called at each request from now on; empty: nobody waits any more.
  void wakes(std::move_only_function<void()> wake) { wake_ = std::move(wake); }

 private:
  bool requested_ = false;
  std::move_only_function<void()> wake_;
};

}  // namespace chordfs
