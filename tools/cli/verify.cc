// chordfs verify: every member of every arc hashes what it has, and here the hashes are compared. An arc in which they
// do not agree is asked again, a few times, because it may be changing; then its blocks are compared one by one.

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <memory>
#include <optional>

#include "proto/rpc/endpoint.h"
#include "tools/cli/compare.h"
#include "tools/cli/progress.h"
#include "tools/cli/session.h"
#include "tools/cli/text.h"

namespace chordfs::cli {

namespace json = boost::json;

namespace {
constexpr int kRounds = 8;
constexpr Duration kPause = 150ms;
constexpr Duration kCallTimeout = 10s;
/// Blocks are read at least so fast.
constexpr double kBytesPerSecondMin = 4e6;
/// Identifiers that one answer may bring: as many buckets are asked for at once as stay below it on the whole.
constexpr std::size_t kBucketsAtOnce = 16;
constexpr std::size_t kFindingsPrinted = 40;

struct Report {
  std::size_t arcs = 0, copies = 0, filling = 0;
  std::uint64_t blocks = 0, block_bytes = 0;  ///< Of all copies.
  std::vector<Finding> findings;
};

/// Members of an arc that are to be equal, and how many bytes of blocks the leader has.
struct Members {
  std::vector<Endpoint> nodes;
  std::size_t filling = 0;
  std::uint64_t block_bytes = 0, term = 0;
};

std::map<ArcNumber, Members> members_of(const std::vector<wire::Status>& statuses) {
  std::map<ArcNumber, Members> arcs;
  for (const auto& status : statuses)
    for (const auto& row : status.arcs()) {
      if (row.members().empty()) continue;  // Only a leader names them.
      auto& members = arcs[row.arc()];
      if (!members.nodes.empty() && members.term >= row.term()) continue;
      members = {.nodes = {}, .filling = 0, .block_bytes = row.block_bytes(), .term = row.term()};
      for (const auto& member : row.members()) {
        // A learner on its way is no copy yet.
        if (member.learner() && !member.complete())
          ++members.filling;
        else
          members.nodes.push_back(endpoint_of(member.peer()));
      }
    }
  return arcs;
}

/// One question to several nodes at the same time.
struct Round {
  Request request;
  Duration timeout{};
  std::vector<Endpoint> nodes;
  std::vector<std::optional<Reply>> replies;
};

awaitable<void> ask(RingClient& client, std::shared_ptr<Round> round, std::size_t number) {
  // When it is cancelled, this ends quietly: whoever waits for all of them is cancelled, too.
  try {
    auto reply = answered(co_await client.call(round->nodes[number], round->request, round->timeout));
    if (reply) round->replies[number] = *std::move(reply);
  } catch (const boost::system::system_error&) {
  }
}

awaitable<void> ask_from(RingClient& client, std::shared_ptr<Round> round, std::size_t number) {
  using namespace asio::experimental::awaitable_operators;
  if (number + 1 < round->nodes.size())
    co_await (ask(client, round, number) && ask_from(client, round, number + 1));
  else
    co_await ask(client, round, number);
}

awaitable<std::vector<std::optional<Reply>>> ask_all(RingClient& client, std::vector<Endpoint> nodes, Request request,
                                                     Duration timeout) {
  auto round = std::make_shared<Round>(Round{std::move(request), timeout, std::move(nodes), {}});
  round->replies.resize(round->nodes.size());
  if (!round->nodes.empty()) co_await ask_from(client, round, 0);
  co_return std::move(round->replies);
}

class Verify {
 public:
  enum class Depth { hashes, every_byte };

  Verify(RingClient& client, Depth depth) : client_(client), depth_(depth) {}

  awaitable<Result<void>> all() {
    CO_TRY_VOID(co_await look());
    report_.arcs = client_.arcs().count();
    for (ArcNumber arc = 0; arc < client_.arcs().count(); ++arc) {
      show_status(fmt::format("arc {} of {}, {} of blocks, {} found", arc, client_.arcs().count(),
                              human(report_.block_bytes), report_.findings.size()));
      CO_TRY_VOID(co_await one(arc));
    }
    co_return Result<void>();
  }
  const Report& report() const { return report_; }

 private:
  awaitable<Result<void>> look() {
    CO_TRY(auto statuses, co_await client_.walk(false));
    members_ = members_of(statuses);
    co_return Result<void>();
  }

  void found(Finding::Kind kind, ArcNumber arc, std::string node = "", std::string block = "") {
    report_.findings.push_back({kind, arc, std::move(node), std::move(block)});
  }

