#!/usr/bin/python3
"""make bench: ours beside its peers, on the same work, in one run. `bench.py B1 B4` runs those jobs alone."""
import argparse
import json
import os
import pathlib
import platform
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import chart  # noqa: E402
from rig import contest, growth, report, ward  # noqa: E402
from jobs import b10_log, b1_accept, b3_pop3, b4_collect, b6_send, b7_sort, b8_memory, b9_growth, costs, load  # noqa: E402

JOBS = {**b1_accept.JOBS, **b3_pop3.JOBS, **b4_collect.JOBS, **b6_send.JOBS, **b7_sort.JOBS,
        **b8_memory.JOBS, **b9_growth.JOBS, **b10_log.JOBS, **load.JOBS, **costs.JOBS}


class Options:
    def __init__(self, rounds, scale):
        self.rounds, self.scale = rounds, scale

    def scaled(self, n):
        return max(20, int(n * self.scale))


def machine():
    return {"cpus": os.cpu_count(), "kernel": platform.release(), "loadavg": os.getloadavg(),
            "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime())}


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("jobs", nargs="*", help="B1 … B10, L (latency under load), G (growth), C (costs); without any, all")
    a.add_argument("--rounds", type=int, default=3)
    a.add_argument("--scale", type=float, default=1.0, help="so much of each job's usual work")
    a.add_argument("--json", help="writes the figures there, over those of the same jobs, and beside it the charts, as .svg and .growth.svg")
    a.add_argument("--table", metavar="FILE.json", help="no job: prints what the file holds as Markdown")
    o = a.parse_args()
    if o.table:
        return table(o.table)
    wanted = [j.upper() for j in o.jobs] or list(JOBS)
    unknown = [j for j in wanted if j not in JOBS]
    if unknown:
        a.error(f"no such job: {', '.join(unknown)} (there are {', '.join(JOBS)})")
    before = machine()
    with ward.Ward() as w:
        rows, failed = run(wanted, Options(o.rounds, o.scale), w)
    print(report.text(rows))
    if curves(rows):
        print(growth.markdown(curves(rows)))
    print(f"load average {before['loadavg'][0]:.1f} at the start, {os.getloadavg()[0]:.1f} at the end, "
          f"{os.cpu_count()} processors")
    if o.json:
        keep(pathlib.Path(o.json), rows, before)
        data = json.loads(pathlib.Path(o.json).read_text())
        pathlib.Path(o.json).with_suffix(".svg").write_text(chart.chart(list(chart.rows_of(data))))
        grown = curves([contest.Row.of_json(r) for r in data["rows"]])
        pathlib.Path(o.json).with_suffix(".growth.svg").write_text(growth.svg(grown))
    for f in failed:
        print("FAILED " + f)
    return 1 if failed else 0


def run(wanted, options, w):
    """(rows, what failed): one job's failure is said, and does not cost the others."""
    rows, failed = [], []
    for name in wanted:
        began = time.monotonic()
        try:
            rows += JOBS[name](options)
        except Exception as e:
            if w.ended:
                raise
            failed.append(f"{name}: {type(e).__name__}: {e}")
            print(failed[-1], file=sys.stderr)
        w.clear()
        print(f"  {name} took {time.monotonic() - began:.0f} s", file=sys.stderr)
    return rows, failed


def table(path):
    """The Markdown of what a JSON file holds."""
    rows = []
    for r in json.loads(pathlib.Path(path).read_text())["rows"]:
        rows.append(contest.Row.of_json(r))
    print(report.markdown(rows))
    print()
    print(growth.markdown(curves(rows)))
    return 0


def curves(rows):
    return growth.curves([(r.what, r.unit, r.ours()) for r in rows if r.job in ("B9", "G")])


def keep(path, rows, before):
    """Jobs that ran replace what the file says of them."""
    old = json.loads(path.read_text()) if path.exists() else {"rows": []}
    ran = {r.job for r in rows}
    new = [r for r in old["rows"] if r["job"] not in ran]
    for r in rows:
        new.append(dict(r.as_json(), loadavg=[round(before["loadavg"][0], 1), round(os.getloadavg()[0], 1)]))
    new.sort(key=lambda r: list(JOBS).index(r["job"]) if r["job"] in JOBS else 99)
    path.write_text(json.dumps({"machine": before, "rows": new}, indent=1, ensure_ascii=False) + "\n")


sys.exit(main())
