#pragma once
// Lru: a bounded map that forgets what was not used for longest. Each value has a cost; their sum stays within a cap.
// Thread: its owner's.

#include <cstddef>
#include <list>
#include <map>
#include <utility>

namespace chordfs::fs {

template <class Key, class Value>
class Lru {
 public:
  explicit Lru(std::size_t cost_max) : cost_max_(cost_max) {}

  /// Null if absent; valid until the next change. What was found is the youngest now.
  Value* find(const Key& key) {
    auto at = index_.find(key);
    if (at == index_.end()) return nullptr;
    order_.splice(order_.end(), order_, at->second);
    return &at->second->value;
  }
  bool contains(const Key& key) const { return index_.contains(key); }

  void put(const Key& key, Value value, std::size_t cost = 1) {
    erase(key);
    order_.push_back({key, std::move(value), cost});
    index_.emplace(key, std::prev(order_.end()));
    cost_ += cost;
    while (cost_ > cost_max_ && !order_.empty()) erase(Key(order_.front().key));
  }
  void erase(const Key& key) {
    auto at = index_.find(key);
    if (at == index_.end()) return;
    cost_ -= at->second->cost;
    order_.erase(at->second);
    index_.erase(at);
  }
  std::size_t size() const { return index_.size(); }
  std::size_t cost() const { return cost_; }

 private:
  struct Node {
    Key key;
    Value value;
    std::size_t cost;
  };
  std::size_t cost_max_;
  std::size_t cost_ = 0;
  std::list<Node> order_;  ///< Oldest first.
  std::map<Key, typename std::list<Node>::iterator> index_;
};

}  // namespace chordfs::fs
