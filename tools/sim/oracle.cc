#include "tools/sim/oracle.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

namespace chordfs {

namespace {
constexpr std::size_t kPageEntries = 50;
constexpr std::size_t kReadBytes = 128U << 10;

awaitable<Result<std::string>> read_whole(FileSystem& files, Ino ino) {
  CO_TRY(auto opened, co_await files.open(ino, false));
  std::string contents;
  for (;;) {
    auto piece = co_await files.read(opened.handle, contents.size(), kReadBytes);
    if (!piece) {
      co_await files.release(opened.handle);
      co_return piece.error();
    }
    if (piece->empty()) break;
    contents += piece->view();
  }
  co_await files.release(opened.handle);
  co_return contents;
}

void check_links(FoundTree& tree) {
  for (const auto& [ino, node] : tree.nodes) {
    bool is_directory = node.attr.type() == wire::FILE_DIRECTORY;
    auto expected = is_directory ? 2 + node.directories : node.names.size();
    if (node.attr.nlink() != expected)
      tree.violations.push_back(fmt::format("inode {:x} has nlink {} instead of {}", ino, node.attr.nlink(), expected));
    if (is_directory && node.names.size() > 1)
      tree.violations.push_back(fmt::format("directory {:x} has {} names", ino, node.names.size()));
  }
}

awaitable<Result<std::vector<DirectoryEntry>>> list(FileSystem& files, Ino dir) {
  std::vector<DirectoryEntry> all;
  std::uint64_t cookie = 0;
  for (;;) {
    CO_TRY(auto page, co_await files.read_directory(dir, cookie, kPageEntries, false));
    if (page.empty()) co_return all;
    cookie = page.back().cookie;
    std::move(page.begin(), page.end(), std::back_inserter(all));
  }
}
}  // namespace

awaitable<Result<FoundTree>> walk_tree(FileSystem& files) {
  FoundTree tree;
  CO_TRY(tree.nodes[kRootIno].attr, co_await files.get_attributes(kRootIno));
  std::deque<Ino> directories{kRootIno};
  while (!directories.empty()) {
    auto dir = directories.front();
    directories.pop_front();
    CO_TRY(auto entries, co_await list(files, dir));
    for (const auto& entry : entries) {
      bool met = tree.nodes.contains(entry.ino);
      auto& node = tree.nodes[entry.ino];
      if (!node.names.emplace(dir, entry.name).second)
        tree.violations.push_back(fmt::format("{} is listed twice in {:x}", entry.name, dir));
      if (entry.type == wire::FILE_DIRECTORY) ++tree.nodes[dir].directories;
      if (met) continue;
      auto attr = co_await files.get_attributes(entry.ino);
      if (attr.code() == Errc::bad_handle || attr.code() == Errc::not_found) {
        tree.violations.push_back(
            fmt::format("{} in {:x} is a name without its inode {:x}", entry.name, dir, entry.ino));
        tree.nodes.erase(entry.ino);
        continue;
      }
      if (!attr) co_return attr.error();
      node.attr = *attr;
      if (attr->type() != entry.type)
        tree.violations.push_back(fmt::format("{} in {:x} is of another type than its inode", entry.name, dir));
      if (attr->type() == wire::FILE_DIRECTORY) {
        directories.push_back(entry.ino);
        if (attr->parent() != dir)
          tree.violations.push_back(
              fmt::format("directory {:x} in {:x} names {:x} its parent", entry.ino, dir, attr->parent()));
        continue;
      }
      auto contents = co_await read_whole(files, entry.ino);
      if (!contents)
        co_return Error{contents.code(),
                        fmt::format("reading {} {:x}: {}", entry.name, entry.ino, contents.error().context)};
      tree.nodes[entry.ino].contents = std::move(*contents);
    }
  }
  check_links(tree);
  co_return tree;
}

void Oracle::doubt(Doubt doubt) {
  for (const auto& state : doubt.states)
    for (const auto& [id, names] : state) objects_.at(id).in_doubt = true;
  doubts_.push_back(std::move(doubt));
}

bool Oracle::is_used(ObjectId dir) const {
  auto inside = [dir](const Place& place) { return place.dir == dir; };
  for (const auto& object : objects_)
    if (std::ranges::any_of(object.names, inside)) return true;
  for (const auto& doubt : doubts_)
    for (const auto& state : doubt.states)
      for (const auto& [id, names] : state)
        if (std::ranges::any_of(names, inside)) return true;
  return false;
}

bool Oracle::lies_below(ObjectId dir, ObjectId ancestor) const {
  while (dir != kRoot) {
    if (dir == ancestor || objects_.at(dir).in_doubt || objects_.at(dir).names.empty()) return true;
    dir = objects_.at(dir).names.begin()->dir;
  }
  return ancestor == kRoot;
}

bool Oracle::may_exist(const Place& place) const {
  for (const auto& doubt : doubts_)
    for (const auto& state : doubt.states)
      for (const auto& [id, names] : state)
        if (names.contains(place)) return true;
  return false;
}

std::string Oracle::text(ObjectId id) const {
  const auto& object = objects_.at(id);
  std::string names;
  for (const auto& place : object.names) names += fmt::format(" {}/{}", place.dir, place.name);
  return fmt::format("object {} (inode {:x},{})", id, object.ino, names.empty() ? " no name" : names);
}

std::set<Place> Oracle::names_found(ObjectId id, const FoundTree& found) const {
  std::set<Place> names;
  auto node = found.nodes.find(objects_.at(id).ino);
  if (node == found.nodes.end()) return names;
  for (const auto& [dir, name] : node->second.names)
    for (ObjectId d = 0; d < objects_.size(); ++d)
      if (objects_[d].ino == dir) names.insert({d, name});
  return names;
}

void Oracle::compare_names(const FoundTree& found, std::vector<std::string>& wrong) const {
  for (ObjectId id = 1; id < objects_.size(); ++id) {
    if (objects_[id].in_doubt) continue;
    auto names = names_found(id, found);
    if (names == objects_[id].names) continue;
    std::string seen;
    for (const auto& place : names) seen += fmt::format(" {}/{}", place.dir, place.name);
    wrong.push_back(fmt::format("{} is found as{}", text(id), seen.empty() ? " nothing: LOST" : seen));
  }
}

void Oracle::compare_doubts(const FoundTree& found, std::vector<std::string>& wrong) const {
  for (const auto& doubt : doubts_) {
    bool any = std::ranges::any_of(doubt.states, [&](const Doubt::State& state) {
      return std::ranges::all_of(state, [&](const auto& one) {
        // Of one whose creation is in doubt nothing but the name is known: compare_strangers looks for that.
        return objects_[one.first].ino == 0 || names_found(one.first, found) == one.second;
      });
    });
    if (any) continue;
    std::string text;
    for (const auto& [id, names] : doubt.states.front()) {
      text += " " + this->text(id) + " found as";
      for (const auto& place : names_found(id, found)) text += fmt::format(" {}/{}", place.dir, place.name);
    }
    wrong.push_back("an operation happened by half:" + text);
  }
}

void Oracle::compare_contents(const FoundTree& found, std::vector<std::string>& wrong) const {
  for (ObjectId id = 1; id < objects_.size(); ++id) {
    const auto& object = objects_[id];
    auto node = found.nodes.find(object.ino);
    if (object.type != wire::FILE_REGULAR || object.any_contents || node == found.nodes.end()) continue;
    if (std::ranges::count(object.contents, node->second.contents) > 0) continue;
    std::string expected;
    for (const auto& one : object.contents) expected += fmt::format(" {} bytes", one.size());
    wrong.push_back(
        fmt::format("{} has other contents: {} bytes, expected{}", text(id), node->second.contents.size(), expected));
  }
}

void Oracle::compare_strangers(const FoundTree& found, std::vector<std::string>& wrong) const {
  std::map<Ino, ObjectId> known;
  for (ObjectId id = 0; id < objects_.size(); ++id)
    if (objects_[id].ino != 0) known[objects_[id].ino] = id;
  for (const auto& [ino, node] : found.nodes) {
    if (known.contains(ino)) continue;
    for (const auto& [dir, name] : node.names)
      if (!known.contains(dir) || !may_exist({known[dir], name}))
        wrong.push_back(fmt::format("inode {:x}, {} in {:x}, is nothing that anybody made", ino, name, dir));
  }
}

std::vector<std::string> Oracle::compare(const FoundTree& found) const {
  auto wrong = found.violations;
  compare_names(found, wrong);
  compare_doubts(found, wrong);
  compare_contents(found, wrong);
  compare_strangers(found, wrong);
  return wrong;
}

}  // namespace chordfs
