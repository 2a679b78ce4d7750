"""Runs each scenario in a native directory and in one on a mount, and compares what was observed.

    posix_basics.py NATIVE MOUNTED [SCENARIO...]

A scenario is a generator of (label, observation); it runs with its own empty directory as the current one. An error is
observed as its errno's name. What may differ is listed in ALLOWED, with the reason. The calls are in posix_calls.py.
"""
import os
import shutil
import sys

import posix_errors  # noqa: F401: they register what they have.
import posix_flags  # noqa: F401
import posix_scenarios

# (scenario, label, what the mount shows): why it may.
ALLOWED = {
    ("set_id_bits", "2767 chown nothing by another", repr(("'ok'", ("-rwxrw-rwx", 1, 1001, 1001, 8, 0)))):
        "to us the kernel sends the same before a write of that user, which must succeed and clear the bit",
}
for case in ("10", "20", "70"):
    why = "the kernel looks at what it is before it asks us, and does not know of its flags"
    ALLOWED[("flags", f"{case} file rmdir", repr("ENOTDIR"))] = why
    ALLOWED[("flags", f"{case} directory unlink", repr("EISDIR"))] = why


def observe(scenario, directory):
    home = os.getcwd()
    os.mkdir(directory)
    os.chdir(directory)
    os.umask(0o022)
    try:
        return list(scenario())
    finally:
        os.chdir(home)
        for path, directories, _ in os.walk(directory):
            for name in directories:
                if not os.path.islink(f"{path}/{name}"):
                    os.chmod(f"{path}/{name}", 0o700)
        shutil.rmtree(directory)


def differences(name, native, mounted):
    labels = [label for label, _ in native]
    if labels != [label for label, _ in mounted]:
        yield f"{name}: the two runs did not take the same way"
    for (label, expected), (_, found) in zip(native, mounted):
        if expected != found and (name, label, repr(found)) not in ALLOWED:
            yield f"{name}: {label}: native {expected!r}, mounted {found!r}"


def main():
    native, mounted = (os.path.abspath(path) for path in sys.argv[1:3])
    wanted = sys.argv[3:]
    failures = observations = 0
    for name, scenario in posix_scenarios.ALL.items():
        if wanted and name not in wanted:
            continue
        print(f"      {name}", flush=True)
        expected = observe(scenario, f"{native}/{name}")
        if expected == [("supported here", "no")]:
            print("      (not in the native directory)", flush=True)
            continue
        found = observe(scenario, f"{mounted}/{name}")
        observations += len(expected)
        for difference in differences(name, expected, found):
            failures += 1
            print(f"FAILED: {difference}", flush=True)
    print(f"      {observations} observations, {failures} differ")
    sys.exit(1 if failures or not observations else 0)


main()
