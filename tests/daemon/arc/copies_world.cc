#include "tests/daemon/arc/copies_world.h"

#include <algorithm>

#include "proto/base/check.h"
#include "proto/rpc/endpoint.h"

namespace chordfs::test {

class CopiesWorld::NodeProgram final : public Program {
 public:
  NodeProgram(CopiesWorld& world, int number, Runtime& runtime, Transport& transport)
      : world_(world),
        number_(number),
        runtime_(runtime),
        transport_(transport),
        disk_(world.disk(number).open(runtime)) {}

  awaitable<void> run() override {
    auto opened = co_await BlockStore::open(*disk_);
    CHECK(opened, "{}", opened.error().text());
    blocks_ = std::move(*opened);
    Copies::Hooks hooks;
    hooks.call = [this](wire::Peer to, Request request, Duration timeout) {
      return transport_.call(endpoint_of(to), std::move(request), timeout);
    };
    hooks.members = [this](ArcNumber arc) { return arc < world_.arcs ? world_.members(number_) : std::nullopt; };
    copies_ = std::make_unique<Copies>(runtime_, *blocks_, std::move(hooks));
    copies_->start();
    copies_->changed(kArc);
    transport_.serve([this](Request request) { return serve(std::move(request)); });
  }
  awaitable<void> stop() override {
    if (copies_) co_await copies_->stop();
  }

  Copies& copies() { return *copies_; }
  BlockStore& blocks() { return *blocks_; }
  bool ready() const { return copies_ != nullptr; }

 private:
  awaitable<Reply> serve(Request request) {
    auto reply = co_await answer(std::move(request));
    co_return reply ? std::move(*reply) : error_reply(reply.error());
  }

  awaitable<Result<Reply>> answer(Request request) {
    Reply reply;
    if (request.header.has_put_block()) {
      auto& put = *request.header.mutable_put_block();
      if (put.passed_on()) {
        CO_TRY_VOID(co_await copies_->put_here(std::move(put), std::move(request.payload)));
      } else {
        CO_TRY_VOID(co_await copies_->put(put.arc(), put.block(), std::move(request.payload), put.crc()));
      }
    } else if (request.header.has_get_block()) {
      const auto& get = request.header.get_block();
      CO_TRY(auto part, co_await copies_->get(get.arc(), get.block(), get.offset(), get.length(),
                                              get.here() ? Copies::Look::here : Copies::Look::anywhere));
      reply.header.mutable_block()->set_crc(crc32c(part.bytes.view()));
      reply.header.mutable_block()->set_block_length(part.block_length);
      reply.payload = std::move(part.bytes);
    } else if (request.header.has_drop_block()) {
      const auto& drop = request.header.drop_block();
      CO_TRY_VOID(co_await copies_->drop(drop.arc(), {drop.blocks().begin(), drop.blocks().end()},
                                         drop.passed_on() ? Copies::Drop::passed_on : Copies::Drop::everywhere));
    } else if (request.header.has_block_sums()) {
      CO_TRY(*reply.header.mutable_block_sums(), copies_->sums(request.header.block_sums()));
    } else if (request.header.has_compare_blocks()) {
      CO_TRY(*reply.header.mutable_compare_blocks(), co_await copies_->compare(request.header.compare_blocks()));
    }
    co_return reply;
  }

