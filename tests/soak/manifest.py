"""What a writer meant, what was acknowledged, and so what may be found: the log outside the ring, and its meaning.

The log is one JSON object a line. Before an operation:  {"n": 7, "op": "write_at", "path": ..., ...}
After it:                                {"n": 7, "done": "acked" | "failed" | "wrong", "why": ..., "took": seconds}
Of reads only those that fail or take long: {"n": 7, "done": "read", "why": ..., "took": seconds}
An operation without a second line (the writer was killed) counts as failed: it may have happened, wholly or in part.

Contents are not logged but generated: a file is a list of pieces (offset, seed, length), written one after another. The
SHA-256 of the whole stands beside it, so that a reader of the log need not believe the generator.

    create    path pieces         a new file, written, fsynced, closed
    rewrite   path pieces         the same name, truncated by open
    write_at  path pieces         one piece more, into a file that is there (also at its end)
    replace   path pieces temp    another file, fsynced, renamed over it
    rename    path to             to a name never used before
    unlink    path
"""
import hashlib
import json
import os
import random


def contents(pieces):
    data = bytearray()
    for offset, seed, length in pieces:
        if len(data) < offset:
            data.extend(bytes(offset - len(data)))
        data[offset:offset + length] = random.Random(seed).randbytes(length)
    return bytes(data)


def digest(data):
    return hashlib.sha256(data).hexdigest()


class Expected:
    """What may stand under one name.

    `versions` are the candidates; None among them: no such file. Where `mixed`, an operation failed that is not atomic:
    then each byte may come from any of them, and the size be anything between.
    """

    def __init__(self, versions, mixed=False):
        self.versions = versions
        self.mixed = mixed

    @property
    def certain(self):
        return len(self.versions) == 1

    @property
    def present(self):
        return None not in self.versions

    def latest(self):
        return next((pieces for pieces in reversed(self.versions) if pieces is not None), [])

    def refuses(self, found):
        """Why `found` (bytes, or None for no such file) cannot be; or None."""
        if found is None:
            return "no such file" if self.present else None
        candidates = [contents(pieces) for pieces in self.versions if pieces is not None]
        if not candidates:
            return f"{len(found)} bytes under a name that is gone"
        if found in candidates:
            return None
        if not self.mixed:
            sizes = ", ".join(str(len(candidate)) for candidate in candidates)
            return f"{len(found)} bytes with SHA-256 {digest(found)[:16]} are not any version (sizes: {sizes})"
        if not min(map(len, candidates)) <= len(found) <= max(map(len, candidates)):
            return f"{len(found)} bytes: more or fewer than any version has"
        # Beyond the end of a shorter version there may be zeros: size and bytes come in two steps.
        short = min(map(len, candidates))
        for at, byte in enumerate(found):
            if not any(at < len(c) and c[at] == byte for c in candidates) and not (at >= short and byte == 0):
                return f"byte {at} of {len(found)} comes from no version"
        return None


class Model:
    """All names of one writer. `moves`: renames of unknown outcome; exactly one of the two names must have the file."""

    def __init__(self):
        self.names = {}
        self.moves = []
        self.acked = 0
        self.failed = 0
        self.wrong = []

    def settle(self, op, done):
        if done == "acked":
            self.acked += 1
        else:
            self.failed += 1
        getattr(self, "_" + op["op"])(op["path"], op, done == "acked")

    def _create(self, path, op, acked):
        pieces = [tuple(piece) for piece in op["pieces"]]
        self.names[path] = Expected([pieces]) if acked else Expected([None, [], pieces], mixed=True)

    def _rewrite(self, path, op, acked):
        pieces = [tuple(piece) for piece in op["pieces"]]
        before = self.names[path].versions
        self.names[path] = Expected([pieces]) if acked else Expected(before + [[], pieces], mixed=True)

    def _write_at(self, path, op, acked):
        pieces = [tuple(piece) for piece in op["pieces"]]
        before = self.names[path].versions
        self.names[path] = Expected([pieces]) if acked else Expected(before + [pieces], mixed=True)

    def _replace(self, path, op, acked):
        pieces = [tuple(piece) for piece in op["pieces"]]
        before = self.names[path]
        self.names[path] = Expected([pieces]) if acked else Expected(before.versions + [pieces], before.mixed)

    def _rename(self, path, op, acked):
        what = self.names[path]
        if acked:
            self.names[path], self.names[op["to"]] = Expected([None]), what
        else:
            del self.names[path]
            self.moves.append((path, op["to"], what))

    def _unlink(self, path, _, acked):
        before = self.names[path]
        self.names[path] = Expected([None]) if acked else Expected(before.versions + [None], before.mixed)

    @staticmethod
    def replay(path):
        """The model after what a log says."""
        model, begun = Model(), None
        with open(path, encoding="ascii") as f:
            for line in f:
                if not line.endswith("\n"):
                    break  # Cut off in the middle by the writer's death.
                entry = json.loads(line)
                if "op" in entry:
                    begun = entry
                elif entry["done"] == "wrong":
                    model.wrong.append(entry["why"])
                elif entry["done"] == "read":
                    continue
                else:
                    model.settle(begun, entry["done"])
                    begun = None
        if begun:
            model.settle(begun, "failed")
        return model

    def check(self, read):
        """Compares everything with `read(path)`, bytes or None; yields (path, why) of what is lost or should not be.

        What cannot be read is lost.
        """
        def moved(path, to, what):
            found = [data for data in (read(path), read(to)) if data is not None]
            if len(found) == 1 or not found and not what.present:
                why = what.refuses(found[0] if found else None)
            else:
                why = f"{len(found)} of the two names are there"
            return why and f"renamed to {to} with an unknown outcome: {why}"

        questions = [(path, lambda p=path, e=expected: e.refuses(read(p))) for path, expected in sorted(self.names.items())]
        questions += [(move[0], lambda m=move: moved(*m)) for move in self.moves]
        for path, ask in questions:
            try:
                why = ask()
            except OSError as e:
                why = str(e)
            if why:
                yield path, why


class Log:
    """The log while it is written: one write(2) a line, so that the death of the writer leaves whole lines."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.number = 0

    def line(self, entry):
        os.write(self.fd, json.dumps(entry).encode() + b"\n")

    def begin(self, op):
        self.number += 1
        self.line({"n": self.number, **op})

    def done(self, done, why="", took=None):
        self.line({"n": self.number, "done": done, **({"why": why} if why else {}), **({"took": round(took, 2)} if took else {})})
