#include "fuse/fs/answers.h"

#include <algorithm>

#include "proto/wire/steps.h"

namespace chordfs::fs {

namespace {
constexpr std::size_t kOverhead = 300;

struct Subject {
  Ino ino = 0;
  std::string what;
};

std::string lookup_key(const std::string& name) {
  return "n" + name;
}

/// Of questions whose answers can be leased.
std::optional<Subject> subject_of(const wire::Query& query) {
  switch (query.kind_case()) {
    case wire::Query::kLookup:
      return Subject{query.lookup().dir(), lookup_key(query.lookup().name())};
    case wire::Query::kGetInode:
      if (query.get_inode().parent_only()) return std::nullopt;
      return Subject{query.get_inode().ino(), query.get_inode().open()          ? "o"
                                              : query.get_inode().with_xattrs() ? "x"
                                                                                : "i"};
    case wire::Query::kReadDir: {
      const auto& read = query.read_dir();
      return Subject{read.dir(), "d" + std::to_string(read.after()) + "/" + std::to_string(read.entries_max()) +
                                     (read.plus() ? "+" : "")};
    }
    default:
      return std::nullopt;
  }
}
}  // namespace

Answers::Times Answers::times_of(Ino ino) const {
  auto found = times_.find(ino);
  return found == times_.end() ? floor_ : found->second;
}

std::shared_ptr<const wire::QueryAnswer> Answers::find(const wire::Query& query) {
  auto subject = subject_of(query);
  if (!subject) return nullptr;
  // What came with a plain question is enough for an open, but for the contents.
  if (subject->what == "o") return about(subject->ino);
  return valid(subject->ino, kept_.find({subject->ino, subject->what}));
}

std::shared_ptr<const wire::QueryAnswer> Answers::about(Ino ino) {
  auto* kept = kept_.find({ino, "o"});
  return valid(ino, kept ? kept : kept_.find({ino, "i"}));
}

std::shared_ptr<const wire::QueryAnswer> Answers::valid(Ino ino, const Kept* kept) const {
  if (!kept || !client_.holds(client_.arc_of_ino(ino), kept->answer->lease())) return nullptr;
  for (const auto& one : kept->on) {
    const auto now = times_of(one.ino);
    if (now.forgotten != one.times.forgotten || (one.own_changes && now.changed != one.times.changed)) return nullptr;
  }
  return kept->answer;
}

void Answers::put(Key key, std::shared_ptr<const wire::QueryAnswer> answer, const std::vector<Ino>& strict, Ino dir) {
  Kept kept{answer, {}};
  if (dir != 0) kept.on.push_back({dir, times_of(dir), false});
  for (auto ino : strict) kept.on.push_back({ino, times_of(ino), true});
  const auto cost = answer->ByteSizeLong() + kept.on.size() * sizeof(Dependency) + key.second.size() + kOverhead;
  kept_.put(key, std::move(kept), cost);
}

/// Whatever an answer says of an inode serves questions about that one as well.
void Answers::keep_attr(const wire::Attr& attr, std::uint64_t lease) {
  if (attr.type() == wire::FILE_SYMLINK) return;  // Without its target.
  auto plain = std::make_shared<wire::QueryAnswer>();
  *plain->mutable_inode()->mutable_attr() = attr;
  plain->set_lease(lease);
  put({attr.ino(), "i"}, std::move(plain), {attr.ino()}, 0);
}

/// The same of the name under which it was found.
void Answers::keep_entry(Ino dir, const wire::DirEntry& entry, const wire::Attr& attr, std::uint64_t lease) {
  auto found = std::make_shared<wire::QueryAnswer>();
  *found->mutable_entry() = entry;
  found->mutable_entry()->clear_attr();
  *found->mutable_attr() = attr;
  found->set_lease(lease);
  put({dir, lookup_key(entry.name())}, std::move(found), {entry.ino()}, dir);
}

bool Answers::unchanged_since(Ino ino, Asked asked) const {
  const auto times = times_of(ino);
  return times.forgotten <= asked && times.changed <= asked;
}

bool Answers::unchanged_since(const wire::Transaction& transaction, Asked asked) const {
  for (const auto& part : transaction.parts())
    for (const auto& step : part.steps())
      if (!unchanged_since(changed_inode(step), asked)) return false;
  return true;
}

void Answers::keep(const wire::Transaction& transaction, const wire::Answer& answer) {
  if (answer.lease() == 0 || transaction.parts_size() != 1) return;
  // Of an inode that several steps name the last word counts.
  std::map<Ino, const wire::Attr*> attrs;
  for (const auto& attr : answer.attrs()) attrs[attr.ino()] = &attr;
  for (const auto& [ino, attr] : attrs) keep_attr(*attr, answer.lease());
  for (const auto& step : transaction.parts(0).steps()) {
    if (!step.has_insert()) continue;
    const auto attr = attrs.find(step.insert().ino());
    if (attr == attrs.end()) continue;
    wire::DirEntry entry;
    entry.set_name(step.insert().name());
    entry.set_ino(attr->first);
    entry.set_type(step.insert().type());
    keep_entry(step.insert().dir(), entry, *attr->second, answer.lease());
  }
}

void Answers::keep(const wire::Query& query, const wire::QueryAnswer& answer, Asked asked) {
  auto subject = subject_of(query);
  if (!subject || answer.lease() == 0) return;
  if (!unchanged_since(subject->ino, asked)) return;
  auto shared = std::make_shared<const wire::QueryAnswer>(answer);
  if (query.has_lookup()) {
    std::vector<Ino> strict;
    if (answer.has_attr()) {
      if (!unchanged_since(answer.attr().ino(), asked)) return;
      strict.push_back(answer.attr().ino());
      keep_attr(answer.attr(), answer.lease());
    }
    put({subject->ino, subject->what}, std::move(shared), strict, subject->ino);
    return;
  }
  if (query.has_get_inode()) {
    put({subject->ino, subject->what}, std::move(shared), {subject->ino}, 0);
    return;
  }
  std::vector<Ino> strict{subject->ino};
  for (const auto& entry : answer.entries()) {
    if (!entry.has_attr()) continue;
    if (!unchanged_since(entry.ino(), asked)) return;
    strict.push_back(entry.ino());
  }
  for (const auto& entry : answer.entries()) {
    if (!entry.has_attr()) continue;
    keep_attr(entry.attr(), answer.lease());
    keep_entry(subject->ino, entry, entry.attr(), answer.lease());
  }
  put({subject->ino, subject->what}, std::move(shared), strict, 0);
}

void Answers::trim() {
  if (times_.size() <= inodes_tracked_max_) return;
  times_.clear();
  floor_ = {clock_, clock_};
}

void Answers::forget(Ino ino) {
  times_[ino] = {++clock_, clock_};
  trim();
}

void Answers::changed(Ino ino) {
  auto [one, fresh] = times_.try_emplace(ino, floor_);
  one->second.changed = ++clock_;
  trim();
}

void Answers::changed(const wire::Transaction& transaction) {
  for (const auto& part : transaction.parts())
    for (const auto& step : part.steps()) {
      if (step.has_insert()) kept_.erase({step.insert().dir(), lookup_key(step.insert().name())});
      if (step.has_remove()) kept_.erase({step.remove().dir(), lookup_key(step.remove().name())});
      if (auto ino = changed_inode(step); ino != 0) changed(ino);
    }
}

}  // namespace chordfs::fs
