// Transactions over three arcs while leaders crash and messages are lost, doubled and late: whatever happens, every one
// is done everywhere or nowhere, and the filesystem is whole in the end. The driver here does what leaders do.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <set>

#include "tests/daemon/tree/actions.h"
#include "tests/daemon/tree/world.h"

namespace chordfs::tree_test {

namespace {
using TxKey = std::pair<std::uint32_t, std::uint64_t>;
TxKey key_of(const wire::TxId& id) {
  return {id.arc(), id.index()};
}

struct Message {
  std::uint32_t arc = 0;
  wire::Operation operation;
};

/// What a leader has in memory of a transaction that it coordinates: gone with a crash.
struct Driver {
  std::set<std::uint32_t> votes, acks;
  Errc refused = Errc::ok;
};

class Chaos {
 public:
  static constexpr std::uint32_t kArcs = 3;
  static constexpr int kRoundsMax = 200;

  Chaos() {
    session_ = world_.open_session(0);
    for (std::uint32_t arc = 0; arc < kArcs; ++arc) {
      // Each arc has a directory and two files, which are named in the directories of other arcs as well.
      auto dir = arc == 0 ? kRootIno : world_.ino(arc, 10);
      dirs_.push_back(dir);
      if (arc > 0) {
        world_.execute(arc, {create(dir, wire::FILE_DIRECTORY)});
        world_.execute(0, {insert(kRootIno, "dir" + std::to_string(arc), dir, wire::FILE_DIRECTORY)});
      }
      for (std::uint64_t i = 0; i < 2; ++i) {
        files_.push_back(world_.ino(arc, 20 + i));
        world_.execute(arc, {create(files_.back()), insert(dir, "file" + std::to_string(i), files_.back())});
      }
    }
    RC_ASSERT(world_.broken() == "");
  }

  void act(Action action) {
    ++world_.now;
    switch (action.below(12)) {
      case 0:
        start_rename(action);
        break;
      case 1:
        start_link(action);
        break;
      case 2:
        start_unlink(action);
        break;
      case 3:
        start_mkdir(action);
        break;
      case 4:
        execute(action);
        break;
      case 5:
      case 6:
      case 7:
        deliver_some(action);
        break;
      case 8:
      case 9:
        drive_some(action);
        break;
      case 10:
        give_up_some(action);
        break;
      case 11:
        crash(static_cast<std::uint32_t>(action.below(kArcs)));
        break;
    }
  }

  /// Faults stop; everything under way comes to its end. Then every message ever sent arrives once more.
  void settle() {
    finish_all();
    RC_ASSERT(world_.broken() == "");
    auto late = sent_;
    for (const auto& message : late) deliver(message);
    finish_all();
    RC_ASSERT(world_.broken() == "");
  }

 private:
  // ---- What clients ask for ----

  std::uint64_t some_dir(Action& action) { return dirs_[action.below(dirs_.size())]; }
  std::string some_name(Action& action) { return "file" + std::to_string(action.below(3)); }
  /// What a name stands for, as a client saw it some time ago or sees it now; 0 if it cannot tell.
  std::uint64_t seen(std::uint64_t dir, const std::string& name) { return world_.lookup(dir, name).entry().ino(); }

  void start(std::vector<std::pair<std::uint64_t, wire::Step>> steps) {
    std::vector<wire::Part> parts;
    for (auto& [home, step] : steps) {
      auto arc = world_.arc_of(home);
      auto at = std::ranges::find_if(parts, [&](const auto& one) { return one.arc() == arc; });
      if (at == parts.end()) at = parts.insert(parts.end(), part(arc, {}));
      *at->add_steps() = std::move(step);
    }
    Message message{.arc = parts.front().arc(), .operation = {}};
    *message.operation.mutable_identity() = identity(session_, ++seq_, 1);
    for (auto& one : parts) *message.operation.mutable_begin()->mutable_transaction()->add_parts() = std::move(one);
    send(std::move(message));
    deliver(sent_.back());
  }

