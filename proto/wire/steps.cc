#include "proto/wire/steps.h"

namespace chordfs {

std::uint64_t changed_inode(const wire::Step& step) {
  switch (step.kind_case()) {
    case wire::Step::kInsert:
      return step.insert().dir();
    case wire::Step::kRemove:
      return step.remove().dir();
    case wire::Step::kCreate:
      return step.create().inode().attr().ino();
    case wire::Step::kLink:
      return step.link().ino();
    case wire::Step::kUnlink:
      return step.unlink().ino();
    case wire::Step::kMoved:
      return step.moved().ino();
    case wire::Step::kSetAttr:
      return step.set_attr().ino();
    case wire::Step::kCommit:
      return step.commit().ino();
    case wire::Step::kSetXattr:
      return step.set_xattr().ino();
    case wire::Step::kRemoveXattr:
      return step.remove_xattr().ino();
    case wire::Step::kAllocate:
      return step.allocate().ino();
    case wire::Step::kSetLock:
    case wire::Step::kEndWriting:
    case wire::Step::kDirmove:
    case wire::Step::KIND_NOT_SET:
      break;
  }
  return 0;
}

}  // namespace chordfs
