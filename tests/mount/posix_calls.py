"""Calls that Python lacks, and short words for what is observed of a file."""
import ctypes
import errno
import fcntl
import os
import signal
import stat
import struct

libc = ctypes.CDLL(None, use_errno=True)
NOREPLACE, EXCHANGE = 1, 2
AT_FDCWD = -100
AS_ROOT = os.geteuid() == 0
NOBODY = 65534


def attempt(call, *arguments, **named):
    """The result, or the errno's name. Calls that return nothing give "ok"."""
    try:
        result = call(*arguments, **named)
    except OSError as e:
        return errno.errorcode[e.errno]
    return "ok" if result is None else result


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def renameat2(source, target, flags=0):
    checked(libc.renameat2(AT_FDCWD, os.fsencode(source), AT_FDCWD, os.fsencode(target), flags))


def fallocate(fd, mode, offset, length):
    checked(libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)))


GET_FLAGS, SET_FLAGS, GET_XFLAGS, SET_XFLAGS = 0x80086601, 0x40086602, 0x801C581F, 0x401C5820
IMMUTABLE, APPEND, NODUMP, NOATIME = 0x10, 0x20, 0x40, 0x80


def _ioctl(path, request, value):
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return fcntl.ioctl(fd, request, value)
    finally:
        os.close(fd)


def get_flags(path):
    """Those of chattr(1) that every file system has."""
    return struct.unpack("i4x", _ioctl(path, GET_FLAGS, bytes(8)))[0] & (IMMUTABLE | APPEND | NODUMP | NOATIME)


def set_flags(path, flags):
    others = struct.unpack("i4x", _ioctl(path, GET_FLAGS, bytes(8)))[0] & ~(IMMUTABLE | APPEND | NODUMP | NOATIME)
    _ioctl(path, SET_FLAGS, struct.pack("i4x", others | flags))


def write(path, contents=b"contents", mode="wb"):
    with open(path, mode) as f:
        f.write(contents)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def kind(path):
    try:
        return stat.filemode(os.lstat(path).st_mode)[0]
    except OSError as e:
        return errno.errorcode[e.errno]


def facts(path):
    """What must be equal everywhere. A directory's size is its file system's affair."""
    status = os.lstat(path) if isinstance(path, (str, bytes)) else os.fstat(path)
    size = "-" if stat.S_ISDIR(status.st_mode) else status.st_size
    return stat.filemode(status.st_mode), status.st_nlink, status.st_uid, status.st_gid, size, status.st_rdev


def tree(path="."):
    """Every name below path, with kind, links and size or target."""
    found = []
    for directory, directories, files in os.walk(path):
        for name in directories + files:
            full = os.path.join(directory, name)
            status = os.lstat(full)
            what = os.readlink(full) if stat.S_ISLNK(status.st_mode) else facts(full)[4]
            found.append((full, kind(full), status.st_nlink, what))
    return sorted(found)


def in_child(call, first=lambda: None):
    """What `call` gives in a child of its own, after `first`, or the signal that ended it."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            first()
            os.write(send, repr(attempt(call)).encode())
        finally:
            os._exit(0)
    os.close(send)
    with os.fdopen(receive, "rb") as f:
        answer = f.read().decode()
    status = os.waitpid(child, 0)[1]
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else answer


def as_user(call, uid=NOBODY, gid=NOBODY):
    """What `call` gives in a child that is this user, with no other group. The current directory stays."""
    def become():
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    return in_child(call, become)


class DirectoryStream:
    """opendir(3) with telldir and seekdir."""

    class Entry(ctypes.Structure):
        _fields_ = [("ino", ctypes.c_uint64), ("off", ctypes.c_int64), ("reclen", ctypes.c_ushort),
                    ("type", ctypes.c_ubyte), ("name", ctypes.c_char * 256)]

    def __init__(self, path):
        libc.opendir.restype = libc.readdir64.restype = ctypes.c_void_p
        libc.telldir.restype = ctypes.c_long
        self.stream = ctypes.c_void_p(libc.opendir(os.fsencode(path)))

    def read(self):
        entry = libc.readdir64(self.stream)
        return self.Entry.from_address(entry).name if entry else None

    def rest(self):
        names = []
        while (name := self.read()) is not None:
            names.append(name)
        return names

    def tell(self):
        return libc.telldir(self.stream)

    def seek(self, position):
        libc.seekdir(self.stream, ctypes.c_long(position))

    def rewind(self):
        libc.rewinddir(self.stream)

    def close(self):
        libc.closedir(self.stream)