  CopiesWorld& world_;
  const int number_;
  Runtime& runtime_;
  Transport& transport_;
  std::unique_ptr<Disk> disk_;
  std::unique_ptr<BlockStore> blocks_;
  std::unique_ptr<Copies> copies_;
};

CopiesWorld::CopiesWorld(int nodes, std::uint64_t seed) : world_(std::make_unique<World>(seed)) {
  nodes_.resize(nodes);
  for (int n = 0; n < nodes; ++n) {
    auto& node = nodes_[n];
    node.disk = std::make_unique<SimDisk>(world_->runtime());
    node.host = &world_->add_host({.program = [this, n](Runtime& runtime, Transport& transport) {
      return std::make_unique<NodeProgram>(*this, n, runtime, transport);
    }});
    node.host->on_death([disk = node.disk.get()](SimHost::Death death) {
      disk->crash(death == SimHost::Death::machine ? Crash::power_loss : Crash::process_kill);
    });
  }
  client_ = &world_->add_host({.program = [](Runtime&, Transport&) { return std::make_unique<Program>(); }});
  client_->start();
}

std::string CopiesWorld::id(int block) {
  std::string bytes(20, 'i');
  append_u32(bytes, static_cast<std::uint32_t>(block));
  return bytes;
}

std::string CopiesWorld::contents(int block, std::size_t size) {
  std::string text(size, static_cast<char>('a' + block % 26));
  if (size >= 4) text.replace(0, 4, id(block).substr(20));
  return text;
}

Copies& CopiesWorld::copies(int n) {
  return host(n).program_as<NodeProgram>().copies();
}

BlockStore& CopiesWorld::blocks(int n) {
  return host(n).program_as<NodeProgram>().blocks();
}

Replica CopiesWorld::replica(int n) {
  return {.node = Uuid(0x6e6f6465, static_cast<std::uint64_t>(n) + 1),
          .at = {"10.0.0." + std::to_string(n + 1), 4100},
          .generation = {1, 1}};
}

ArcView CopiesWorld::view(const Known& known) {
  ArcView view;
  for (int n : known.voters) view.voters.push_back(replica(n));
  for (int n : known.old_voters) view.old_voters.push_back(replica(n));
  for (int n : known.learners) view.learners.push_back(replica(n));
  return view;
}

std::optional<Copies::Members> CopiesWorld::members(int n) {
  auto at = instead.find(n);
  const auto& mine = at == instead.end() ? known : at->second;
  Copies::Members members{view(mine), mine.term, mine.index, replica(n), mine.leader == n};
  if (!members.view.has(members.self)) return std::nullopt;
  for (int m = 0; m < static_cast<int>(nodes_.size()); ++m)
    if (!not_live.contains(m)) members.live.insert(replica(m).node);
  return members;
}

void CopiesWorld::start(int n) {
  CHECK(host(n).endpoint() == replica(n).at);
  host(n).start();
  CHECK(world_->run_until([&] { return host(n).program_as<NodeProgram>().ready(); }, 60s));
}

void CopiesWorld::changed() {
  for (int n = 0; n < static_cast<int>(nodes_.size()); ++n)
    if (host(n).alive() && host(n).program_as<NodeProgram>().ready()) copies(n).changed(kArc);
}

Result<Reply> CopiesWorld::call(int to, Request request, Duration timeout) {
  return answered(world_->run(client_->transport().call(host(to).endpoint(), std::move(request), timeout)));
}

Request CopiesWorld::put_request(int block, std::size_t size) {
  Request request;
  auto& put = *request.header.mutable_put_block();
  put.set_arc(kArc);
  put.set_block(id(block));
  put.set_crc(crc32c(contents(block, size)));
  request.payload = Bytes::take(contents(block, size));
  return request;
}

Result<void> CopiesWorld::put(int to, int block, std::size_t size) {
  TRY_VOID(call(to, put_request(block, size)));
  return {};
}

Result<std::string> CopiesWorld::get(int from, int block, bool here) {
  Request request;
  auto& get = *request.header.mutable_get_block();
  get.set_arc(kArc);
  get.set_block(id(block));
  get.set_length(kBlockBytesMax);
  get.set_here(here);
  TRY(auto reply, call(from, std::move(request)));
  return std::string(reply.payload.view());
}

Result<void> CopiesWorld::drop(int at, std::vector<int> dropped) {
  Request request;
  request.header.mutable_drop_block()->set_arc(kArc);
  for (int block : dropped) request.header.mutable_drop_block()->add_blocks(id(block));
  TRY_VOID(call(at, std::move(request)));
  return {};
}

void CopiesWorld::place(int n, int block, std::size_t size) {
  auto text = contents(block, size);
  auto crc = crc32c(text);
  auto placed = world_->run(blocks(n).put(kArc, id(block), Bytes::take(std::move(text)), crc));
  CHECK(placed, "{}", placed.error().text());
}

bool CopiesWorld::on_disk(int n, int block) {
  auto files = disk(n).files();
  return std::ranges::any_of(files,
                             [&](const FileInfo& file) { return file.name == BlockName{kArc, id(block)}.file(); });
}

bool CopiesWorld::wait_until_holds(int n, int block, Duration limit) {
  return world_->run_until([&] { return holds(n, block); }, limit);
}

}  // namespace chordfs::test