  Duration time_for(const Members& members) const {
    if (depth_ == Depth::hashes) return kCallTimeout;
    auto seconds = static_cast<double>(members.block_bytes) / kBytesPerSecondMin;
    return kCallTimeout + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(std::min(seconds, 1e6)));
  }

  struct Asked {
    Members members;
    std::set<std::string> nodes;   ///< Of these, those that are asked.
    std::set<std::string> silent;  ///< Of these, those that did not answer in the last round.
    Copies copies;
    std::map<std::string, wire::ArcHash> last;
    bool read = false;  ///< Their blocks: once is enough.

    bool agree() const {
      return silent.empty() && copies.records(nodes) == Copies::Verdict::equal &&
             copies.blocks(nodes) == Copies::Verdict::equal;
    }
  };

  awaitable<Result<void>> one(ArcNumber arc) {
    Asked asked;
    for (int round = 0; round < kRounds; ++round) {
      if (round > 0) {
        co_await client_.runtime().sleep(kPause * round);
        CO_TRY_VOID(co_await look());
      }
      take_members(arc, asked);
      co_await hashes(arc, asked);
      if (asked.copies.records(asked.nodes) == Copies::Verdict::differ) break;
      // Where one arc has no leader for long, others are not waited for.
      if (asked.members.nodes.empty() ? leaderless_ : asked.agree()) break;
    }
    leaderless_ = leaderless_ || asked.members.nodes.empty();
    co_await tell(arc, std::move(asked));
    co_return Result<void>();
  }

  void take_members(ArcNumber arc, Asked& asked) {
    asked.members = members_[arc];
    std::set<std::string> nodes;
    for (const auto& node : asked.members.nodes)
      if (!given_up_.contains(node.text())) nodes.insert(node.text());
    if (nodes != asked.nodes) asked = {.members = asked.members, .nodes = std::move(nodes), .silent = {}, .copies = {}};
    asked.silent.clear();
  }

  static std::vector<Endpoint> endpoints(const Asked& asked) {
    auto nodes = asked.members.nodes;
    std::erase_if(nodes, [&](const Endpoint& node) { return !asked.nodes.contains(node.text()); });
    return nodes;
  }

  awaitable<void> hashes(ArcNumber arc, Asked& asked) {
    bool read = depth_ == Depth::every_byte && !asked.read;
    Request request;
    request.header.mutable_arc_hash()->set_arc(arc);
    request.header.mutable_arc_hash()->set_read_blocks(read);
    auto nodes = endpoints(asked);
    auto replies = co_await ask_all(client_, nodes, std::move(request), time_for(asked.members));
    for (std::size_t i = 0; i < replies.size(); ++i) {
      auto name = nodes[i].text();
      if (!replies[i]) {
        asked.silent.insert(name);
        continue;
      }
      asked.copies.add(name, replies[i]->header.arc_hash());
      asked.last[name] = replies[i]->header.arc_hash();
    }
    asked.read = asked.read || (read && asked.silent.empty());
  }

  awaitable<void> tell(ArcNumber arc, Asked asked) {
    if (asked.members.nodes.empty()) {
      found(Finding::Kind::no_leader, arc);
      co_return;
    }
    report_.copies += asked.last.size();
    report_.filling += asked.members.filling;
    for (const auto& [node, hash] : asked.last) {
      report_.blocks += hash.blocks();
      report_.block_bytes += hash.block_bytes();
    }
    // One that was asked so often is not waited for at every other arc.
    given_up_.insert(asked.silent.begin(), asked.silent.end());
    for (const auto& node : asked.members.nodes)
      if (given_up_.contains(node.text())) found(Finding::Kind::no_answer, arc, node.text());
    for (const auto& node : asked.copies.with_other_records()) found(Finding::Kind::records_differ, arc, node);
    for (const auto& [node, bad] : asked.copies.bad_blocks())
      for (const auto& block : bad) found(Finding::Kind::block_bad, arc, node, block);
    // Those that answered are compared, whoever else did not.
    for (const auto& node : asked.silent) asked.nodes.erase(node);
    if (asked.copies.records(asked.nodes) == Copies::Verdict::changing) found(Finding::Kind::changing, arc);
    if (asked.copies.blocks(asked.nodes) != Copies::Verdict::equal) co_await block_by_block(arc, endpoints(asked));
  }

