"""Messages of the bench as kit.c makes them, and the check that each one arrived whole and once."""
import os
import re
import time

FIELD = re.compile(rb"X-Bench: (\d{8})")


def body(size):
    """The same bytes as message_new() in kit.c."""
    n, out, line = size - len(head(0)), [], 0
    while n > 0:
        width = n if n < 79 else 76
        out.append(bytes(97 + (line + i * 7) % 26 for i in range(width - 2)) + b"\r\n")
        n -= max(width, 2)
        line += 1
    return b"".join(out)


def head(number):
    return (b"X-Bench: %08d\r\nFrom: Bench <sender@office.lan>\r\nTo: Bench <u0@office.lan>\r\n"
            b"Subject: of many messages, rule %03d\r\nDate: Tue, 24 Nov 2026 04:00:00 +0000\r\n"
            b"Message-ID: <%08d.bench@client.test>\r\n\r\n" % (number, number % 200, number))


def files_in(folders):
    for folder in folders:
        for sub in ("new", "cur"):
            try:
                for e in os.scandir(folder / sub):
                    yield e.path
            except FileNotFoundError:
                pass


def count(folders):
    return sum(1 for _ in files_in(folders))


def arrived(folders):
    """When the last of them came, on the clock of time.monotonic()."""
    return max(os.stat(folder / "new").st_mtime for folder in folders) - time.time() + time.monotonic()


def check(folders, numbers, size, some=False):
    """Every message of `numbers` lies in the Maildirs, once and whole; or `some` of them do. Line ends may be the peer's."""
    want, tail, seen = set(numbers), body(size), set()
    bare = tail.replace(b"\r\n", b"\n")
    for path in files_in(folders):
        with open(path, "rb") as f:
            raw = f.read()
        m = FIELD.search(raw)
        assert m and (raw.endswith(tail) or raw.endswith(bare)), f"{path} is damaged"
        number = int(m.group(1))
        assert number not in seen, f"{number} arrived twice"
        seen.add(number)
    assert seen == want or some and seen < want, f"{len(want - seen)} of {len(want)} are missing, {len(seen - want)} were never sent"
