#include "tools/sim/worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace chordfs {

namespace {
constexpr std::uint64_t kWritesAtOnceMax = 3;
constexpr Duration kBetweenWrites = 250ms;
/// Less than kWriterGrace by a clock that runs at 1.25.
constexpr Duration kWaitedFor = 1500ms;
constexpr std::size_t kFilesMax = 12;
constexpr std::size_t kDirectoriesMax = 3;
constexpr std::size_t kInlineContentsMax = 3000;
constexpr std::size_t kContentsMax = 300U << 10;
constexpr std::size_t kWriteBytes = 64U << 10;
constexpr std::size_t kNamesMax = 3;
constexpr std::size_t kListEntries = 40;
constexpr std::size_t kRegisterBytes = 64, kLargeRegisterBytes = 6000;
constexpr Caller kCaller{1000, 1000};

NewObject new_object(wire::FileType type) {
  return {.type = type, .mode = type == wire::FILE_DIRECTORY ? 0755U : 0644U, .target = {}};
}
}  // namespace

Workload::Worker::Worker(Workload& load, Runtime& runtime, FileSystem& files, std::uint32_t number)
    : Timed(load),
      runtime_(runtime),
      files_(files),
      number_(number),
      rng_(Rng::derived(load.ring_.options().seed, "worker", number)) {}

awaitable<void> Workload::Worker::prepare() {
  auto name = fmt::format("worker{}", number_);
  begin();
  auto made = co_await files_.make(kRootIno, name, new_object(wire::FILE_DIRECTORY), kCaller);
  if (!judge("prepare", made)) {
    load_.ring_.violation("a worker cannot begin: " + made.error().text());
    co_return;
  }
  home_ = load_.oracle_.add(
      {.ino = made->ino(), .type = wire::FILE_DIRECTORY, .names = {{Oracle::kRoot, name}}, .contents = {}});
}

awaitable<void> Workload::Worker::run() {
  while (!load_.stopping_) {
    co_await runtime_.sleep(runtime_.jitter(load_.options_.think, 0.9));
    begin();
    co_await one_operation();
  }
}

awaitable<void> Workload::Worker::one_operation() {
  const auto dice = rng_.below(100);
  if (dice < 22) return create_file();
  if (dice < 34) return overwrite();
  if (dice < 42) return modify();
  if (dice < 46) return resize();
  if (dice < 60) return read_back();
  if (dice < 70) return unlink();
  if (dice < 75) return link();
  if (dice < 87) return rename();
  if (dice < 90) return make_directory();
  if (dice < 92) return remove_directory();
  if (dice < 95) return move_directory();
  return list_directory();
}

// ---- What to do it with ----

std::string Workload::Worker::new_name() {
  return fmt::format("w{}-{}", number_, names_++);
}

/// Half are small enough for the record; every byte tells where it belongs, and no two contents are alike.
std::string Workload::Worker::new_contents() {
  const auto size = 1 + rng_.below(rng_.chance(0.6) ? kInlineContentsMax : kContentsMax);
  std::string contents(size, '\0');
  const auto tag = rng_.next();
  // Bytes, a page at a time: the compiler makes vectors of that.
  constexpr std::size_t kPage = 256;
  std::array<std::uint8_t, kPage> tags;
  for (std::size_t i = 0; i < kPage; ++i) tags[i] = static_cast<std::uint8_t>(tag >> (i % 8 * 8));
  for (std::size_t begin = 0; begin < size; begin += kPage) {
    const auto page = static_cast<std::uint8_t>(begin / kPage);
    const auto bytes = std::min(kPage, size - begin);
    for (std::size_t i = 0; i < bytes; ++i)
      contents[begin + i] = static_cast<char>(static_cast<std::uint8_t>(i * 131 + page) ^ tags[i]);
  }
  return contents;
}

