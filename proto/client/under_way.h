#pragma once
// UnderWay: one of several tasks that somebody waits for, counted until it ends, also when it is cancelled.

#include "proto/base/task.h"

namespace chordfs {

class UnderWay {
 public:
  /// Both outlive it.
  UnderWay(int& count, Signal& progress) : count_(count), progress_(progress) { ++count_; }
  ~UnderWay() {
    --count_;
    progress_.notify_all();
  }
  UnderWay(const UnderWay&) = delete;

 private:
  int& count_;
  Signal& progress_;
};

}  // namespace chordfs
