// One handler for every request: check, call the layer it is for, answer.
#include <spdlog/spdlog.h>

#include "daemon/arc/raft/defects.h"
#include "daemon/node/node.h"
#include "daemon/node/propose.h"
#include "proto/wire/limits.h"

namespace chordfs {

namespace {
void add_fingers(const Ring& ring, wire::Status& status) {
  for (int index = 0; index < ring.positions(); ++index) {
    auto& table = *status.add_fingers();
    table.set_index(static_cast<std::uint32_t>(index));
    for (const auto& finger : ring.fingers(table.index())) *table.add_fingers() = to_wire(finger);
  }
}
}  // namespace

awaitable<Reply> Node::handle(Request request) {
  const auto& ring = request.header.ring();
  if (!ring.empty() && ring_ && ring != ring_id_.bytes() && !planted(Defect::ring_not_asked)) {
    // Who looks for an arc here is to look elsewhere, not to wait for this one.
    if (ring_id_.empty()) co_return error_reply({Errc::not_owner, "this node is not yet in its ring"});
    co_return error_reply({Errc::wrong_ring, "this node belongs to another ring"});
  }
  std::uint32_t arc = map_.count();
  if (request.header.has_query())
    arc = request.header.query().arc();
  else if (request.header.has_operation())
    arc = request.header.operation().arc();
  else if (request.header.has_put_block())
    arc = request.header.put_block().arc();
  else if (request.header.has_get_block())
    arc = request.header.get_block().arc();
  else if (request.header.has_drop_block())
    arc = request.header.drop_block().arc();
  else if (request.header.has_sync_arc())
    arc = request.header.sync_arc().arc();
  else if (request.header.has_assert_opens())
    arc = request.header.assert_opens().arc();
  else if (request.header.transaction().transaction().parts_size() > 0)
    arc = request.header.transaction().transaction().parts(0).arc();
  auto result = co_await dispatch(std::move(request));
  if (result) co_return std::move(*result);
  auto reply = error_reply(result.error());
  if (result.code() == Errc::not_owner && arcs_)
    if (auto hint = arcs_->hint(arc)) *reply.header.mutable_hint() = std::move(*hint);
  co_return reply;
}

awaitable<Result<Reply>> Node::dispatch(Request request) {
  auto& header = request.header;
  switch (header.kind_case()) {
    case wire::Request::kPing:
    case wire::Request::kNeighbours:
    case wire::Request::kNotify:
    case wire::Request::kFind:
    case wire::Request::kLeaveNotice:
    case wire::Request::kRingInfo:
      if (!ring_) co_return Error{Errc::busy, "this node is starting"};
      co_return co_await ring_->handle(header);
    default:
      break;
  }
  // Whoever looks for an arc had better look elsewhere than wait: while this node was away others lead.
  if (!serving_ && !arcs_) co_return Error{Errc::not_owner, "this node is starting"};
  switch (header.kind_case()) {
    case wire::Request::kTransaction:
      co_return co_await trees_->transaction(std::move(*header.mutable_transaction()));
    case wire::Request::kOperation:
      co_return co_await trees_->operation(std::move(*header.mutable_operation()));
    case wire::Request::kQuery:
      co_return co_await trees_->query(std::move(*header.mutable_query()));
    case wire::Request::kAssertOpens:
      co_return co_await trees_->assert_opens(std::move(*header.mutable_assert_opens()));
    case wire::Request::kRenewLeases:
      co_return co_await trees_->renew_leases(std::move(*header.mutable_renew_leases()));
    case wire::Request::kSyncArc:
      CO_TRY_VOID(co_await arcs_->sync(header.sync_arc().arc()));
      co_return Reply{};
    case wire::Request::kRaft:
      arcs_->receive(header.raft());
      co_return Reply{};
    case wire::Request::kStatus:
      co_return co_await status(header.status());
    case wire::Request::kLeave:
      co_return co_await leave(header.leave().force());
    default:
      co_return co_await dispatch_arcs(std::move(request));
  }
}

/// What members of an arc ask one another, and blocks.
awaitable<Result<Reply>> Node::dispatch_arcs(Request request) {
  auto& header = request.header;
  Reply reply;
  switch (header.kind_case()) {
    case wire::Request::kPutBlock:
      co_return co_await put_block(std::move(*header.mutable_put_block()), std::move(request.payload));
    case wire::Request::kGetBlock:
      co_return co_await get_block(header.get_block());
    case wire::Request::kDropBlock:
      co_return co_await drop_blocks(std::move(*header.mutable_drop_block()));
    case wire::Request::kArcPage:
      co_return co_await arcs_->page(std::move(*header.mutable_arc_page()));
    case wire::Request::kArcView:
      co_return arcs_->view(header.arc_view());
    case wire::Request::kArcHash:
      co_return co_await arcs_->hash(header.arc_hash());
    case wire::Request::kBlockSums: {
      CO_TRY(*reply.header.mutable_block_sums(), arcs_->copies().sums(header.block_sums()));
      co_return reply;
    }
    case wire::Request::kCompareBlocks: {
      CO_TRY(*reply.header.mutable_compare_blocks(),
             co_await arcs_->copies().compare(std::move(*header.mutable_compare_blocks())));
      co_return reply;
    }
    default:
      break;
  }
  co_return Error{Errc::bad_message, "a request that this version does not know"};
}

awaitable<Result<Reply>> Node::put_block(wire::PutBlock put, Bytes contents) {
  if (put.block().size() != kBlockIdBytes) co_return Error{Errc::bad_message, "a block identifier of the wrong size"};
  if (contents.empty() || contents.size() > kBlockBytesMax)
    co_return Error{Errc::bad_message, fmt::format("a block of {} bytes", contents.size())};
  CO_TRY_VOID(co_await (put.passed_on() ? arcs_->copies().put_here(std::move(put), std::move(contents))
                                        : arcs_->put_block(put.arc(), put.block(), std::move(contents), put.crc())));
  co_return Reply{};
}

awaitable<Result<Reply>> Node::get_block(wire::GetBlock get) {
  if (get.block().size() != kBlockIdBytes) co_return Error{Errc::bad_message, "a block identifier of the wrong size"};
  auto read = co_await arcs_->copies().get(get.arc(), get.block(), get.offset(), get.length(),
                                           get.here() ? Copies::Look::here : Copies::Look::anywhere);
  // Programs only see an I/O error: here it is said which file of which disk it was.
  if (read.code() == Errc::corrupt || read.code() == Errc::io_error) spdlog::error("{}", read.error().text());
  CO_TRY(auto part, std::move(read));
  Reply reply;
  reply.header.mutable_block()->set_crc(crc32c(part.bytes.view()));
  reply.header.mutable_block()->set_block_length(part.block_length);
  reply.payload = std::move(part.bytes);
  co_return reply;
}

awaitable<Result<Reply>> Node::drop_blocks(wire::DropBlock drop) {
  std::vector<std::string> blocks(drop.blocks().begin(), drop.blocks().end());
  CO_TRY_VOID(co_await (drop.passed_on() ? arcs_->copies().drop(drop.arc(), std::move(blocks), Copies::Drop::passed_on)
                                         : arcs_->drop_blocks(drop.arc(), std::move(blocks))));
  co_return Reply{};
}

awaitable<Result<Reply>> Node::status(wire::StatusRequest request) {
  // Only the farewell to `chordfs leave` is still to be said.
  if (left_) co_return Error{Errc::not_owner, "this node has left the ring"};
  Reply reply;
  auto& status = *reply.header.mutable_status();
  *status.mutable_peer() = self_;
  status.set_version(config_.version);
  status.set_leaving(leaving_);
  for (auto& view : ring_->neighbours()) *status.add_positions() = std::move(view);
  *status.mutable_lookups() = to_wire(ring_->lookups());
  if (request.fingers()) add_fingers(*ring_, status);
  CO_TRY(auto space, co_await disk_.space());
  status.set_disk_total(space.total);
  status.set_disk_free(space.free);
  status.set_disk_used(space.used);
  status.set_replicas(static_cast<std::uint32_t>(ring_->replicas()));
  status.set_relaxed(ring_->relaxed());
  status.set_zone(config_.zone);
  arcs_->add_status(status);
  if (request.blocks())
    for (auto& row : *status.mutable_arcs()) {
      if (row.state() != "leader") continue;
      wire::Query query;
      query.mutable_arc_usage();
      if (auto counted = co_await ask(*arcs_, row.arc(), std::move(query))) {
        row.set_inodes(counted->inodes());
        row.set_bytes(counted->bytes());
        status.set_files_total(status.files_total() + counted->inodes());
      }
    }
  co_return reply;
}

}  // namespace chordfs
