"""A program on a terminal of its own: a vt100 in memory, as far as curses programs use one."""
import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

CSI = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])")


class Screen:
    def __init__(self, args, rows=24, cols=80, term="vt100", **more):
        self.rows, self.cols = rows, cols
        self.lines = [[" "] * cols for _ in range(rows)]
        self.y = self.x = 0
        self.rest, self.decoder = "", codecs.getincrementaldecoder("utf-8")("replace")
        self.main, side = pty.openpty()
        self._size(rows, cols)
        env = {k: v for k, v in os.environ.items() if k not in ("LINES", "COLUMNS", "NO_COLOR")} | {"TERM": term} | more
        self.raw = b""
        self.process = subprocess.Popen(args, stdin=side, stdout=side, stderr=side, env=env, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(side)

    def _size(self, rows, cols):
        fcntl.ioctl(self.main, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def resize(self, rows, cols):
        self.read(0.2)
        self.rows, self.cols = rows, cols
        self.lines = [[" "] * cols for _ in range(rows)]
        self._size(rows, cols)
        os.killpg(self.process.pid, signal.SIGWINCH)

    def key(self, text):
        os.write(self.main, text.encode())

    def read(self, seconds):
        """Takes what is written within so many seconds; false at the end."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([self.main], [], [], left)[0]:
                break
            try:
                got = os.read(self.main, 65536)
            except OSError:
                return False
            if not got:
                return False
            self.raw += got
            self._feed(self.decoder.decode(got))
        return True

    def text(self):
        return "\n".join("".join(line).rstrip() for line in self.lines)

    def wait(self, *words, seconds=30):
        """The screen's text once all of these stand on it."""
        end = time.monotonic() + seconds
        while not all(w in self.text() for w in words):
            assert time.monotonic() < end, f"{words} not seen on:\n{self.text()}"
            if not self.read(0.2):
                assert all(w in self.text() for w in words), f"{words} not seen before the end:\n{self.text()}"
        return self.text()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.main)

    # ---- the vt100 ----

    def _feed(self, text):
        text = self.rest + text
        at = 0
        while at < len(text):
            c = text[at]
            if c != "\x1b":
                self._plain(c)
                at += 1
                continue
            m = CSI.match(text, at)
            if m:
                self._csi(m)
                at = m.end()
            elif len(text) - at >= 3 and text[at + 1] in "()":
                at += 3
            elif len(text) - at >= 2 and text[at + 1] not in "[()":
                at += 2
            else:
                break  # not whole yet
        self.rest = text[at:]

    def _plain(self, c):
        if c == "\r":
            self.x = 0
        elif c == "\n":
            self.y = min(self.y + 1, self.rows - 1)
        elif c == "\b":
            self.x = max(self.x - 1, 0)
        elif c == "\t":
            self.x = min((self.x // 8 + 1) * 8, self.cols - 1)
        elif c >= " ":
            if self.x < self.cols and self.y < self.rows:
                self.lines[self.y][self.x] = c
            self.x += 1

    def _csi(self, m):
        if m[1]:
            return
        n = [int(x or 0) for x in m[2].split(";")]
        k = m[3]
        if k in "Hf":
            self.y, self.x = max(n[0], 1) - 1, max(n[1] if len(n) > 1 else 1, 1) - 1
        elif k in "ABCD":
            d = max(n[0], 1)
            self.y += {"A": -d, "B": d}.get(k, 0)
            self.x += {"C": d, "D": -d}.get(k, 0)
        elif k == "K" and self.y < self.rows:
            line = self.lines[self.y]
            for i in range(self.x if n[0] == 0 else 0, self.cols if n[0] != 1 else min(self.x + 1, self.cols)):
                line[i] = " "
        elif k == "J":
            for y in range(self.y if n[0] == 0 else 0, self.rows):
                for x in range(self.x if y == self.y and n[0] == 0 else 0, self.cols):
                    self.lines[y][x] = " "
        self.y, self.x = max(self.y, 0), max(self.x, 0)
