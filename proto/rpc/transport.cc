#include "proto/rpc/transport.h"

#include "proto/base/printable.h"

namespace chordfs {

Result<Reply> answered(Result<Reply> reply) {
  if (reply && reply->header.error() != 0)
    return Error{static_cast<Errc>(reply->header.error()), printable(reply->header.context())};
  return reply;
}

Reply error_reply(const Error& error) {
  Reply reply;
  reply.header.set_error(static_cast<std::uint32_t>(error.code));
  reply.header.set_context(error.context);
  return reply;
}

}  // namespace chordfs
