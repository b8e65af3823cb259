#!/usr/bin/python3
"""Function median <= 20 lines, 95th percentile <= 60, none over 80 (signature and braces included); files under 900
lines. Relies on clang-format's layout: a function's braces stand alone in the first column."""
import pathlib
import statistics
import sys

MEDIAN, P95, MAX, FILE = 20, 60, 80, 900


def functions_of(path, lines):
    start = None
    for i, line in enumerate(lines):
        if line == "{":
            start = i
            while start > 0 and lines[start - 1] and not lines[start - 1].startswith(("#", "//")) \
                    and not lines[start - 1].rstrip().endswith((";", "}", "*/")):
                start -= 1
        elif line == "}" and start is not None:
            name = lines[start].split("(")[0].split()[-1:] or ["?"]
            yield i - start + 1, f"{path}:{start + 1}", name[0].lstrip("*")
            start = None


def main():
    files = sorted(p for top in ("src", "gui-less") for p in pathlib.Path(top).rglob("*.[ch]"))
    faults, found = [], []
    for p in files + sorted(pathlib.Path("tests").rglob("*.[ch]")):
        lines = p.read_text().split("\n")
        if len(lines) - 1 >= FILE:
            faults.append(f"{p}: {len(lines) - 1} lines (a file has fewer than {FILE})")
        if p in files:
            found += functions_of(p, lines)
    if not found:
        print("sizes: no function found")
        return 1
    found.sort()
    sizes = [n for n, _, _ in found]
    median, p95 = statistics.median(sizes), sizes[min(len(sizes) - 1, len(sizes) * 95 // 100)]
    faults += [f"{where}: {name}() has {n} lines (no function has more than {MAX})"
               for n, where, name in found if n > MAX]
    if median > MEDIAN:
        faults.append(f"the median function has {median} lines (at most {MEDIAN})")
    if p95 > P95:
        faults.append(f"the 95th percentile of functions is {p95} lines (at most {P95})")
    print("\n".join(faults + [f"sizes: {len(sizes)} functions, median {median:g}, 95th percentile {p95}, "
                              f"largest {sizes[-1]} lines"]))
    return 1 if faults else 0


sys.exit(main())
