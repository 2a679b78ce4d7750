#pragma once
// State: the records of one arc while one operation runs, with types. Changes are kept aside (Overlay) until commit();
// a State that is dropped leaves no trace. Inodes are parsed once and written once, however many steps touch them.
//
// Owner: one operation, on its stack. Thread: the caller's. The records outlive it and do not change meanwhile.
// Errors: none; records that this code has written always parse (CHECK).

#include <cstdint>
#include <map>
#include <string>

#include "daemon/tree/overlay.h"
#include "proto/id/id.h"
#include "proto/wire/tree.pb.h"

namespace chordfs::tree {

/// Which arc, and how many there are.
struct Place {
  ArcMap arcs;
  ArcNumber arc = 0;

  /// The arc that holds the record of an inode, or opened a session: the top bits of its number.
  ArcNumber arc_of(std::uint64_t number) const {
    return arcs.bits() == 0 ? 0 : static_cast<ArcNumber>(number >> (64 - arcs.bits()));
  }
  bool is_home_of(std::uint64_t number) const { return arc_of(number) == arc; }
};

/// The record U: what would otherwise have to be counted.
struct Usage {
  std::uint64_t inodes = 0;
  std::uint64_t bytes = 0;        ///< Sum of `allocated`.
  std::uint64_t outbox = 0;       ///< Records in X/.
  std::uint64_t orphans = 0;      ///< Records in O/.
  std::uint64_t outbox_next = 1;  ///< Sequence numbers of the outbox are never used twice.

  bool pending() const { return outbox > 0 || orphans > 0; }
  friend bool operator==(const Usage&, const Usage&) = default;
};
Usage load_usage(const Records& records);

struct Entry {
  std::uint64_t ino = 0;
  wire::FileType type = wire::FILE_NONE;
};
Entry decode_entry(std::string_view value);

/// The record of an inode, if there is one.
bool load_inode(const Records& records, std::uint64_t ino, wire::Inode& inode);

/// Equal messages give equal bytes on every member (maps are otherwise serialized in the order of their addresses).
std::string serialize(const google::protobuf::MessageLite& message);

class State {
 public:
  State(const Place& place, const Records& records, std::int64_t now);

  const Place& place() const { return place_; }
  std::int64_t now() const { return now_; }
  Overlay& records() { return overlay_; }

  /// Null if there is none. Good until erase_inode() of it. To be followed by changed() if it is changed.
  wire::Inode* inode(std::uint64_t ino);
  void create_inode(wire::Inode inode);
  void erase_inode(std::uint64_t ino);
  /// A version more, and its record will be written.
  void changed(wire::Inode& inode);
  /// The session is its writer from now on, as of this version; 0: nobody is. Its record will be written.
  void set_writer(wire::Inode& inode, std::uint64_t session);
  /// More or (negative) less data held.
  void allocate(wire::Inode& inode, std::int64_t bytes);

  bool entry(std::uint64_t dir, std::string_view name, Entry& found) const;
  void put_entry(std::uint64_t dir, std::string_view name, const Entry& entry);
  void erase_entry(std::uint64_t dir, std::string_view name);
  bool has_entries(std::uint64_t dir) const;

  bool is_orphan(std::uint64_t ino) const;
  void add_orphan(std::uint64_t ino);
  void erase_orphan(std::uint64_t ino);
  /// No map of this arc names the block any more.
  void discard_block(std::string_view block);
  void clear_outbox(std::uint64_t seq);

  void commit(MutableRecords& records) &&;

 private:
  struct Cached {
    bool present = false;
    bool dirty = false;
    wire::Inode inode;
  };

  Place place_;
  std::int64_t now_;
  Overlay overlay_;
  Usage usage_;
  Usage usage_before_;
  std::map<std::uint64_t, Cached> inodes_;
};

}  // namespace chordfs::tree