  void start_rename(Action& action) {
    auto from = some_dir(action), to = some_dir(action);
    auto name = some_name(action), new_name = some_name(action);
    auto ino = seen(from, name), replaced = seen(to, new_name);
    if (ino == 0 || ino == replaced) return;
    std::vector<std::pair<std::uint64_t, wire::Step>> steps{
        {from, remove(from, name, ino)},
        {to, insert(to, new_name, ino, wire::FILE_REGULAR, replaced)},
        {ino, moved(ino)}};
    if (replaced != 0) steps.emplace_back(replaced, unlink(replaced));
    start(std::move(steps));
  }
  void start_link(Action& action) {
    auto dir = some_dir(action), ino = files_[action.below(files_.size())];
    start({{dir, insert(dir, some_name(action), ino)}, {ino, link(ino)}});
  }
  void start_unlink(Action& action) {
    auto dir = some_dir(action);
    auto name = some_name(action);
    auto ino = seen(dir, name);
    if (ino != 0) start({{dir, remove(dir, name, ino)}, {ino, unlink(ino)}});
  }
  void start_mkdir(Action& action) {
    auto parent = some_dir(action), other = world_.ino(static_cast<std::uint32_t>(action.below(kArcs)), next_ino_++);
    auto name = "sub" + std::to_string(action.below(2));
    if (action.below(2) == 0) {
      start(
          {{parent, insert(parent, name, other, wire::FILE_DIRECTORY)}, {other, create(other, wire::FILE_DIRECTORY)}});
    } else if (auto ino = seen(parent, name); ino != 0) {
      start({{ino, unlink(ino, wire::UnlinkInode::MUST_BE_DIRECTORY)}, {parent, remove(parent, name, ino)}});
    }
  }
  /// Something in one arc, beside it all.
  void execute(Action& action) {
    auto dir = some_dir(action), ino = world_.ino(world_.arc_of(dir), next_ino_++);
    switch (action.below(4)) {
      case 0:
        world_.execute(world_.arc_of(dir), {create(ino), insert(dir, some_name(action), ino)});
        break;
      case 1:
        world_.execute(world_.arc_of(dir), {chmod(dir, 0700)});
        break;
      case 2:
        fill_subdirectory(action);
        break;
      case 3:
        purge_all(world_.arc_of(dir));
        break;
    }
  }
  void fill_subdirectory(Action& action) {
    auto parent = some_dir(action);
    auto dir = seen(parent, "sub" + std::to_string(action.below(2)));
    if (dir == 0) return;
    auto arc = world_.arc_of(dir);
    auto ino = world_.ino(arc, next_ino_++);
    if (auto there = seen(dir, "x"); there != 0)
      world_.execute(arc, {remove(dir, "x", there), unlink(there)});
    else
      world_.execute(arc, {create(ino), insert(dir, "x", ino)});
  }
  void purge_all(std::uint32_t arc) {
    for (const auto& entry : world_.outbox(arc).outbox())
      if (entry.orphan() != 0) RC_ASSERT(error_of(world_.purge(entry.orphan())) == Errc::ok);
  }

  // ---- Messages: none is ever forgotten, so each may come again at any time ----

  void send(Message message) { sent_.push_back(std::move(message)); }

  void deliver_some(Action& action) {
    if (sent_.empty()) return;
    // The latest mostly, so that something gets done; any of them at times.
    auto window = action.below(4) == 0 ? sent_.size() : std::min<std::size_t>(sent_.size(), 8);
    deliver(sent_[sent_.size() - 1 - action.below(window)]);
  }

  void deliver(Message message) {
    auto answer = world_.apply(message.arc, message.operation);
    const auto& operation = message.operation;
    if (operation.has_begin() && answer.error() == 0 && answer.has_tx()) adopt(answer.tx());
    if (operation.has_prepare()) voted(operation.prepare().tx(), message.arc, error_of(answer));
    if (operation.has_finish()) {
      RC_ASSERT(answer.error() == 0U);
      if (auto driver = drivers_.find(key_of(operation.finish().tx())); driver != drivers_.end())
        driver->second.acks.insert(message.arc);
    }
  }

  void voted(const wire::TxId& id, std::uint32_t arc, Errc error) {
    auto driver = drivers_.find(key_of(id));
    if (driver == drivers_.end()) return;
    if (error == Errc::ok)
      driver->second.votes.insert(arc);
    else
      driver->second.refused = error;
  }

  // ---- What a leader does ----

  std::optional<wire::QueryAnswer::Coordinated> coordinated(const TxKey& key) {
    auto all = world_.transactions(key.first);
    for (const auto& one : all.coordinated())
      if (one.index() == key.second) return one;
    return std::nullopt;
  }

