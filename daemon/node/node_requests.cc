// One handler for every request: check, call the layer it is for, answer.
#include <spdlog/spdlog.h>

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
  if (!ring.empty() && ring_ && ring != ring_id_.bytes()) {
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
  if (!serving_ && !arcs_) co_return Error{Errc::busy, "this node is starting"};
  switch (header.kind_case()) {
    case wire::Request::kTransaction:
      co_return co_await trees_->transaction(std::move(*header.mutable_transaction()));
    case wire::Request::kOperation:
      co_return co_await trees_->operation(std::move(*header.mutable_operation()));
    case wire::Request::kQuery:
      co_return co_await trees_->query(std::move(*header.mutable_query()));
    case wire::Request::kAssertOpens:
      co_return co_await trees_->assert_opens(std::move(*header.mutable_assert_opens()));
    case wire::Request::kPutBlock:
      co_return co_await put_block(header.put_block(), std::move(request.payload));
    case wire::Request::kGetBlock:
      co_return co_await get_block(header.get_block());
    case wire::Request::kDropBlock:
      co_return co_await drop_blocks(std::move(*header.mutable_drop_block()));
    case wire::Request::kArcHint:
      take_hints(header.arc_hint());
      co_return Reply{};
    case wire::Request::kArcOffer:
      if (header.arc_offer().arc() >= map_.count()) break;
      co_return co_await receiver_->offer(std::move(*header.mutable_arc_offer()));
    case wire::Request::kArcPage:
      co_return co_await receiver_->page(std::move(*header.mutable_arc_page()));
    case wire::Request::kArcAppend:
      co_return co_await receiver_->append(std::move(*header.mutable_arc_append()));
    case wire::Request::kArcTake:
      co_return co_await receiver_->take(std::move(*header.mutable_arc_take()));
    case wire::Request::kStatus:
      co_return co_await status(header.status());
    case wire::Request::kLeave:
      co_return leave();
    default:
      break;
  }
  co_return Error{Errc::bad_message, "a request that this version does not know"};
}

awaitable<Result<Reply>> Node::put_block(wire::PutBlock put, Bytes contents) {
  if (put.block().size() != kBlockIdBytes) co_return Error{Errc::bad_message, "a block identifier of the wrong size"};
  if (contents.empty() || contents.size() > kBlockBytesMax)
    co_return Error{Errc::bad_message, fmt::format("a block of {} bytes", contents.size())};
  CO_TRY_VOID(co_await arcs_->put_block(put.arc(), put.block(), std::move(contents), put.crc(), put.passed_on()));
  co_return Reply{};
}

awaitable<Result<Reply>> Node::get_block(wire::GetBlock get) {
  if (get.block().size() != kBlockIdBytes) co_return Error{Errc::bad_message, "a block identifier of the wrong size"};
  auto read = co_await arcs_->get_block(get.arc(), get.block(), get.offset(), get.length());
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
  CO_TRY_VOID(co_await arcs_->drop_blocks(drop.arc(), {drop.blocks().begin(), drop.blocks().end()}));
  co_return Reply{};
}

void Node::take_hints(const wire::ArcHint& hint) {
  for (auto arc : hint.arcs())
    if (arc < map_.count()) arcs_->set_hint(arc, hint.holder());
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
  for (const auto& arc : arcs_->all()) {
    auto& row = *status.add_arcs();
    row.set_arc(arc->number);
    row.set_applied(arc->applied);
    auto usage = blocks_->usage(arc->number);
    row.set_blocks(usage.blocks);
    switch (arc->status.state()) {
      case disk::ArcStatus::LEADING:
        row.set_state("leader");
        break;
      case disk::ArcStatus::LEARNING:
        row.set_state("learner");
        break;
      default:
        row.set_state("leaving");
        break;
    }
    if (!arc->leads()) {
      *row.mutable_other() = arc->status.other();
      continue;
    }
    if (!request.blocks()) continue;
    wire::Query query;
    query.mutable_arc_usage();
    if (auto counted = co_await ask(*arcs_, arc->number, std::move(query))) {
      row.set_inodes(counted->inodes());
      row.set_bytes(counted->bytes());
      status.set_files_total(status.files_total() + counted->inodes());
    }
  }
  co_return reply;
}

}  // namespace chordfs
