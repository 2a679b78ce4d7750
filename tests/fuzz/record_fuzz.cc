// Records of an arc and log entries, as a disk or another node gives them: what is none is refused; what passes for one
// can be asked for in every way. And whatever operations made is a record again.
#include "daemon/store/log_record.h"
#include "daemon/tree/keys.h"
#include "daemon/tree/tree.h"
#include "proto/base/check.h"
#include "proto/wire/block_id.h"
#include "proto/wire/tree.pb.h"
#include "tests/daemon/tree/memory_records.h"
#include "tests/fuzz/cuts.h"
#include "tests/fuzz/quiet.h"

namespace chordfs {
namespace {

constexpr std::uint32_t kArc = 0;
constexpr int kQueriesMax = 64;

const Tree& tree() {
  static const Tree tree{ArcMap(0)};
  return tree;
}

void ask(const MemoryRecords& records, const wire::Query& query) {
  wire::QueryAnswer answer;
  CHECK(answer.ParseFromString(tree().query(kArc, records, query.SerializeAsString())));
}

void ask_about_ino(const MemoryRecords& records, std::uint64_t ino, std::string_view name) {
  wire::Query query;
  query.mutable_get_inode()->set_ino(ino);
  ask(records, query);
  query.mutable_get_inode()->set_open(true);
  query.mutable_get_inode()->set_with_xattrs(true);
  ask(records, query);
  query.mutable_lookup()->set_dir(ino);
  query.mutable_lookup()->set_name(std::string(name));
  ask(records, query);
  query.mutable_read_dir()->set_dir(ino);
  query.mutable_read_dir()->set_plus(true);
  ask(records, query);
  query.mutable_read_map()->set_ino(ino);
  query.mutable_read_map()->set_offset(name.size());
  query.mutable_read_map()->set_length(~std::uint64_t{0});
  ask(records, query);
  query.mutable_session_state()->set_session(ino);
  ask(records, query);
  query.mutable_transaction_state()->mutable_tx()->set_index(ino);
  ask(records, query);
  query.mutable_find_garbage()->add_blocks(block_id(ino, ino, 1));
  ask(records, query);
}

void ask_everything(const MemoryRecords& records) {
  wire::Query query;
  query.mutable_list_transactions();
  ask(records, query);
  query.mutable_list_outbox();
  ask(records, query);
  query.mutable_list_sessions();
  ask(records, query);
  query.mutable_arc_usage();
  ask(records, query);
  int asked = 0;
  for (const auto& [key, value] : records.map()) {
    if (++asked > kQueriesMax) break;
    const bool has_name = key[0] == 'D' && key.size() > 17;
    if (key.size() >= 9) ask_about_ino(records, tree::number_in(key), has_name ? tree::entry_name_in(key).name : "n");
  }
}

/// Records from outside: pairs of key and value.
void garbage(fuzz::Cuts& input) {
  MemoryRecords records;
  while (!input.empty()) {
    const auto key = input.text();
    const auto value = input.text();
    std::ignore = open_record(key, value);
    std::ignore = decode_log_record(kArc, key.size(), value);
    const auto sealed = seal_record(key, std::string(value));
    CHECK(open_record(key, sealed) && *open_record(key, sealed) == value);
    CHECK(decode_log_record(kArc, 1, encode_log_record(kArc, 1, 0, value))->payload == value);
    if (tree().is_record(key, value)) records.put(key, std::string(value));
  }
  ask_everything(records);
}

/// Operations from outside, as a log has them.
void operations(fuzz::Cuts& input) {
  MemoryRecords records;
  tree().create(kArc, records);
  for (std::uint64_t index = 1; !input.empty(); ++index) {
    wire::Answer answer;
    CHECK(answer.ParseFromString(tree().apply(kArc, records, index, input.text())));
    wire::QueryAnswer asked;
    CHECK(asked.ParseFromString(tree().query(kArc, records, input.text())));
  }
  for (const auto& [key, value] : records.map()) CHECK(tree().is_record(key, value), "{} = {}", hex(key), hex(value));
  ask_everything(records);
}

}  // namespace
}  // namespace chordfs

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  chordfs::fuzz::be_quiet();
  chordfs::fuzz::Cuts input(data, size);
  if (input.byte() & 1)
    chordfs::operations(input);
  else
    chordfs::garbage(input);
  return 0;
}
