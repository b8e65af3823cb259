#!/usr/bin/python3
"""Runs every test there is and ends with the line `N passed, N failed`.

Unit tests and the fuzz corpus run first, then the gates, then the end-to-end tests: each of their files is a pytest of
its own, a few at a time, with a deadline, so that one that hangs costs only itself."""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILE_DEADLINE = 600
SLOWER = 3  # sanitized programs may take so many times as long
UNIT_DEADLINE = 180
# Minutes long, so they begin first: the others fill the places beside them.
LONGEST = {"test_relay_refuses", "test_powerloss", "test_relay_hangs", "test_send_limits", "test_fetch_hard", "test_provider_courier"}
PASSED = re.compile(r"^\[  PASSED  \] (\d+) test", re.M)
FAILED = re.compile(r"^\[  FAILED  \] (\d+) test", re.M)
RAN = re.compile(r"^\[==========\] (?:.*: )?Running (\d+) test", re.M)


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def say(self, name, passed, failed, skipped, seconds, output=""):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        print(f"{'ok  ' if not failed else 'FAIL'} {name}: {passed} passed"
              + (f", {failed} failed" if failed else "") + (f", {skipped} skipped" if skipped else "")
              + f" ({seconds:.1f} s)", flush=True)
        if failed and output:
            print(output.rstrip(), flush=True)


def run(command, deadline, env=None):
    """Returns (status, output, seconds); a run that passes its deadline is killed with all it started."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as out:
        p = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                             env=env, start_new_session=True)
        try:
            status = p.wait(deadline)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGTERM)
            try:
                p.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(p.pid, signal.SIGKILL)
                p.wait()
            status = f"killed after {deadline} s"
        out.seek(0)
        return status, out.read().decode(errors="replace"), time.monotonic() - began


def unit(path):
    status, output, seconds = run([str(path)], UNIT_DEADLINE)
    passed = sum(map(int, PASSED.findall(output)))
    failed = sum(map(int, FAILED.findall(output)))
    ran = sum(map(int, RAN.findall(output)))
    if status != 0:
        failed = max(failed, 1, ran - passed)
        output += f"\n{path.name}: exit status {status}"
    elif passed == 0:
        failed, output = 1, output + f"\n{path.name} ran no test"
    return f"unit {path.name}", passed, failed, 0, seconds, output


def whole(name, command):
    status, output, seconds = run(command, UNIT_DEADLINE)
    return name, int(status == 0), int(status != 0), 0, seconds, output


def replay(path):
    corpus = [str(p) for p in sorted((ROOT / "tests/fuzz/corpus").glob("*")) if p.name in (path.name, f"fuzz_{path.name}")]
    return whole(f"fuzz corpus {path.name}", [str(path), *corpus])


def e2e(path, env, scratch, words):
    report = scratch / (path.stem + ".xml")
    status, output, seconds = run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short",
                                   f"--junitxml={report}", *(["-k", words] if words else []), str(path)],
                                  FILE_DEADLINE * (1 if env["OFM_BUILD"] == "build" else SLOWER), env)
    passed = failed = skipped = 0
    if report.exists():
        for case in xml.etree.ElementTree.parse(report).getroot().iter("testcase"):
            if case.find("failure") is not None or case.find("error") is not None:
                failed += 1
            elif case.find("skipped") is not None:
                skipped += 1
            else:
                passed += 1
    if status not in (0, 5) and failed == 0:
        failed = 1
        output += f"\n{path.name}: pytest ended with {status}"
    return f"{path.parent.name} {path.name}", passed, failed, skipped, seconds, output


def jobs(build, env, scratch, words, folders):
    """The three groups: quick ones, gates."""
    def programs(sub):
        return sorted(p for p in (ROOT / build / sub).glob("*") if p.is_file() and os.access(p, os.X_OK)
                      and not p.suffix)
    quick = [(unit, p) for p in programs("unit")] + [(replay, p) for p in programs("replay")]
    gates = [(whole, f"gate {n}", c) for n, c in (
        ("layers", ["tools/layers.py"]), ("sizes", ["tools/sizes.py"]), ("keys", ["tools/keys.py", "--printer", f"{build}/keys"]))
        if (ROOT / c[0]).exists()]
    files = [(e2e, p, env, scratch, words) for sub in folders for p in sorted((ROOT / "tests" / sub).glob("test_*.py"))]
    files.sort(key=lambda f: f[1].stem not in LONGEST)
    return quick + gates, files


def chosen(quick, files, names):
    wanted = {f"test_{n}.py" for n in names}
    found = [f for f in files if f[1].name in wanted]
    if len(found) < len(wanted):
        sys.exit(f"no such end-to-end tests: {' '.join(sorted(wanted - {f[1].name for f in found}))}")
    return [q for q in quick if q[0] is unit], found


def run_all(tally, work, at_once):
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        for f in concurrent.futures.as_completed([pool.submit(*w) for w in work]):
            tally.say(*f.result())


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--build", default="build", help="the build folder whose programs are tested")
    a.add_argument("--jobs", type=int, default=max(2, min(4, 2 * (os.cpu_count() or 1))))
    a.add_argument("--world", action="store_true", help="tests/world alone: real servers and clients as peers")
    a.add_argument("-k", dest="words", default="", help="only end-to-end tests that match")
    a.add_argument("files", nargs="*", help="end-to-end files (whole_path, …): these and the unit tests alone")
    o = a.parse_args()
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="ofm.check."))
    figures = scratch / "figures"
    env = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", OFM_BUILD=o.build, LC_ALL="C.UTF-8", OFM_FIGURES=str(figures))
    tally = Tally()
    try:
        quick, files = jobs(o.build, env, scratch, o.words, ("world",) if o.world else ("e2e", "fault"))
        if o.files:
            quick, files = chosen(quick, files, o.files)
        run_all(tally, [] if o.words or o.world else quick, os.cpu_count() or 1)
        run_all(tally, files, o.jobs)
        if figures.exists():
            print("".join(sorted(figures.read_text().splitlines(keepends=True))), end="")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if tally.skipped:
        print(f"{tally.skipped} skipped")
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 0 if tally.failed == 0 and tally.passed > 0 else 1


sys.exit(main())
