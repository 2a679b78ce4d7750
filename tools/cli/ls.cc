#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "tools/cli/session.h"
#include "tools/cli/text.h"
#include "tools/cli/tree.h"
#include "tools/cli/where.h"

namespace chordfs::cli {

namespace json = boost::json;

namespace {
struct List {
  std::string path = "/";
  bool details = false;
  bool json = false;
};

struct Line {
  std::string name;
  wire::FileType type = wire::FILE_NONE;
  wire::Attr attr;  ///< Only if details are wanted.
  std::string target;
};

awaitable<Result<void>> add_details(FileSystem& files, Line& line, Ino ino, std::optional<wire::Attr> known) {
  auto attr = known ? Result<wire::Attr>(std::move(*known)) : co_await files.get_attributes(ino);
  CO_TRY(line.attr, std::move(attr));
  if (line.type != wire::FILE_SYMLINK) co_return Result<void>();
  CO_TRY(line.target, co_await files.read_link(ino));
  co_return Result<void>();
}

bool removed_meanwhile(Errc code) {
  return code == Errc::not_found || code == Errc::bad_handle;
}

awaitable<Result<std::vector<Line>>> lines_of(FileSystem& files, const List& list, wire::Attr attr) {
  std::vector<Line> lines;
  bool details = list.details || list.json;
  auto add = [&](DirectoryEntry entry) -> awaitable<Result<void>> {
    Line line{.name = entry.name, .type = entry.type, .attr = {}, .target = {}};
    if (details) {
      auto got = co_await add_details(files, line, entry.ino, entry.attr);
      if (!got && removed_meanwhile(got.code())) co_return Result<void>();
      CO_TRY_VOID(std::move(got));
    }
    lines.push_back(std::move(line));
    co_return Result<void>();
  };
  auto listed = Result<void>();
  if (attr.type() == wire::FILE_DIRECTORY)
    listed = co_await for_each_entry(files, attr.ino(), add);
  else
    listed = co_await add({.name = list.path, .ino = attr.ino(), .type = attr.type(), .cookie = 0, .attr = attr});
  if (!listed) co_return about(list.path, listed.error());
  std::ranges::sort(lines, {}, &Line::name);
  co_return lines;
}

std::string shown(const Line& line) {
  return printable(line.name) + (line.type == wire::FILE_DIRECTORY ? "/" : "");
}

void print(const std::vector<Line>& lines, bool details) {
  for (const auto& line : lines) {
    if (!details) {
      fmt::print("{}\n", shown(line));
      continue;
    }
    const auto& attr = line.attr;
    fmt::print("{} {:>3} {:>5} {:>5} {:>10} {} {}{}\n", mode_text(type_letter(line.type), attr.mode()), attr.nlink(),
               attr.uid(), attr.gid(), human(attr.size()), date(attr.mtime()), shown(line),
               line.target.empty() ? "" : " -> " + printable(line.target));
  }
}

json::object to_json(const Line& line) {
  const auto& attr = line.attr;
  json::object object{{"name", utf8(line.name)},
                      {"type", type_name(line.type)},
                      {"ino", fmt::format("{:016x}", attr.ino())},
                      {"mode", fmt::format("{:04o}", attr.mode())},
                      {"uid", attr.uid()},
                      {"gid", attr.gid()},
                      {"links", attr.nlink()},
                      {"size", attr.size()},
                      {"mtime", attr.mtime()}};
  if (!is_utf8(line.name)) object["name_hex"] = hex(line.name);
  if (line.type == wire::FILE_SYMLINK) object["target"] = utf8(line.target);
  return object;
}

awaitable<Result<int>> list_path(FileSystem& files, List list) {
  CO_TRY(auto attr, co_await resolve(files, list.path, LastLink::follow));
  CO_TRY(auto lines, co_await lines_of(files, list, std::move(attr)));
  if (!list.json) {
    print(lines, list.details);
    co_return kDone;
  }
  json::array entries;
  for (const auto& line : lines) entries.push_back(to_json(line));
  print_json(json::object{{"path", utf8(list.path)}, {"entries", std::move(entries)}});
  co_return kDone;
}
}  // namespace

void add_ls(Program& program) {
  auto list = std::make_shared<List>();
  auto* sub = add(
      program,
      {.name = "ls",
       .what = "Lists a directory of the ring, by name",
       .example = "chordfs ls -l /",
       .json = "one object: path, entries[name, type (file, directory, symlink, ...), ino, mode, uid, gid,\n"
               "links, size, mtime (nanoseconds since 1970), target of a symlink, name_hex if not UTF-8]"},
      [list](Shared shared) {
        list->path = path_of(list->path, shared);
        list->json = shared.json;
        return with_files(shared, Opens::nothing, [&](FileSystem& files, Undo&) { return list_path(files, *list); });
      });
  sub->add_option("PATH", list->path, "A path of the ring (default: its root)");
  sub->add_flag("-l,--long", list->details, "Mode, links, owner, size and time as well");
}

}  // namespace chordfs::cli
