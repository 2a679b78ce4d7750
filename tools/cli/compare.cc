#include "tools/cli/compare.h"

#include <algorithm>

#include "proto/base/bytes.h"

namespace chordfs::cli {

namespace {
constexpr std::uint32_t kBuckets = 256;
constexpr int kBadMax = 10'000;  // That one answer may name.
}  // namespace

std::string name_of(Finding::Kind kind) {
  switch (kind) {
    case Finding::Kind::no_leader:
      return "no_leader";
    case Finding::Kind::no_answer:
      return "no_answer";
    case Finding::Kind::changing:
      return "changing";
    case Finding::Kind::records_differ:
      return "records_differ";
    case Finding::Kind::block_missing:
      return "block_missing";
    case Finding::Kind::block_differs:
      return "block_differs";
    case Finding::Kind::block_bad:
      return "block_bad";
  }
  return "?";
}

std::string text_of(const Finding& finding) {
  switch (finding.kind) {
    case Finding::Kind::no_leader:
      return "has no leader: nobody can say who has copies";
    case Finding::Kind::no_answer:
      return "does not answer: not compared";
    case Finding::Kind::changing:
      return "changes too fast to be compared: again when it is quieter";
    case Finding::Kind::records_differ:
      return "has other records than the others";
    case Finding::Kind::block_missing:
      return "lacks block " + finding.block;
    case Finding::Kind::block_differs:
      return "has block " + finding.block + " in another length than others";
    case Finding::Kind::block_bad:
      return "cannot read block " + finding.block + " as it was written";
  }
  return "?";
}

void Copies::add(const std::string& node, const wire::ArcHash& hash) {
  auto& copy = copies_[node];
  copy.records[hash.applied()] = hash.records();
  copy.blocks = hash.blocks_hash();
  for (int i = 0; i < std::min(hash.broken_size(), kBadMax); ++i) copy.bad.insert(hex(hash.broken(i)));
}

Copies::Verdict Copies::records(const std::set<std::string>& nodes) const {
  if (!with_other_records().empty()) return Verdict::differ;
  for (const auto& node : nodes)
    if (!copies_.contains(node)) return Verdict::changing;
  if (copies_.empty()) return Verdict::equal;
  // Who stood at one index with someone that is compared already is compared, too.
  std::set<std::string> compared{copies_.begin()->first};
  std::set<std::uint64_t> indices;
  for (bool more = true; more;) {
    more = false;
    for (const auto& [node, copy] : copies_) {
      bool meets = std::ranges::any_of(copy.records, [&](const auto& entry) { return indices.contains(entry.first); });
      if (!meets && !compared.contains(node)) continue;
      compared.insert(node);
      for (const auto& [index, hash] : copy.records) more = indices.insert(index).second || more;
    }
  }
  return std::ranges::includes(compared, nodes) ? Verdict::equal : Verdict::changing;
}

Copies::Verdict Copies::blocks(const std::set<std::string>& nodes) const {
  const std::string* first = nullptr;
  for (const auto& node : nodes) {
    auto copy = copies_.find(node);
    if (copy == copies_.end()) return Verdict::changing;
    if (!first) first = &copy->second.blocks;
    if (copy->second.blocks != *first) return Verdict::changing;
  }
  return Verdict::equal;
}

std::set<std::string> Copies::with_other_records() const {
  std::map<std::uint64_t, std::map<std::string, std::set<std::string>>> at;
  for (const auto& [node, copy] : copies_)
    for (const auto& [index, hash] : copy.records) at[index][hash].insert(node);
  std::set<std::string> others;
  for (const auto& [index, hashes] : at) {
    if (hashes.size() < 2) continue;
    std::size_t all = 0;
    for (const auto& [hash, nodes] : hashes) all += nodes.size();
    for (const auto& [hash, nodes] : hashes)
      if (2 * nodes.size() <= all) others.insert(nodes.begin(), nodes.end());
  }
  return others;
}

std::map<std::string, std::set<std::string>> Copies::bad_blocks() const {
  std::map<std::string, std::set<std::string>> bad;
  for (const auto& [node, copy] : copies_)
    if (!copy.bad.empty()) bad[node] = copy.bad;
  return bad;
}

std::vector<Finding> compare_blocks(std::uint32_t arc, const std::map<std::string, Held>& held) {
  std::map<std::string, std::map<std::uint32_t, std::set<std::string>>> lengths;
  for (const auto& [node, blocks] : held)
    for (const auto& [block, length] : blocks) lengths[block][length].insert(node);
  std::vector<Finding> findings;
  for (const auto& [block, by_length] : lengths) {
    for (const auto& [node, blocks] : held)
      if (!blocks.contains(block)) findings.push_back({Finding::Kind::block_missing, arc, node, hex(block)});
    if (by_length.size() < 2) continue;
    // Which of them is right only the chunk maps know.
    for (const auto& [length, nodes] : by_length)
      for (const auto& node : nodes) findings.push_back({Finding::Kind::block_differs, arc, node, hex(block)});
  }
  std::ranges::sort(findings);
  return findings;
}

std::vector<std::uint32_t> differing_buckets(const std::vector<wire::BlockSums>& sums) {
  bool complete = std::ranges::all_of(sums, [](const auto& one) { return one.sums_size() == kBuckets; });
  std::vector<std::uint32_t> buckets;
  for (std::uint32_t bucket = 0; bucket < kBuckets; ++bucket) {
    auto at = [&](const wire::BlockSums& one) { return one.sums(static_cast<int>(bucket)); };
    if (!complete || std::ranges::any_of(sums, [&](const auto& one) { return at(one) != at(sums.front()); }))
      buckets.push_back(bucket);
  }
  return buckets;
}

}  // namespace chordfs::cli
