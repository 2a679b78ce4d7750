// Writes the seeds of the fuzz targets, one file for each kind of message, record and damage: what the fuzzer could
// hardly find by itself. fuzz_seeds DIRECTORY: into DIRECTORY/TARGET/NAME.
#include <google/protobuf/descriptor.h>

#include <filesystem>
#include <fstream>
#include <iostream>

#include "daemon/store/block_file.h"
#include "daemon/tree/keys.h"
#include "daemon/tree/tree.h"
#include "proto/wire/block_id.h"
#include "proto/wire/frame.h"
#include "tests/daemon/tree/memory_records.h"
#include "tests/fuzz/cuts.h"

namespace chordfs {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

const std::string kBlock(kBlockIdBytes, 'b');

class Corpus {
 public:
  explicit Corpus(std::filesystem::path directory) : directory_(std::move(directory)) {}
  void add(const std::string& target, const std::string& name, const std::string& bytes) const {
    std::filesystem::create_directories(directory_ / target);
    std::ofstream(directory_ / target / name, std::ios::binary) << bytes;
  }

 private:
  std::filesystem::path directory_;
};

// ---- Messages with something in every field. ----

void fill(Message& message, int depth);

/// A value that the field could have: numbers are small, so that they hit what exists.
void fill_field(Message& message, const FieldDescriptor* field, int depth) {
  const auto* reflection = message.GetReflection();
  const bool repeated = field->is_repeated();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      if (field->is_map() || depth == 0) return;
      fill(repeated ? *reflection->AddMessage(&message, field) : *reflection->MutableMessage(&message, field),
           depth - 1);
      return;
    case FieldDescriptor::CPPTYPE_STRING: {
      const auto text = field->name() == "block" || field->name() == "blocks" || field->name() == "node" ? kBlock
                        : field->name() == "host" ? std::string("10.0.0.1")
                        : field->name() == "id"   ? std::string(20, 'i')
                                                  : field->name();
      repeated ? reflection->AddString(&message, field, text) : reflection->SetString(&message, field, text);
      return;
    }
    case FieldDescriptor::CPPTYPE_UINT32: {
      const std::uint32_t number = field->name() == "port" ? 4100 : field->name() == "error" ? 0 : 1;
      repeated ? reflection->AddUInt32(&message, field, number) : reflection->SetUInt32(&message, field, number);
      return;
    }
    case FieldDescriptor::CPPTYPE_UINT64:
      repeated ? reflection->AddUInt64(&message, field, 1) : reflection->SetUInt64(&message, field, 1);
      return;
    case FieldDescriptor::CPPTYPE_INT64:
      if (!repeated) reflection->SetInt64(&message, field, 1);
      return;
    case FieldDescriptor::CPPTYPE_BOOL:
      if (!repeated) reflection->SetBool(&message, field, true);
      return;
    case FieldDescriptor::CPPTYPE_ENUM:
      if (!repeated) reflection->SetEnumValue(&message, field, 1);
      return;
    default:
      return;
  }
}

/// Of a oneof, the last kind.
void fill(Message& message, int depth) {
  const auto* type = message.GetDescriptor();
  for (int i = 0; i < type->field_count(); ++i) fill_field(message, type->field(i), depth);
}

/// Calls `visit(name, message)` for one message with each kind of its oneof.
template <class M, class Visit>
void each_kind(Visit visit) {
  const Descriptor* type = M::descriptor();
  const auto* kinds = type->FindOneofByName("kind");
  for (int i = 0; i < kinds->field_count(); ++i) {
    M message;
    fill_field(message, kinds->field(i), 4);
    visit(kinds->field(i)->name(), message);
  }
}

std::string with_payload(const Message& header, std::string_view payload = {}) {
  std::string out;
  fuzz::append_text(out, header.SerializeAsString());
  fuzz::append_text(out, payload);
  return out;
}

// ---- Targets ----

