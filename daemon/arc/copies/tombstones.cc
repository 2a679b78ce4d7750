#include "daemon/arc/copies/tombstones.h"

namespace chordfs {

void Tombstones::add(ArcNumber arc, const std::string& block, Time now) {
  forget_old(now);
  dropped_[{arc, block}] = now + kTombstoneTime;
  order_.emplace_back(now + kTombstoneTime, Block(arc, block));
}

bool Tombstones::has(ArcNumber arc, const std::string& block, Time now) const {
  const auto found = dropped_.find({arc, block});
  return found != dropped_.end() && now < found->second;
}

void Tombstones::forget_old(Time now) {
  while (!order_.empty() && (order_.front().first <= now || order_.size() > kTombstonesMax)) {
    const auto& [until, block] = order_.front();
    if (const auto found = dropped_.find(block); found != dropped_.end() && found->second <= until)
      dropped_.erase(found);
    order_.pop_front();
  }
}

}  // namespace chordfs
