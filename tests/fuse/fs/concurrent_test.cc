// Operations that meet in the middle: writes during commits, reads during both, sizes that change under them.
#include "tests/fuse/fs/delayed_client.h"
#include "tests/fuse/fs/mounts.h"

namespace chordfs {

namespace {
constexpr std::uint64_t kPrograms = 4;

class Concurrent : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  World world{GetParam()};
  LocalRing ring;
  LocalClient local{world.runtime(), ring};
  DelayedClient client{local, 300ms};
  FileSystem files{client};
  std::function<Result<void>(std::string_view)> sometimes = [this](std::string_view call) -> Result<void> {
    if (call != "put_block" && call != "transact") return {};
    if (world.rng().below(10) != 0) return {};
    return Error{call == "put_block" ? Errc::timed_out : Errc::unavailable, "injected"};
  };

  Ino make(std::string name) {
    auto made = world.run(files.make(kRootIno, std::move(name), {}, {}));
    return made ? made->ino() : 0;
  }
};

/// How many stripes of what size each program has.
struct Shape {
  std::uint64_t stripes, bytes;
};

struct Program {
  FileSystem& files;
  Runtime& runtime;
  Ino ino;
  std::uint64_t index;
  Shape shape;
  Rng rng;
  std::map<std::uint64_t, std::string> written = {};  ///< By stripe: what this program wrote there last.

  std::uint64_t offset(std::uint64_t stripe) const { return (stripe * kPrograms + index) * shape.bytes; }
};

/// What stands in a stripe, with zeros behind the file's end.
std::string padded(const Bytes& bytes, Shape shape) {
  std::string stripe(bytes.view());
  stripe.resize(shape.bytes);
  return stripe;
}

awaitable<void> write_some(std::shared_ptr<Program> me, Handle handle) {
  auto stripe = me->rng.below(me->shape.stripes);
  auto from = me->rng.below(me->shape.bytes);
  auto bytes = pattern(1 + me->rng.below(me->shape.bytes - from), me->rng.next());
  auto done = co_await me->files.write(handle, me->offset(stripe) + from, Bytes::copy(bytes));
  // An error is reported once, and nothing was taken: the next write will do.
  if (!done) {
    EXPECT_TRUE(done.code() == Errc::timed_out || done.code() == Errc::unavailable) << done.error().text();
    co_return;
  }
  auto& written = me->written[stripe];
  written.resize(me->shape.bytes);
  written.replace(from, bytes.size(), bytes);
}

awaitable<void> read_some(std::shared_ptr<Program> me, Handle handle) {
  if (me->written.empty()) co_return;
  auto at = std::next(me->written.begin(), static_cast<std::ptrdiff_t>(me->rng.below(me->written.size())));
  auto stripe = at->first;
  auto expected = at->second;
  auto bytes = co_await me->files.read(handle, me->offset(stripe), me->shape.bytes);
  EXPECT_TRUE(bytes) << bytes.error().text();
  if (bytes) EXPECT_TRUE(padded(*bytes, me->shape) == expected) << "program " << me->index << " stripe " << stripe;
}

/// Writes only its own stripes, and must always read there what it wrote last.
awaitable<void> run_program(std::shared_ptr<Program> me) {
  auto opened = co_await me->files.open(me->ino, false);
  EXPECT_TRUE(opened) << opened.error().text();
  if (!opened) co_return;
  for (int step = 0; step < 300; ++step) {
    auto what = me->rng.below(10);
    if (what < 5)
      co_await write_some(me, opened->handle);
    else if (what < 8)
      co_await read_some(me, opened->handle);
    else if (what < 9)
      std::ignore = co_await me->files.flush(opened->handle);
    else
      co_await me->runtime.sleep(Duration(me->rng.below(1'000'000'000)));
  }
  for (int attempt = 0; attempt < 100; ++attempt)
    if (co_await me->files.flush(opened->handle)) break;
  co_await me->files.release(opened->handle);
}

TEST_P(Concurrent, EachProgramReadsWhatItWrote) {
  ASSERT_TRUE(world.run(files.start("a")));
  for (auto shape : {Shape{1, 700}, Shape{40, 700}, Shape{3000, 700}, Shape{5, 1'500'000}}) {
    auto ino = make("f" + std::to_string(shape.stripes));
    ring.fault = sometimes;
    TaskGroup tasks(world.runtime());
    std::vector<std::shared_ptr<Program>> programs;
    for (std::uint64_t i = 0; i < kPrograms; ++i) {
      programs.push_back(std::make_shared<Program>(files, world.runtime(), ino, i, shape, Rng(GetParam() * 10 + i)));
      tasks.spawn("program", run_program(programs.back()));
    }
    world.run(tasks.join());
    ring.fault = nullptr;

    auto opened = world.run(files.open(ino, false));
    ASSERT_TRUE(opened);
    for (const auto& program : programs)
      for (const auto& [stripe, bytes] : program->written) {
        auto read = world.run(files.read(opened->handle, program->offset(stripe), shape.bytes));
        ASSERT_TRUE(read) << read.error().text();
        EXPECT_TRUE(padded(*read, shape) == bytes) << "program " << program->index << " stripe " << stripe;
      }
    world.run(files.release(opened->handle));
  }
  world.run(files.stop());
}

TEST_P(Concurrent, StopWhileProgramsRun) {
  ASSERT_TRUE(world.run(files.start("a")));
  auto ino = make("f");
  TaskGroup tasks(world.runtime());
  auto program = std::make_shared<Program>(files, world.runtime(), ino, 0, Shape{3000, 700}, Rng(GetParam()));
  auto run = [](std::shared_ptr<Program> me) -> awaitable<void> {
    auto opened = co_await me->files.open(me->ino, false);
    while (opened) {
      auto done = co_await me->files.write(opened->handle, me->offset(me->rng.below(me->shape.stripes)),
                                           Bytes::copy(pattern(700)));
      if (!done && done.code() == Errc::bad_handle) co_return;
      if (me->rng.below(3) == 0) std::ignore = co_await me->files.flush(opened->handle);
      co_await me->runtime.sleep(10ms);
    }
  };
  tasks.spawn("program", run(program));
  tasks.spawn("program", run(program));
  world.run_for(Duration(GetParam() * 400'000'000));
  world.run(files.stop());
  world.run(tasks.join());
}

INSTANTIATE_TEST_SUITE_P(Seeds, Concurrent, ::testing::Range<std::uint64_t>(1, 7));
}  // namespace

}  // namespace chordfs
