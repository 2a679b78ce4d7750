#include "fuse/fs/xattrs.h"

#include <algorithm>

#include "proto/wire/acl.h"

namespace chordfs::fs {

namespace {
/// RFC 3629, section 4.
bool is_utf8(std::string_view text) {
  auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  while (!text.empty()) {
    auto first = byte(0);
    if ((first >= 0x80 && first < 0xC2) || first > 0xF4) return false;
    std::size_t size = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (text.size() < size) return false;
    for (std::size_t i = 1; i < size; ++i)
      if ((byte(i) & 0xC0) != 0x80) return false;
    // Overlong forms, surrogates, beyond U+10FFFF.
    if ((first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) >= 0xA0)) return false;
    if ((first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) >= 0x90)) return false;
    text.remove_prefix(size);
  }
  return true;
}

Result<void> check_name(std::string_view name) {
  if (name.empty() || name.size() > kXattrNameBytesMax) return Error{Errc::out_of_range, "an attribute's name"};
  if (name.starts_with("system.") && !is_acl(name)) return Error{Errc::not_supported, std::string(name)};
  // Names are keys of a protobuf map, which must be text: a message with another key would not be understood.
  if (!is_utf8(name)) return Error{Errc::not_supported, "an attribute's name that is not UTF-8"};
  return {};
}

Result<void> check_change(std::string_view name) {
  TRY_VOID(check_name(name));
  if (name.starts_with(kOwnXattrs)) return Error{Errc::not_permitted, std::string(name) + " cannot be set"};
  return {};
}

wire::SetXattr::Mode mode_of(SetXattr how) {
  switch (how) {
    case SetXattr::any:
      return wire::SetXattr::ANY;
    case SetXattr::create:
      return wire::SetXattr::CREATE;
    case SetXattr::replace:
      return wire::SetXattr::REPLACE;
  }
  return wire::SetXattr::ANY;
}
}  // namespace

awaitable<Result<std::string>> Xattrs::get(Ino ino, std::string name) {
  CO_TRY_VOID(check_name(name));
  if (name == kLocationXattr) co_return co_await describe_location(core_, ino);
  Error absent{Errc::no_attribute, name};
  if (name == kAccessAcl && core_.without_acl(ino)) co_return absent;
  auto inode = core_.find_inode(ino);
  // The kernel asks for security.capability before every write.
  if (inode && inode->absent_xattrs.contains(name)) co_return absent;
  CO_TRY(auto answer, co_await core_.get_inode(ino, GetInode::with_xattrs));
  const auto& xattrs = answer.inode().xattrs();
  if (auto found = xattrs.find(name); found != xattrs.end()) co_return found->second;
  if (inode) inode->absent_xattrs.insert(name);
  co_return absent;
}

awaitable<Result<std::vector<std::string>>> Xattrs::list(Ino ino) {
  CO_TRY(auto answer, co_await core_.get_inode(ino, GetInode::with_xattrs));
  std::vector<std::string> names;
  for (const auto& [name, value] : answer.inode().xattrs()) names.push_back(name);
  // A protobuf map has no order that one could rely on.
  std::ranges::sort(names);
  co_return names;
}

awaitable<Result<void>> Xattrs::set(Ino ino, std::string name, std::string value, SetXattr how) {
  CO_TRY_VOID(check_change(name));
  if (value.size() > kXattrValueBytesMax) co_return Error{Errc::too_big, "an attribute's value over 64 KiB"};
  wire::Step step;
  auto& set = *step.mutable_set_xattr();
  set.set_ino(ino);
  set.set_name(name);
  set.set_value(std::move(value));
  set.set_mode(mode_of(how));
  co_return co_await send(std::move(step), ino);
}

awaitable<Result<void>> Xattrs::remove(Ino ino, std::string name) {
  CO_TRY_VOID(check_change(name));
  wire::Step step;
  step.mutable_remove_xattr()->set_ino(ino);
  step.mutable_remove_xattr()->set_name(name);
  co_return co_await send(std::move(step), ino);
}

awaitable<Result<void>> Xattrs::send(wire::Step step, Ino ino) {
  auto answer = co_await core_.transact_step(std::move(step), ino);
  if (auto inode = core_.find_inode(ino)) inode->absent_xattrs.clear();
  if (!answer) co_return answer.error();
  core_.changed(*answer);
  co_return Result<void>();
}

}  // namespace chordfs::fs
