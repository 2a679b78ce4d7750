// Well-formed messages that make no sense, in an order that no leader would send them: the tree answers each, never
// stops, and does the same on every member.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/daemon/tree/actions.h"
#include "tests/daemon/tree/world.h"

namespace chordfs::tree_test {

namespace {
/// Of a few inodes of each arc, and of none.
std::uint64_t some_number(const World& world, Action& action) {
  auto unique = action.below(5);
  return unique == 0 ? 0 : world.ino(static_cast<std::uint32_t>(action.below(2)), unique);
}
std::string some_name(Action& action) {
  return std::string(1, static_cast<char>('a' + action.below(3)));
}
wire::FileType some_type(Action& action) {
  return static_cast<wire::FileType>(action.below(4));
}

wire::Step some_lock(std::uint64_t ino, Action& action) {
  wire::Step step;
  auto& set = *step.mutable_set_lock();
  set.set_ino(ino);
  set.set_yield(action.below(4) == 0);
  set.mutable_lock()->set_kind(static_cast<wire::FileLock::Kind>(action.below(3)));
  set.mutable_lock()->set_type(static_cast<wire::FileLock::Type>(action.below(4)));
  set.mutable_lock()->set_owner(action.below(2));
  set.mutable_lock()->set_start(action.below(20));
  set.mutable_lock()->set_end(action.below(8) == 0 ? ~action.below(9) : action.below(30));
  return step;
}

wire::Step some_step(const World& world, Action& action) {
  auto ino = some_number(world, action), other = some_number(world, action);
  auto kind = static_cast<wire::UnlinkInode::Kind>(action.below(3));
  switch (action.below(16)) {
    case 0:
      return insert(ino, some_name(action), other, some_type(action), some_number(world, action));
    case 1:
      return insert(ino, some_name(action), other, some_type(action));
    case 2:
      return remove(ino, some_name(action), other);
    case 3:
      return create(ino, some_type(action));
    case 4:
      return link(ino);
    case 5:
      return unlink(ino, kind);
    case 6:
      return moved(ino, other);
    case 7:
      return resize(ino, action.below(2) == 0 ? action.below(100) : ~action.below(100));
    case 8:
      return write_piece(ino, action.below(5000), "piece");
    case 9:
      return write_extents(ino, {extent(action.below(50), action.below(50), action.below(9))});
    case 10:
      return set_xattr(ino, some_name(action), "value", static_cast<wire::SetXattr::Mode>(action.below(4)));
    case 11:
      return remove_xattr(ino, some_name(action));
    case 12:
      return dirmove();
    case 13:
    case 14:
      return some_lock(ino, action);
    default:
      return {};
  }
}

wire::TxId some_tx(Action& action) {
  return tx(static_cast<std::uint32_t>(action.below(3)), action.below(40));
}

StepList some_steps(const World& world, Action& action) {
  StepList steps;
  for (auto left = action.below(4); left > 0; --left) steps.push_back(some_step(world, action));
  return steps;
}

wire::Operation some_operation(const World& world, Action& action, std::uint32_t arc) {
  wire::Operation operation;
  if (action.below(2) == 0)
    *operation.mutable_identity() = identity(some_number(world, action), action.below(6), action.below(6));
  auto session = some_number(world, action);
  switch (action.below(14)) {
    case 0:
    case 1:
      *operation.mutable_execute() = part(arc, some_steps(world, action));
      break;
    case 2:
    case 3:
      *operation.mutable_begin()->mutable_transaction()->add_parts() = part(arc, some_steps(world, action));
      *operation.mutable_begin()->mutable_transaction()->add_parts() = part(1 - arc, {});
      break;
    case 4:
    case 5:
      *operation.mutable_prepare()->mutable_tx() = some_tx(action);
      for (auto& step : some_steps(world, action)) *operation.mutable_prepare()->add_steps() = step;
      break;
    case 6:
      operation.mutable_decide()->set_index(action.below(100));
      operation.mutable_decide()->set_commit(action.below(3) > 0);
      operation.mutable_decide()->set_error(static_cast<std::uint32_t>(action.below(70)));
      break;
    case 7:
      *operation.mutable_finish()->mutable_tx() = some_tx(action);
      operation.mutable_finish()->set_commit(action.below(3) > 0);
      operation.mutable_finish()->set_low_water(action.below(20));
      break;
    case 8:
      operation.mutable_forget()->set_index(action.below(100));
      break;
    case 9:
      operation.mutable_open_session();
      break;
    case 10:
      operation.mutable_close_session()->set_session(session);
      break;
    case 11:
      operation.mutable_fence_session()->set_session(session);
      break;
    case 12:
      operation.mutable_purge()->set_ino(session);
      break;
    case 13:
      operation.mutable_clear_outbox()->add_seqs(action.below(10));
      break;
  }
  return operation;
}

void ask_everything(const World& world, Action& action) {
  auto ino = some_number(world, action);
  world.lookup(ino, some_name(action));
  world.get_inode(ino, true);
  world.read_map(ino, action.below(100), ~action.below(100));
  world.read_dir(ino, action.below(2) == 0 ? ~0ULL : 0, 2, true);
  for (std::uint32_t arc = 0; arc < 2; ++arc) {
    world.outbox(arc);
    world.transactions(arc);
  }
}
}  // namespace

RC_GTEST_PROP(TreeHostile, NonsenseIsAnsweredAndTheSameEverywhere, ()) {
  World world(1), other(1);
  for (auto bits : *actions(300)) {
    Action action(bits);
    auto arc = static_cast<std::uint32_t>(action.below(2));
    auto operation = some_operation(world, action, arc);
    RC_ASSERT(world.apply(arc, operation).SerializeAsString() == other.apply(arc, operation).SerializeAsString());
    ask_everything(world, action);
  }
  RC_ASSERT(world.strange_records() == "");
  for (std::uint32_t arc = 0; arc < 2; ++arc) RC_ASSERT(world.records(arc).map() == other.records(arc).map());
}

}  // namespace chordfs::tree_test