  /// Which blocks they are. Silence about some of them is no finding of its own: the hashes did differ.
  awaitable<void> block_by_block(ArcNumber arc, std::vector<Endpoint> nodes) {
    Request request;
    request.header.mutable_block_sums()->set_arc(arc);
    auto replies = co_await ask_all(client_, nodes, std::move(request), kCallTimeout);
    std::vector<wire::BlockSums> sums;
    for (const auto& reply : replies) sums.push_back(reply ? reply->header.block_sums() : wire::BlockSums());
    auto buckets = differing_buckets(sums);
    std::size_t before = report_.findings.size();
    for (std::size_t from = 0; from < buckets.size(); from += kBucketsAtOnce) {
      Request names;
      names.header.mutable_block_sums()->set_arc(arc);
      for (std::size_t i = from; i < std::min(buckets.size(), from + kBucketsAtOnce); ++i)
        names.header.mutable_block_sums()->add_buckets(buckets[i]);
      auto lists = co_await ask_all(client_, nodes, std::move(names), kCallTimeout);
      std::map<std::string, Held> held;
      for (std::size_t i = 0; i < lists.size(); ++i) {
        if (!lists[i]) continue;
        auto& blocks = held[nodes[i].text()];
        for (const auto& block : lists[i]->header.block_sums().blocks()) blocks[block.block()] = block.length();
      }
      std::ranges::move(compare_blocks(arc, held), std::back_inserter(report_.findings));
    }
    // They agree by now, or cannot be told apart: no proof either way.
    if (report_.findings.size() == before && !buckets.empty()) found(Finding::Kind::changing, arc);
  }

  RingClient& client_;
  Depth depth_;
  std::map<ArcNumber, Members> members_;
  std::set<std::string> given_up_;  ///< Nodes that did not answer, however often they were asked.
  bool leaderless_ = false;         ///< Some arc had no leader all the while.
  Report report_;
};

json::object to_json(const Report& report, bool quick) {
  json::array findings;
  for (const auto& finding : report.findings)
    findings.push_back(json::object{
        {"arc", finding.arc}, {"kind", name_of(finding.kind)}, {"node", utf8(finding.node)}, {"block", finding.block}});
  return {{"arcs", report.arcs},
          {"copies", report.copies},
          {"being_filled", report.filling},
          {"blocks", report.blocks},
          {"block_bytes", report.block_bytes},
          {"blocks_read", !quick},
          {"equal", report.findings.empty()},
          {"findings", std::move(findings)}};
}

void print(const Report& report, bool quick) {
  std::size_t printed = 0, single = 0;
  std::map<std::string, std::size_t> silent;
  for (const auto& finding : report.findings) {
    if (finding.kind == Finding::Kind::no_answer) {
      ++silent[finding.node];
      continue;
    }
    if (++single > kFindingsPrinted) continue;
    ++printed;
    fmt::print("arc {}: {}{}\n", finding.arc, finding.node.empty() ? "" : printable(finding.node) + " ",
               text_of(finding));
  }
  if (single > printed) fmt::print("and {} more: --json has all\n", single - printed);
  for (const auto& [node, arcs] : silent)
    fmt::print("{} {} ({} arcs)\n", printable(node), text_of({.kind = Finding::Kind::no_answer}), arcs);
  fmt::print("{} arcs, {} copies of them, {} blocks with {}{}: {}\n", report.arcs, report.copies, report.blocks,
             human(report.block_bytes), quick ? ", not read" : ", all read",
             report.findings.empty() ? "all equal" : fmt::format("{} findings", report.findings.size()));
  if (report.filling > 0) fmt::print("{} copies are being made and were left out\n", report.filling);
}

awaitable<Result<int>> verify(RingClient& client, bool quick, bool as_json) {
  Verify verify(client, quick ? Verify::Depth::hashes : Verify::Depth::every_byte);
  auto done = co_await verify.all();
  show_status("");
  CO_TRY_VOID(std::move(done));
  if (as_json)
    print_json(to_json(verify.report(), quick));
  else
    print(verify.report(), quick);
  co_return verify.report().findings.empty() ? kDone : kFailed;
}
}  // namespace

void add_verify(Program& program) {
  auto quick = std::make_shared<bool>(false);
  auto* sub =
      add(program,
          {.name = "verify",
           .what = "Compares all copies of everything, and reads every block",
           .example = "chordfs verify --via 6000",
           .json = "one object: arcs, copies, being_filled, blocks, block_bytes, blocks_read (bool), equal (bool),\n"
                   "findings[arc, kind (no_leader, no_answer, changing, records_differ, block_missing,\n"
                   "block_differs, block_bad), node, block]. Ends with 1 also if something was found"},
          [quick](const Shared& shared) {
            return with_client(shared, [&](RingClient& client) { return verify(client, *quick, shared.json); });
          });
  sub->add_flag("--quick", *quick, "Compare hashes only; read no block");
}

}  // namespace chordfs::cli