std::optional<ObjectId> Workload::Worker::any_file(bool certain) {
  std::vector<ObjectId> fit;
  for (auto id : own_) {
    const auto& object = load_.oracle_[id];
    if (object.type == wire::FILE_REGULAR && !object.in_doubt && !object.names.empty() &&
        (!certain || object.certain()))
      fit.push_back(id);
  }
  if (fit.empty()) return std::nullopt;
  return fit[rng_.below(fit.size())];
}

std::optional<ObjectId> Workload::Worker::any_directory() {
  std::vector<ObjectId> fit;
  for (auto id : own_) {
    const auto& object = load_.oracle_[id];
    if (object.type == wire::FILE_DIRECTORY && !object.in_doubt && !object.names.empty()) fit.push_back(id);
  }
  if (fit.empty()) return std::nullopt;
  return fit[rng_.below(fit.size())];
}

ObjectId Workload::Worker::any_parent() {
  if (rng_.chance(0.3)) return load_.shared_;
  auto own = any_directory();
  return own && rng_.chance(0.4) ? *own : home_;
}

Place Workload::Worker::any_name(ObjectId id) {
  const auto& names = load_.oracle_[id].names;
  return *std::next(names.begin(), static_cast<std::ptrdiff_t>(rng_.below(names.size())));
}

void Workload::Worker::settle(const Doubt::State& state) {
  for (const auto& [id, names] : state) {
    load_.oracle_[id].names = names;
    if (names.empty()) std::erase(own_, id);
  }
}

// ---- Contents ----

awaitable<bool> Workload::Worker::write_and_close(Handle handle, std::uint64_t offset, std::string bytes) {
  bool all = true;
  const auto whole = Bytes::take(std::move(bytes));
  for (std::size_t done = 0; done < whole.size() && all; done += kWriteBytes) {
    auto written = co_await files_.write(handle, offset + done, whole.slice(done, kWriteBytes));
    all = judge("write", written);
  }
  auto flushed = co_await files_.flush(handle);
  all = judge("flush", flushed) && all;
  co_await files_.release(handle);
  co_return all;
}

void Workload::Worker::wrote(ObjectId id, bool acknowledged, std::string whole, bool mixes) {
  auto& object = load_.oracle_[id];
  if (acknowledged) {
    object.contents.assign(1, std::move(whole));
    object.any_contents = false;
    return;
  }
  object.contents.push_back(std::move(whole));
  object.any_contents |= mixes;
}

awaitable<void> Workload::Worker::create_file() {
  if (own_.size() >= kFilesMax) co_return;
  const Place place{any_parent(), new_name()};
  auto created = co_await files_.create(ino(place.dir), place.name, new_object(wire::FILE_REGULAR), kCaller);
  Object object{.ino = 0, .names = {}, .contents = {""}};
  if (!judge("create", created)) {
    auto id = load_.oracle_.add(std::move(object));
    load_.oracle_.doubt({{{{id, {}}}, {{id, {place}}}}});
    co_return;
  }
  object.ino = created->attr.ino();
  object.names = {place};
  auto id = load_.oracle_.add(std::move(object));
  own_.push_back(id);
  auto contents = new_contents();
  bool mixes = contents.size() > kInlineBytesMax;
  bool done = co_await write_and_close(created->handle, 0, contents);
  wrote(id, done, std::move(contents), mixes);
}

awaitable<void> Workload::Worker::overwrite() {
  auto id = any_file(false);
  if (!id) co_return;
  auto opened = co_await files_.open(ino(*id), true);
  if (!judge("open to overwrite", opened)) co_return wrote(*id, false, "", false);
  wrote(*id, true, "", false);
  auto contents = new_contents();
  bool mixes = contents.size() > kInlineBytesMax;
  bool done = co_await write_and_close(opened->handle, 0, contents);
  wrote(*id, done, std::move(contents), mixes);
}

