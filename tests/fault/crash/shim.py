"""Builds shim.c, and steers it from outside the process."""
import ctypes
import errno
import mmap
import pathlib
import subprocess
import struct

HERE = pathlib.Path(__file__).resolve().parent
OPS = ("create", "write", "fsync", "syncfs", "link", "rename", "unlink", "mkdir", "truncate", "allocate")
ALL = (1 << len(OPS)) - 1
NOTHING, KILL, TEAR, FAIL = range(4)
FOREVER = (1 << 64) - 1


class State(ctypes.Structure):
    _fields_ = [("count", ctypes.c_uint64), ("first", ctypes.c_uint64), ("until", ctypes.c_uint64),
                ("fired", ctypes.c_uint64), ("action", ctypes.c_uint32), ("error", ctypes.c_uint32),
                ("ops", ctypes.c_uint32), ("pid", ctypes.c_uint32), ("last", ctypes.c_char * 64)]


class Shim:
    """home: a scratch folder of its own for the library, the mapped file and the record."""

    def __init__(self, home):
        self.library, self.file, self.record = home / "shim.so", home / "shim.state", home / "shim.record"
        p = subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", self.library, HERE / "shim.c"],
                           capture_output=True, text=True)
        assert p.returncode == 0, p.stderr
        self.file.write_bytes(bytes(ctypes.sizeof(State)))
        self._handle = open(self.file, "r+b")
        self._map = mmap.mmap(self._handle.fileno(), 0)
        for path in (self.library, self.file):
            path.chmod(0o666)
        self.state = State.from_buffer(self._map)

    def env(self, root, record=False, rebooted=False):
        env = {"LD_PRELOAD": str(self.library), "OFM_SHIM_STATE": str(self.file), "OFM_SHIM_ROOT": str(root),
               "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0:exitcode=99"}
        if rebooted:
            boot = self.file.with_name("boot")
            boot.write_text("00000000-0000-4000-8000-000000000000\n")
            boot.chmod(0o644)
            env["OFM_SHIM_BOOT"] = str(boot)
        if record:
            env["OFM_SHIM_RECORD"] = str(self.record)
        return env

    def arm(self, action=NOTHING, first=0, until=None, error=errno.EIO, ops=ALL):
        """For the next start of the program: counting begins anew."""
        s = self.state
        s.action, s.count, s.fired, s.pid, s.last = NOTHING, 0, 0, 0, b""
        s.first, s.until, s.error, s.ops = first, first if until is None else until, error, ops
        s.action = action

    def fail_from_now(self, error, ops=ALL):
        """In the running program: every call of these kinds, until calm()."""
        s = self.state
        s.first, s.until, s.error, s.ops, s.action = 0, FOREVER, error, ops, FAIL

    def calm(self):
        self.state.action = NOTHING

    @property
    def count(self):
        return self.state.count

    @property
    def fired(self):
        return self.state.fired

    @property
    def last(self):
        return self.state.last.decode(errors="replace")

    def close(self):
        del self.state
        self._map.close()
        self._handle.close()


def mask(*ops):
    return sum(1 << OPS.index(o) for o in ops)


# ---- what was written down ----

HEAD = struct.Struct("<IIIIQQQ")


class Call:
    __slots__ = ("op", "path", "second", "data", "ns", "ino", "at")

    def __init__(self, op, path, second, data, ns, ino, at):
        self.op, self.path, self.second, self.data, self.ns, self.ino, self.at = op, path, second, data, ns, ino, at

    def __repr__(self):
        return f"{self.op} {self.path} {self.second} at={self.at} n={len(self.data)}"


def calls(path):
    raw = pathlib.Path(path).read_bytes()
    at, out = 0, []
    while at + HEAD.size <= len(raw):
        op, n1, n2, n3, ns, ino, pos = HEAD.unpack_from(raw, at)
        at += HEAD.size
        parts = []
        for n in (n1, n2, n3):
            parts.append(raw[at:at + n])
            at += n
        out.append(Call(OPS[op], parts[0].decode(), parts[1].decode(), parts[2], ns, ino, pos))
    return out
