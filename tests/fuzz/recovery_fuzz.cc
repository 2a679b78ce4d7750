// A node that comes back to a disk whose records were damaged, and whose log goes on with entries of any contents: it
// says what is wrong, or it serves; it never falls. Records that only RocksDB's checksums protect are left alone.
#include "daemon/arc/keys.h"
#include "daemon/arc/log_writer.h"
#include "tests/fuzz/cuts.h"
#include "tests/fuzz/node_world.h"
#include "tests/fuzz/quiet.h"

namespace chordfs {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

/// The letters of keys whose values carry a checksum of ours: facts of the node, states of arcs, records, logs.
constexpr std::string_view kSealed = "nmalvb";
/// A ring of one node that has been started once is in its second.
constexpr std::uint64_t kTerm = 2;

Pairs sealed_records(const RecordView& view) {
  Pairs found;
  view.scan("", "", [&](std::string_view key, std::string_view value) {
    if (!key.empty() && kSealed.find(key[0]) != std::string_view::npos) found.emplace_back(key, value);
    return true;
  });
  return found;
}

std::uint64_t applied(const RecordView& view, ArcNumber arc) {
  auto value = view.get(keys::applied(arc));
  return value ? read_u64(*value) : 0;
}

Request open_session() {
  Request request;
  request.header.mutable_operation()->mutable_operation()->mutable_open_session()->set_name("fuzz");
  return request;
}

/// Changes one record, or adds one to the log.
void damage(fuzz::Cuts& input, const Pairs& records, std::array<std::uint64_t, 4>& last, Batch& batch) {
  const auto what = input.byte();
  const auto& [key, value] = records[input.byte() % records.size()];
  const auto text = input.text();
  const ArcNumber arc = what / 4U % 4U;
  auto changed = value;
  switch (what % 4) {
    case 0:
      batch.put(key, std::string(text));
      break;
    case 1:
      for (std::size_t i = 0; i < text.size() && i < changed.size(); ++i)
        changed[i] = static_cast<char>(changed[i] ^ text[i]);
      batch.put(key, std::move(changed));
      break;
    case 2:
      changed.resize(std::min(changed.size(), text.size()));
      batch.put(key, std::move(changed));
      break;
    case 3:
      ++last[arc];
      batch.put(keys::log(arc, last[arc]), encode_entry(arc, last[arc], {.term = kTerm, .payload = std::string(text)}));
      break;
  }
}

}  // namespace
}  // namespace chordfs

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace chordfs;
  fuzz::be_quiet();
  fuzz::Cuts input(data, size);
  fuzz::NodeWorld world;
  CHECK(world.start());
  world.send({open_session()});
  world.kill();

  const auto records = sealed_records(*world.records());
  std::array<std::uint64_t, 4> last;
  for (ArcNumber arc = 0; arc < last.size(); ++arc) last[arc] = applied(*world.records(), arc);
  Batch batch;
  while (!input.empty()) damage(input, records, last, batch);
  world.change(std::move(batch));
  if (auto started = world.start(); !started) CHECK(!started.error().context.empty());
  return 0;
}
