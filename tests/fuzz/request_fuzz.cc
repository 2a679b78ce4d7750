// Any requests from anyone, to a whole node in a virtual world: each is answered or runs into its time, and the node
// goes on. An input is a sequence of requests, each with a payload.
#include "tests/fuzz/cuts.h"
#include "tests/fuzz/node_world.h"
#include "tests/fuzz/quiet.h"

namespace chordfs {
namespace {

constexpr std::size_t kRequestsMax = 32;

std::vector<Request> requests_in(fuzz::Cuts& input) {
  std::vector<Request> requests;
  while (!input.empty() && requests.size() < kRequestsMax) {
    const auto header = input.text();
    Request request;
    request.payload = Bytes::copy(input.text());
    // A header that does not parse never gets as far as here.
    if (request.header.ParseFromArray(header.data(), static_cast<int>(header.size())))
      requests.push_back(std::move(request));
  }
  return requests;
}

}  // namespace
}  // namespace chordfs

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace chordfs;
  fuzz::be_quiet();
  fuzz::Cuts input(data, size);
  auto requests = requests_in(input);
  if (requests.empty()) return -1;  // Not worth keeping.
  fuzz::NodeWorld world;
  CHECK(world.start());
  world.send(std::move(requests));
  return 0;
}