  void adopt(const wire::TxId& id) {
    if (drivers_.contains(key_of(id))) return;
    drivers_[key_of(id)];
    send_prepares(key_of(id));
  }
  void send_prepares(const TxKey& key) {
    auto transaction = coordinated(key)->transaction();
    for (const auto& one : transaction.parts()) {
      if (one.arc() == key.first) continue;
      Message message{.arc = one.arc(), .operation = {}};
      *message.operation.mutable_prepare()->mutable_tx() = tx(key.first, key.second);
      *message.operation.mutable_prepare()->mutable_steps() = one.steps();
      send(std::move(message));
    }
  }
  void send_finishes(const TxKey& key, const wire::QueryAnswer::Coordinated& what) {
    for (const auto& one : what.transaction().parts()) {
      if (one.arc() == key.first) continue;
      Message message{.arc = one.arc(), .operation = {}};
      auto* finish = message.operation.mutable_finish();
      *finish->mutable_tx() = tx(key.first, key.second);
      finish->set_commit(what.state() == wire::QueryAnswer::COMMITTED);
      finish->set_low_water(world_.transactions(key.first).low_water());
      send(std::move(message));
    }
  }

  void decide(const TxKey& key, bool commit, Errc error = Errc::ok) {
    world_.decide(tx(key.first, key.second), commit, error);
    auto now = coordinated(key);
    auto [at, is_first] = decisions_.emplace(key, now->state());
    RC_ASSERT(at->second == now->state());
    if (is_first && now->state() == wire::QueryAnswer::COMMITTED) RC_ASSERT(done_.insert(now->identity().seq()).second);
    send_finishes(key, *now);
  }

  void drive(const TxKey& key) {
    auto driver = drivers_.at(key);
    auto now = coordinated(key);
    RC_ASSERT(now.has_value());
    auto others = static_cast<std::size_t>(now->transaction().parts_size() - 1);
    if (now->state() == wire::QueryAnswer::UNDECIDED) {
      if (driver.refused != Errc::ok)
        decide(key, false, driver.refused);
      else if (driver.votes.size() == others)
        decide(key, true);
    } else if (driver.acks.size() == others) {
      RC_ASSERT(error_of(world_.forget(tx(key.first, key.second))) == Errc::ok);
      drivers_.erase(key);
    }
  }

  TxKey some_driven(Action& action) {
    return std::next(drivers_.begin(), static_cast<std::ptrdiff_t>(action.below(drivers_.size())))->first;
  }
  void drive_some(Action& action) {
    if (!drivers_.empty()) drive(some_driven(action));
  }
  void give_up_some(Action& action) {
    if (!drivers_.empty()) decide(some_driven(action), false, action.below(2) == 0 ? Errc::locked : Errc::ok);
  }

  /// A leader dies; the next one finds what is in the records, and begins again from there.
  void crash(std::uint32_t arc) {
    std::erase_if(drivers_, [&](const auto& entry) { return entry.first.first == arc; });
    auto all = world_.transactions(arc);
    for (const auto& one : all.coordinated()) {
      TxKey key{arc, one.index()};
      drivers_[key];
      if (one.state() == wire::QueryAnswer::UNDECIDED)
        send_prepares(key);
      else
        send_finishes(key, one);
    }
  }

  bool quiet() const {
    for (std::uint32_t arc = 0; arc < kArcs; ++arc) {
      auto all = world_.transactions(arc);
      if (all.coordinated_size() > 0 || all.intents_size() > 0) return false;
    }
    return true;
  }

  void finish_all() {
    for (int round = 0; !quiet(); ++round) {
      RC_ASSERT(round < kRoundsMax);
      auto before = sent_.size();
      for (std::uint32_t arc = 0; arc < kArcs; ++arc) crash(arc);
      for (auto i = before; i < sent_.size(); ++i) deliver(sent_[i]);
      std::vector<TxKey> keys;
      for (const auto& [key, driver] : drivers_) keys.push_back(key);
      for (const auto& key : keys) drive(key);
    }
  }

  World world_{2};
  std::vector<std::uint64_t> dirs_, files_;
  std::uint64_t next_ino_ = 1000, session_ = 0, seq_ = 0;
  std::vector<Message> sent_;
  std::map<TxKey, Driver> drivers_;
  std::map<TxKey, wire::QueryAnswer::TxState> decisions_;
  std::set<std::uint64_t> done_;  ///< What the session asked for and what was committed: once each.
};
}  // namespace

RC_GTEST_PROP(TreeChaos, TransactionsAreWholeWhateverIsLostDoubledOrLate, ()) {
  Chaos chaos;
  for (auto bits : *actions(200)) chaos.act(Action(bits));
  chaos.settle();
}

}  // namespace chordfs::tree_test
