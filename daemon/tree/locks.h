#pragma once
// Locks of transactions that are begun or prepared here and not yet over: what they will change, and so what others
// must neither change nor show meanwhile. Nobody waits in the tree: a conflict is answered `locked`, with the holder.
//
// InsertEntry, RemoveEntry: the entry (directory, name). CreateInode, LinkInode, UnlinkInode, MovedInode: the inode.
// TakeDirmove: the one right to move directories. SetAttr, Commit and attributes lock nothing and meet no lock.
// A lock has one holder. Pure functions over records; any thread.

#include <optional>
#include <string_view>

#include "daemon/arc/state_machine.h"
#include "proto/wire/tree.pb.h"

namespace chordfs::tree {

struct InodeLock {
  wire::TxId holder;
  bool removes = false;  ///< By an UnlinkInode: a directory takes no new entries meanwhile.
};

std::optional<wire::TxId> entry_lock(const Records& records, std::uint64_t dir, std::string_view name);
/// Of any entry of `dir` whose name's hash is in [from, to].
std::optional<wire::TxId> entry_lock_within(const Records& records, std::uint64_t dir, std::uint64_t from,
                                            std::uint64_t to);
std::optional<InodeLock> inode_lock(const Records& records, std::uint64_t ino);
std::optional<wire::TxId> dirmove_lock(const Records& records);
/// Who is about to change what is seen of this inode. A directory's times and links change with its entries.
std::optional<wire::TxId> changer(const Records& records, const wire::Attr& attr);

using Steps = google::protobuf::RepeatedPtrField<wire::Step>;
/// All that the steps need; nobody else holds any of it.
void take_locks(MutableRecords& records, const wire::TxId& holder, const Steps& steps);
void release_locks(MutableRecords& records, const Steps& steps);

}  // namespace chordfs::tree
