"""What tests of rude clients share: half a transaction, bytes as they are, and a look at what they cost."""
import os
import re

from . import gateway as gw

MIB = 1 << 20


def memory(g):
    """Resident bytes. A sanitizer keeps what was freed, so there they say nothing."""
    if gw.BUILD != "build":
        return 0
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{g.process.pid}/status").read()).group(1)) * 1024


def cpu_seconds(g):
    fields = open(f"/proc/{g.process.pid}/stat").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def begin(s, *recipients, sender="anna@office.lan"):
    """A transaction up to the 354."""
    s.ok(f"MAIL FROM:<{sender}>")
    for r in recipients:
        s.ok(f"RCPT TO:<{r}>")
    s.ok("DATA", 354)


def raw_data(s, text, *recipients):
    """One message as these very bytes, its end included; the reply."""
    begin(s, *recipients)
    s.send(text)
    return s.reply()


def served_soon(g):
    try:
        with g.smtp(timeout=3) as s:
            return s.greeting[0] == 220
    except (OSError, EOFError):
        return False