void frames(const Corpus& corpus) {
  auto add = [&](const std::string& name, char how, std::string bytes) { corpus.add("frame_fuzz", name, how + bytes); };
  std::string hello;
  std::ignore = append_frame(hello, hello_of("chordfs-node 0.1.0"), 0);
  add("hello", '\x10', hello);
  add("hello_bytewise", '\0', hello);
  std::string all;
  each_kind<wire::Request>([&](const std::string& name, wire::Request& request) {
    if (name != "ping" && name != "put_block") return;
    std::string frame;
    std::ignore = append_frame(frame, 7, request, 5);
    add("request_" + name, '\x21', frame + "block");
    all += frame + "block";
  });
  wire::Reply reply;
  fill_field(reply, wire::Reply::descriptor()->FindFieldByName("block"), 3);
  std::string answer;
  std::ignore = append_frame(answer, 7, reply, 3000);
  add("reply_with_payload", '\x7f', answer + std::string(3000, 'p'));
  add("several", '\x09', all + answer + std::string(3000, 'p') + all);
  std::string large;
  append_u32(large, kFrameHeaderBytesMax + 1);
  append_u32(large, 0);
  add("over_the_cap", '\x11', large);
  std::string section;
  append_u32(section, 40'000);
  append_u32(section, 0);
  add("large_header", '\xff', section + std::string(40'000, '\0'));
}

void blocks(const Corpus& corpus) {
  const BlockName name{7, kBlock};
  auto input = [&](bool whole, std::string_view file_name, char size, std::string_view file) {
    std::string out{whole ? '\1' : '\0', '\2', '\3'};
    fuzz::append_text(out, file_name);
    out += size;
    fuzz::append_text(out, file);
    return out;
  };
  const std::string contents(1000, 'c');
  corpus.add("block_fuzz", "whole", input(true, name.file(), '\x70', ""));
  corpus.add("block_fuzz", "empty", input(true, name.file(), '\0', ""));
  corpus.add("block_fuzz", "raw",
             input(false, name.file(), '\x03', BlockHeader::encode(name, contents, crc32c(contents)) + contents));
  for (char what : {'\0', '\1', '\2'}) {
    auto damaged = input(true, "", '\x70', "") + what + std::string("\0\x20", 2);
    fuzz::append_text(damaged, "damage");
    corpus.add("block_fuzz", "damage_" + std::to_string(what), damaged);
  }
}

/// Operations that make a small tree with each kind of record in it.
std::vector<wire::Operation> some_operations() {
  std::vector<wire::Operation> operations(6);
  operations[0].mutable_open_session()->set_name("session");
  auto& made = *operations[1].mutable_execute();
  auto& inode = *made.add_steps()->mutable_create()->mutable_inode();
  inode.mutable_attr()->set_ino(5);
  inode.mutable_attr()->set_type(wire::FILE_REGULAR);
  inode.mutable_attr()->set_nlink(1);
  auto& entry = *made.add_steps()->mutable_insert();
  entry.set_dir(1);
  entry.set_name("file");
  entry.set_ino(5);
  entry.set_type(wire::FILE_REGULAR);
  auto& data = *operations[2].mutable_execute()->add_steps()->mutable_commit();
  data.set_ino(5);
  data.set_size_at_least(8192);
  for (char number : {'x', 'y'}) {
    auto& extent = *data.add_extents();
    extent.set_offset(number == 'x' ? 0 : 4096);
    extent.set_length(4096);
    extent.set_block(block_id(5, 0, static_cast<std::uint64_t>(number)));
    extent.set_block_length(4096);
  }
  auto& attribute = *operations[3].mutable_execute()->add_steps()->mutable_set_xattr();
  attribute.set_ino(5);
  attribute.set_name("user.name");
  attribute.set_value("value");
  auto& prepare = *operations[4].mutable_prepare();
  prepare.mutable_tx()->set_arc(1);
  prepare.mutable_tx()->set_index(9);
  prepare.add_steps()->mutable_link()->set_ino(5);
  auto& parts = *operations[5].mutable_begin()->mutable_transaction();
  parts.add_parts()->add_steps()->mutable_dirmove();
  parts.add_parts()->set_arc(1);
  for (auto& operation : operations) operation.set_now(1000);
  return operations;
}

void records(const Corpus& corpus) {
  const Tree tree{ArcMap(0)};
  MemoryRecords made;
  tree.create(0, made);
  std::string log = "\1";
  std::uint64_t index = 0;
  wire::Query query;
  query.mutable_get_inode()->set_ino(5);
  for (const auto& operation : some_operations()) {
    tree.apply(0, made, ++index, operation.SerializeAsString());
    log += with_payload(operation, query.SerializeAsString());
  }
  corpus.add("record_fuzz", "a_tree_by_operations", log);
  std::string all{'\0'};
  for (const auto& [key, value] : made.map()) {
    std::string one{'\0'};
    fuzz::append_text(one, key);
    fuzz::append_text(one, value);
    corpus.add("record_fuzz", "record_" + hex(key.substr(0, 9)), one);
    all += one.substr(1);
  }
  corpus.add("record_fuzz", "a_tree_by_records", all);
  each_kind<wire::Operation>([&](const std::string& name, wire::Operation& operation) {
    corpus.add("record_fuzz", "operation_" + name, log + with_payload(operation));
  });
  each_kind<wire::Step>([&](const std::string& name, wire::Step& step) {
    wire::Operation operation;
    *operation.mutable_execute()->add_steps() = step;
    corpus.add("record_fuzz", "step_" + name, log + with_payload(operation));
  });
  each_kind<wire::Query>([&](const std::string& name, wire::Query& asked) {
    corpus.add("record_fuzz", "query_" + name, log + with_payload(wire::Operation(), asked.SerializeAsString()));
  });
}

void requests(const Corpus& corpus) {
  std::string all;
  each_kind<wire::Request>([&](const std::string& name, wire::Request& request) {
    const auto seed = with_payload(request, name == "put_block" ? "contents" : "");
    corpus.add("request_fuzz", name, seed);
    if (name != "leave") all += seed;
  });
  corpus.add("request_fuzz", "all", all);
  wire::Request good;
  good.mutable_put_block()->set_block(kBlock);
  good.mutable_put_block()->set_crc(crc32c("contents"));
  std::string blocks = with_payload(good, "contents");
  good.mutable_get_block()->set_block(kBlock);
  good.mutable_get_block()->set_length(100);
  blocks += with_payload(good);
  good.mutable_drop_block()->add_blocks(kBlock);
  corpus.add("request_fuzz", "block_in_and_out", blocks + with_payload(good));
  std::string operations;
  for (const auto& operation : some_operations()) {
    wire::Request request;
    *request.mutable_operation()->mutable_operation() = operation;
    operations += with_payload(request);
  }
  corpus.add("request_fuzz", "a_tree", operations);
  each_kind<wire::Query>([&](const std::string& name, wire::Query& query) {
    wire::Request request;
    *request.mutable_query()->mutable_query() = query;
    corpus.add("request_fuzz", "query_" + name, operations + with_payload(request));
  });
}

/// The call of reply_fuzz that such a reply is an answer to.
char asking_for(std::string_view reply) {
  if (reply == "query") return 0;
  if (reply == "answer") return 0x41;
  if (reply == "block") return 2;
  if (reply == "find") return 4;
  if (reply == "status" || reply == "neighbours") return 5;
  return 3;
}

void replies(const Corpus& corpus) {
  std::string all;
  each_kind<wire::Reply>([&](const std::string& name, wire::Reply& reply) {
    all += with_payload(reply, "payload");
    // First where the arc is, then the answer.
    wire::Reply found;
    fill_field(found, wire::Reply::descriptor()->FindFieldByName("find"), 4);
    corpus.add("reply_fuzz", name, asking_for(name) + with_payload(found) + with_payload(reply, "payload"));
  });
  wire::Reply info;
  fill_field(info, wire::Reply::descriptor()->FindFieldByName("ring_info"), 4);
  info.mutable_ring_info()->set_ring(kBlock);
  for (char what : {'\x80', '\xc1', '\x82', '\x84', '\x85'})
    corpus.add("reply_fuzz", "connect_" + hex(std::string(1, what)), what + with_payload(info) + all + all);
  wire::Reply elsewhere;
  elsewhere.set_error(static_cast<std::uint32_t>(Errc::not_owner));
  fill_field(elsewhere, wire::Reply::descriptor()->FindFieldByName("hint"), 2);
  corpus.add("reply_fuzz", "redirected", '\0' + with_payload(elsewhere) + with_payload(elsewhere) + all);
}

void recovery(const Corpus& corpus) {
  corpus.add("recovery_fuzz", "whole", "");
  for (unsigned char what = 0; what < 3; ++what)
    for (unsigned char which : {0, 1, 2, 6, 9}) {
      std::string damage{static_cast<char>(what), static_cast<char>(which)};
      fuzz::append_text(damage, std::string("\0\0\0\0\1", 5));
      corpus.add("recovery_fuzz", "damage_" + std::to_string(what) + "_" + std::to_string(which), damage);
    }
  std::string log;
  for (const auto& operation : some_operations()) {
    log += std::string{'\3', '\0'};
    fuzz::append_text(log, operation.SerializeAsString());
  }
  corpus.add("recovery_fuzz", "longer_log", log);
  each_kind<wire::Operation>([&](const std::string& name, wire::Operation& operation) {
    std::string one = log + std::string{'\3', '\0'};
    fuzz::append_text(one, operation.SerializeAsString());
    corpus.add("recovery_fuzz", "log_" + name, one);
  });
}

}  // namespace
}  // namespace chordfs

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "fuzz_seeds DIRECTORY\n";
    return 2;
  }
  const chordfs::Corpus corpus(argv[1]);
  chordfs::frames(corpus);
  chordfs::blocks(corpus);
  chordfs::records(corpus);
  chordfs::requests(corpus);
  chordfs::replies(corpus);
  chordfs::recovery(corpus);
}
