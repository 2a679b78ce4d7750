#pragma once
// Oracle: what the tree must look like, learnt from acknowledgements alone. Every name belongs to one worker, who does
// one thing at a time; so an acknowledged operation makes certain what is there, and one whose outcome is unknown
// leaves a doubt: a list of states one of which must be found. What is in doubt is not touched again.
//
// Also the other half: walk_tree() reads the whole tree as a fresh mount sees it, and compare() names every difference.
// Owner: the workload. Thread: the world's. Errors: walk_tree returns the first that the filesystem returns.

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "fuse/fs/filesystem.h"

namespace chordfs {

using ObjectId = std::size_t;

/// A name in a directory, where directories are named by their objects: it stays true when they are moved.
struct Place {
  ObjectId dir = 0;
  std::string name;
  friend auto operator<=>(const Place&, const Place&) = default;
};

struct Object {
  Ino ino = 0;  ///< 0: its creation is in doubt.
  wire::FileType type = wire::FILE_REGULAR;
  std::set<Place> names;              ///< Empty: it is gone.
  std::vector<std::string> contents;  ///< One of these.
  bool any_contents = false;          ///< A write of several blocks failed half-way: a mixture.
  bool in_doubt = false;              ///< Its names are; see Doubt.

  bool certain() const { return contents.size() == 1 && !any_contents; }
};

/// One of these holds for the names of all the objects it names.
struct Doubt {
  using State = std::map<ObjectId, std::set<Place>>;
  std::vector<State> states;
};

/// The tree as it was found.
struct FoundTree {
  struct Node {
    wire::Attr attr;
    std::set<std::pair<Ino, std::string>> names;
    std::string contents;
    std::size_t directories = 0;  ///< Below it, directly.
  };
  std::map<Ino, Node> nodes;
  std::vector<std::string> violations;  ///< Names without an inode, wrong counts of links.
};

awaitable<Result<FoundTree>> walk_tree(FileSystem& files);

class Oracle {
 public:
  static constexpr ObjectId kRoot = 0;

  Oracle() { objects_.push_back({.ino = kRootIno, .type = wire::FILE_DIRECTORY, .names = {}, .contents = {}}); }

  ObjectId add(Object object) {
    objects_.push_back(std::move(object));
    return objects_.size() - 1;
  }
  Object& operator[](ObjectId id) { return objects_.at(id); }
  const Object& operator[](ObjectId id) const { return objects_.at(id); }
  void doubt(Doubt doubt);
  /// Something is there, or may be there, under this directory.
  bool is_used(ObjectId dir) const;
  /// `dir` is `ancestor`, or lies below it for all that is known.
  bool lies_below(ObjectId dir, ObjectId ancestor) const;
  /// A doubtful state has this name.
  bool may_exist(const Place& place) const;

  std::vector<std::string> compare(const FoundTree& found) const;
  std::size_t size() const { return objects_.size(); }
  std::size_t doubts() const { return doubts_.size(); }

 private:
  std::string text(ObjectId id) const;
  std::set<Place> names_found(ObjectId id, const FoundTree& found) const;
  void compare_names(const FoundTree& found, std::vector<std::string>& wrong) const;
  void compare_doubts(const FoundTree& found, std::vector<std::string>& wrong) const;
  void compare_contents(const FoundTree& found, std::vector<std::string>& wrong) const;
  void compare_strangers(const FoundTree& found, std::vector<std::string>& wrong) const;

  std::vector<Object> objects_;
  std::vector<Doubt> doubts_;
};

}  // namespace chordfs