awaitable<void> Workload::Worker::modify() {
  auto id = any_file(true);
  if (!id) co_return;
  auto contents = load_.oracle_[*id].contents.front();
  // Inside, at the end, or behind it: then there is a hole.
  const auto offset = rng_.below(contents.size() + 2000);
  const auto piece = new_contents().substr(0, 1 + rng_.below(100'000));
  auto opened = co_await files_.open(ino(*id), false);
  if (!judge("open", opened)) co_return;
  if (opened->attr.size() != contents.size())
    load_.ring_.violation(
        fmt::format("inode {:x} has {} bytes, {} were written", ino(*id), opened->attr.size(), contents.size()));
  contents.resize(std::max(contents.size(), offset + piece.size()));
  std::ranges::copy(piece, contents.begin() + static_cast<std::ptrdiff_t>(offset));
  bool done = co_await write_and_close(opened->handle, offset, piece);
  wrote(*id, done, std::move(contents), true);
}

awaitable<void> Workload::Worker::resize() {
  auto id = any_file(true);
  if (!id) co_return;
  auto contents = load_.oracle_[*id].contents.front();
  contents.resize(rng_.below(contents.size() * 2 + 1));
  SetAttributes set;
  set.size = contents.size();
  auto done = co_await files_.set_attributes(ino(*id), set);
  wrote(*id, judge("truncate", done), std::move(contents), false);
}

awaitable<void> Workload::Worker::read_back() {
  auto id = any_file(false);
  if (!id) co_return;
  auto opened = co_await files_.open(ino(*id), false);
  if (!judge("open to read", opened)) co_return;
  std::string read;
  for (bool more = true; more;) {
    auto piece = co_await files_.read(opened->handle, read.size(), kWriteBytes);
    if (!judge("read", piece)) {
      co_await files_.release(opened->handle);
      co_return;
    }
    more = !piece->empty();
    read += piece->view();
  }
  co_await files_.release(opened->handle);
  const auto& object = load_.oracle_[*id];
  if (object.any_contents || std::ranges::count(object.contents, read) > 0) co_return;
  load_.ring_.violation(
      fmt::format("inode {:x} reads as {} bytes that nobody wrote; {} contents are possible, the last of {}",
                  object.ino, read.size(), object.contents.size(), object.contents.back().size()));
}

// ---- Names ----

awaitable<void> Workload::Worker::unlink() {
  auto id = any_file(false);
  if (!id) co_return;
  auto place = any_name(*id);
  Doubt::State before{{*id, load_.oracle_[*id].names}};
  auto after = before;
  after[*id].erase(place);
  auto done = co_await files_.unlink(ino(place.dir), place.name);
  if (judge("unlink", done)) co_return settle(after);
  std::erase(own_, *id);
  load_.oracle_.doubt({{before, after}});
}

awaitable<void> Workload::Worker::link() {
  auto id = any_file(false);
  if (!id || load_.oracle_[*id].names.size() >= kNamesMax) co_return;
  const Place place{any_parent(), new_name()};
  Doubt::State before{{*id, load_.oracle_[*id].names}};
  auto after = before;
  after[*id].insert(place);
  auto done = co_await files_.link(ino(*id), ino(place.dir), place.name);
  if (judge("link", done)) co_return settle(after);
  std::erase(own_, *id);
  load_.oracle_.doubt({{before, after}});
}

awaitable<void> Workload::Worker::move(Place from, Place to, Rename how, Doubt::State before, Doubt::State after) {
  auto done = co_await files_.rename(ino(from.dir), from.name, ino(to.dir), to.name, how);
  if (judge("rename", done)) co_return settle(after);
  for (const auto& [id, names] : before) std::erase(own_, id);
  load_.oracle_.doubt({{before, after}});
}

awaitable<void> Workload::Worker::rename() {
  auto id = any_file(false);
  if (!id) co_return;
  auto from = any_name(*id);
  auto over = any_file(false);
  if (over && *over != *id && rng_.chance(0.4)) co_return co_await rename_over(*id, from, *over);
  const Place to{any_parent(), new_name()};
  Doubt::State before{{*id, load_.oracle_[*id].names}};
  auto after = before;
  after[*id].erase(from);
  after[*id].insert(to);
  co_await move(from, to, rng_.chance(0.5) ? Rename::plain : Rename::no_replace, before, after);
}

awaitable<void> Workload::Worker::rename_over(ObjectId id, Place from, ObjectId over) {
  auto to = any_name(over);
  Doubt::State before{{id, load_.oracle_[id].names}, {over, load_.oracle_[over].names}};
  auto after = before;
  after[id].erase(from);
  after[id].insert(to);
  after[over].erase(to);
  bool exchange = rng_.chance(0.3);
  if (exchange) after[over].insert(from);
  co_await move(from, to, exchange ? Rename::exchange : Rename::plain, before, after);
}

// ---- Directories ----

awaitable<void> Workload::Worker::make_directory() {
  auto is_directory = [this](ObjectId id) { return load_.oracle_[id].type == wire::FILE_DIRECTORY; };
  if (static_cast<std::size_t>(std::ranges::count_if(own_, is_directory)) >= kDirectoriesMax) co_return;
  const Place place{any_parent(), new_name()};
  auto made = co_await files_.make(ino(place.dir), place.name, new_object(wire::FILE_DIRECTORY), kCaller);
  Object object{.ino = 0, .type = wire::FILE_DIRECTORY, .names = {}, .contents = {}};
  if (!judge("mkdir", made)) {
    auto id = load_.oracle_.add(std::move(object));
    load_.oracle_.doubt({{{{id, {}}}, {{id, {place}}}}});
    co_return;
  }
  object.ino = made->ino();
  object.names = {place};
  own_.push_back(load_.oracle_.add(std::move(object)));
}

awaitable<void> Workload::Worker::remove_directory() {
  auto id = any_directory();
  if (!id || load_.oracle_.is_used(*id)) co_return;
  auto place = any_name(*id);
  Doubt::State before{{*id, load_.oracle_[*id].names}}, after{{*id, {}}};
  auto done = co_await files_.remove_directory(ino(place.dir), place.name);
  if (judge("rmdir", done)) co_return settle(after);
  std::erase(own_, *id);
  load_.oracle_.doubt({{before, after}});
}

awaitable<void> Workload::Worker::move_directory() {
  auto id = any_directory();
  if (!id) co_return;
  const Place to{any_parent(), new_name()};
  if (load_.oracle_.lies_below(to.dir, *id)) co_return;
  Doubt::State before{{*id, load_.oracle_[*id].names}}, after{{*id, {to}}};
  co_await move(any_name(*id), to, Rename::plain, before, after);
}

awaitable<void> Workload::Worker::list_directory() {
  const auto dir = any_parent();
  std::set<std::string> listed;
  std::uint64_t cookie = 0;
  for (;;) {
    auto page = co_await files_.read_directory(ino(dir), cookie, kListEntries, rng_.chance(0.5));
    if (!judge("readdir", page)) co_return;
    if (page->empty()) break;
    cookie = page->back().cookie;
    for (const auto& entry : *page)
      if (!listed.insert(entry.name).second) load_.ring_.violation(entry.name + " is listed twice");
  }
  const auto own_prefix = fmt::format("w{}-", number_);
  for (auto id : own_)
    for (const auto& place : load_.oracle_[id].names)
      if (place.dir == dir && listed.erase(place.name) == 0)
        load_.ring_.violation(fmt::format("{} is missing in the listing of {:x}", place.name, ino(dir)));
  for (const auto& name : listed)
    if (name.starts_with(own_prefix) && !load_.oracle_.may_exist({dir, name}))
      load_.ring_.violation(fmt::format("{} is listed in {:x} and should be gone", name, ino(dir)));
}

// ---- Registers ----

Workload::RegisterWorker::RegisterWorker(Workload& load, Runtime& runtime, FileSystem& files, std::uint32_t number)
    : Timed(load),
      runtime_(runtime),
      files_(files),
      number_(number),
      rng_(Rng::derived(load.ring_.options().seed, "register worker", number)) {}

awaitable<void> Workload::RegisterWorker::run() {
  while (!load_.stopping_) {
    co_await runtime_.sleep(runtime_.jitter(load_.options_.think, 0.9));
    begin();
    const auto which = rng_.below(load_.registers_.size());
    // Some mostly read: whoever writes finds out at once that nobody follows the one whom it asks.
    co_await (rng_.chance(number_ % 3 == 0 ? 0.95 : 0.5) ? read(which) : write(which));
  }
}

/// Once or several times, through one handle: what write(2) has said counts, whoever reads it before it is flushed.
/// Only a mount that cannot commit in good time is waited for no longer (daemon/node/leases.h), and then the flush
/// counts.
awaitable<void> Workload::RegisterWorker::write(std::size_t which) {
  struct Written {
    History::Id id;
    RegisterOperation operation;
    History::Moment then;
  };
  std::vector<Written> written;
  auto& world = load_.ring_.world();
  auto opened = co_await files_.open(load_.registers_[which], false);
  if (!judge("open a register", opened)) co_return;
  bool all = true;
  for (auto left = 1 + rng_.below(kWritesAtOnceMax); all && left > 0; --left) {
    const auto value = fmt::format("<{}.{}>", number_, writes_++);
    RegisterOperation operation{
        .client = number_, .kind = RegisterOperation::Kind::write, .key = std::to_string(which), .value = value};
    begin();
    const auto id = load_.history_.invoke(world.now(), operation);
    auto done = co_await files_.write(opened->handle, 0, Bytes::take(contents_of(which, value)));
    all = judge("write a register", done);
    written.push_back({id, std::move(operation), load_.history_.moment(world.now())});
    if (rng_.chance(0.5)) co_await runtime_.sleep(runtime_.jitter(kBetweenWrites, 0.9));
  }
  begin();
  auto flushed = co_await files_.flush(opened->handle);
  all = judge("flush a register", flushed) && all;
  for (const auto& one : written) {
    // What a flush could not store the mount tries again, behind the program's back and when the file is closed, each
    // time as a write of its own: it may even happen three times.
    if (!all)
      for (int again = 0; again < 2; ++again) load_.history_.invoke(world.now(), one.operation);
    else if (world.now() - one.then.at < kWaitedFor)
      load_.history_.returned(one.then, one.id);
    else
      load_.history_.returned(world.now(), one.id);
  }
  co_await files_.release(opened->handle);
}

std::string Workload::RegisterWorker::contents_of(std::size_t which, const std::string& value) const {
  const auto size = which * 2 >= load_.registers_.size() ? kLargeRegisterBytes : kRegisterBytes;
  std::string contents;
  while (contents.size() < size) contents += value;
  contents.resize(size);
  return contents;
}

/// Some are left open: what others write while they are must be seen all the same.
awaitable<Result<Handle>> Workload::RegisterWorker::handle_of(std::size_t which) {
  if (auto kept = kept_.find(which); kept != kept_.end()) co_return kept->second;
  CO_TRY(auto opened, co_await files_.open(load_.registers_[which], false));
  kept_[which] = opened.handle;
  co_return opened.handle;
}

awaitable<void> Workload::RegisterWorker::read(std::size_t which) {
  auto id =
      load_.history_.invoke(load_.ring_.world().now(),
                            {.client = number_, .kind = RegisterOperation::Kind::read, .key = std::to_string(which)});
  auto handle = co_await handle_of(which);
  if (!judge("open a register", handle)) co_return load_.history_.forget(id);
  auto contents = co_await files_.read(*handle, 0, 2 * kLargeRegisterBytes);
  if (!contents || rng_.chance(0.3)) {
    kept_.erase(which);
    co_await files_.release(*handle);
  }
  if (!judge("read a register", contents)) co_return load_.history_.forget(id);
  std::string value(contents->view().substr(0, contents->view().find('>') + 1));
  for (std::size_t i = 0; i < contents->size(); ++i)
    if (value.empty() || contents->view()[i] != value[i % value.size()]) {
      load_.ring_.violation(fmt::format("register {} is torn: it begins with {} and has {} at {}", which, value,
                                        contents->view().substr(i, 12), i));
      break;
    }
  load_.history_.returned_read(load_.ring_.world().now(), id, std::move(value));
}

}  // namespace chordfs
