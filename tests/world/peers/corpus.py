"""Mail of every kind that a mailbox may hold, each message with a number in its X-World field."""
import random
import re

from lib.gateway import message

NUMBER = re.compile(rb"^X-World: (\d+)\r?$", re.M)


def number(raw):
    found = NUMBER.search(raw)
    assert found, raw[:300]
    return int(found.group(1))


def _text(rng, size):
    lines, total = [], 0
    while total < size:
        line = bytes(rng.choices(b"abcdefghij klmnopqr stuvwxyz 0123456789.,-", k=rng.randrange(0, 78)))
        lines.append(line)
        total += len(line) + 2
    return b"\r\n".join(lines) + b"\r\n"


def _from_lines(n):
    return b"From the beginning\r\n>From there\r\n\r\nFrom sender@x Mon Jan  1 00:00:00 2024\r\nafter\r\n"


# Each kind: the number -> a body. The rest are short texts of differing lengths.
KINDS = {
    "dots": lambda n: b".\r\n..\r\n.dot\r\n...\r\nend.\r\n.\r\n",
    "no body": lambda n: b"",
    "8-bit": lambda n: bytes(range(128, 256)) * (n % 7 + 1) + b"\r\n",
    "utf-8": lambda n: "Счёт за ноябрь, сумма 1000 ₽\r\n".encode() * (n % 5 + 1),
    "long line": lambda n: b"x" * (9000 * (n % 9 + 1)) + b"\r\n",
    "empty lines": lambda n: b"\r\n" * (n % 40 + 1),
    "no final newline": lambda n: b"the last line, without an end",
    "bare CR": lambda n: b"one\rtwo\r\rthree\r\n",
    "from lines": _from_lines,
    "spaces": lambda n: b"  leading\r\ntrailing  \r\n\t\r\n \r\n",
    "controls": lambda n: bytes(c for c in range(1, 32) if c not in (10, 13)) + b"\x7f\r\n",
    "NUL": lambda n: b"a\0b\0\0c\r\n\0\r\n",
}
LARGE = {40: 300_000, 90: 700_000, 140: 2_500_000, 200: 120_000, 260: 1_500_000}  # number: octets


def messages(n=300, without=()):
    """n messages, in CRLF; kinds named in `without` are replaced by plain text."""
    rng = random.Random(n)
    kinds = [k for k in KINDS]
    out = []
    for i in range(n):
        kind = kinds[i % 24] if i % 24 < len(kinds) else "text"
        if i in LARGE:
            kind, body = "large", _text(rng, LARGE[i])
        elif kind == "text" or kind in without:
            kind, body = "text", _text(rng, rng.randrange(1, 6000))
        else:
            body = KINDS[kind](i)
        out.append(message(f"{kind} {i}", sender=f"s{i}@far.example", to="anna@firm.example", body=body,
                           extra=f"X-World: {i}\r\n".encode() + (b"X-Folded: one\r\n two\r\n\tthree\r\n" if i % 5 == 0 else b"")))
    return out
