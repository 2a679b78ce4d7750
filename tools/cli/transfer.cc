#include "tools/cli/transfer.h"

#include "tools/cli/tree.h"

namespace chordfs::cli {

namespace {
awaitable<Result<void>> read_pieces(FileSystem& files, std::string path, Handle handle, std::uint64_t offset,
                                    const TakePiece& take) {
  for (;;) {
    auto piece = co_await files.read(handle, offset, kPieceBytes);
    if (!piece) co_return about(path, piece.error());
    if (piece->empty()) co_return Result<void>();
    auto size = piece->size();
    CO_TRY_VOID(co_await take(offset, std::move(*piece)));
    offset += size;
  }
}

awaitable<Result<void>> write_pieces(FileSystem& files, std::string path, Handle handle, LocalSource& source,
                                     const Reached& reached) {
  for (;;) {
    CO_TRY(auto piece, co_await source.next());
    if (!piece) co_return Result<void>();
    auto written = co_await files.write(handle, piece->offset, std::move(piece->bytes));
    if (!written) co_return about(path, written.error());
    co_await reached(source.end());
  }
}

/// What is written now is committed; the size, if the source ends in a hole; the time.
awaitable<Result<void>> complete(FileSystem& files, const Opened& opened, const LocalSource& source) {
  CO_TRY_VOID(co_await files.flush(opened.handle));
  if (!source.size()) co_return co_await files.sync(opened.handle, opened.attr.ino());
  SetAttributes set;
  set.mtime = mtime_of(source.status());
  CO_TRY(auto attr, co_await files.get_attributes(opened.attr.ino()));
  if (attr.size() != source.end()) set.size = source.end();
  CO_TRY_VOID(co_await files.set_attributes(opened.attr.ino(), set));
  co_return co_await files.sync(opened.handle, opened.attr.ino());
}
}  // namespace

awaitable<void> Pace::reached(std::uint64_t bytes) {
  if (rate_ == 0) co_return;
  // Not in one piece: a rate of one byte a second must not overflow Duration.
  constexpr std::uint64_t kYear = 365 * 24 * 3600;
  auto seconds = std::min(static_cast<double>(bytes) / static_cast<double>(rate_), static_cast<double>(kYear));
  auto due = begun_ + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
  if (due > runtime_.now()) co_await runtime_.sleep(due - runtime_.now());
}

awaitable<Result<void>> read_all(FileSystem& files, std::string path, Ino ino, std::uint64_t offset, TakePiece take) {
  auto opened = co_await files.open(ino, false);
  if (!opened) co_return about(path, opened.error());
  auto done = co_await read_pieces(files, path, opened->handle, offset, take);
  co_await files.release(opened->handle);
  co_return done;
}

awaitable<Result<void>> write_all(FileSystem& files, std::string path, Ino dir, std::string name, LocalSource& source,
                                  Reached reached) {
  auto mode = source.size() ? mode_of(source.status()) : 0666U & ~umask_now();
  NewObject object{.type = wire::FILE_REGULAR, .mode = mode, .rdev = 0, .target = {}};
  auto opened = co_await files.create(dir, std::move(name), object, caller());
  if (!opened) co_return about(path, opened.error());
  auto done = co_await write_pieces(files, path, opened->handle, source, reached);
  if (done) {
    auto completed = co_await complete(files, *opened, source);
    if (!completed) done = about(path, completed.error());
  }
  // If it failed, the name is removed first, so that closing it commits nothing: see Undo.
  if (done) co_await files.release(opened->handle);
  co_return done;
}

}  // namespace chordfs::cli
