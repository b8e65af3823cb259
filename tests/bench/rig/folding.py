"""From what `perf script` prints to shares by thread and a tree of the heaviest paths, as text."""
import collections
import re

OURS = "ofmsrv"
LINE = re.compile(r"^\s+[0-9a-f]+ (.*) \((.*)\)$")
SUFFIX = re.compile(r"(\+0x[0-9a-f]+|\.(part|constprop|isra|cold)(\.\d+)?)+$")  # of the compiler and of perf
START = {"_start", "__libc_start_main", "__libc_start_call_main", "__libc_start_main_impl", "__libc_start_main@@GLIBC_2.34", "start_thread",
         "clone3", "__clone3", "clone", "[unknown]"}
# Frames of the kernel that say what was asked of it.
ASKED = re.compile(r"^(?:__x64_sys_|__arm64_sys_|__se_sys_|__do_sys_|ksys_|__sys_)(\w+)$")
FAULT = re.compile(r"page_fault|exc_page")


def samples(lines):
    """[(thread id, [(function, library or "kernel")…] from the outermost in)] of the lines of `perf script -F tid,ip,sym,dso`."""
    out, tid, frames = [], None, []
    for line in lines:
        m = LINE.match(line)
        if m:
            frames.append((SUFFIX.sub("", m[1]), library(m[2])))
        elif not line.strip():
            if tid is not None and frames:
                out.append((tid, frames[::-1]))
            tid, frames = None, []
        else:
            tid = int(re.search(r"\d+", line)[0])
    if tid is not None and frames:
        out.append((tid, frames[::-1]))
    return out


def library(dso):
    name = dso.rsplit("/", 1)[-1]
    if name.startswith("[kernel") or name.endswith(".ko") or name == "[guest.kernel.kallsyms]":
        return "kernel"
    return re.sub(r"[-.]so[-.0-9]*$|\.so.*$", "", name)


def kernel(frames):
    """One frame for all that the kernel did in one go: the system call, a page fault, or what interrupted."""
    for function, _ in frames:
        if m := ASKED.match(function):
            return f"{m[1]} (kernel)"
        if FAULT.search(function):
            return "page fault (kernel)"
    return "kernel"


def readable(frames):
    """A stack without what starts threads; neighbours of one library are its outermost function, the kernel is one frame."""
    out, at = [], 0
    while at < len(frames):
        function, lib = frames[at]
        run = at
        while run < len(frames) and frames[run][1] == lib:
            run += 1
        if lib == OURS:
            out += [f for f, _ in frames[at:run] if f not in START]
        elif lib == "kernel":
            name = kernel(frames[at:run])
            if out and out[-1].endswith(" (libc)") and not name.startswith("page fault"):  # libc's door to that call
                name = out.pop().replace("(libc)", "(kernel)") if name == "kernel" else (out.pop(), name)[1]
            out.append(name)
        else:
            named = [f for f, _ in frames[at:run] if f not in START]
            if named:
                out.append(f"{re.sub('^(?:__GI_)?_*', '', named[0])} ({lib})")
            elif run == len(frames):
                out.append(lib)
        at = run
    return out


def stacks(found):
    """{(thread, function…): samples}. A thread is named after the function of ours that whole stacks of it begin with."""
    begun, readied = collections.defaultdict(collections.Counter), []
    for tid, frames in found:
        stack = readable(frames)
        readied.append((tid, stack))
        own = [f for f, lib in frames if lib == OURS and f not in START]
        if own and frames[0][0] in START:
            begun[tid][own[0]] += 1
    out = collections.Counter()
    for tid, stack in readied:
        name = begun[tid].most_common(1)[0][0] if begun[tid] else "other"
        if stack and stack[0] == name:
            stack = stack[1:]
        out[(name, *stack)] += 1
    return out


def threads(folded):
    """[(thread, its share)], the heaviest first."""
    total, by = sum(folded.values()), collections.Counter()
    for stack, n in folded.items():
        by[stack[0]] += n
    return [(name, n / total) for name, n in by.most_common()]


class Node:
    def __init__(self):
        self.weight, self.below = 0, {}


def tree(folded):
    root = Node()
    for stack, n in folded.items():
        at = root
        at.weight += n
        for function in stack:
            at = at.below.setdefault(function, Node())
            at.weight += n
    return root


def lines(root, least, depth=0, total=None):
    """The tree as indented lines; a function that one below it accounts for wholly shares a line with it."""
    total = total or root.weight
    out = []
    for name, node in sorted(root.below.items(), key=lambda x: (-x[1].weight, x[0])):
        if node.weight < least:
            continue
        share = 100 * node.weight / total
        while len(only := [x for x in node.below.items() if x[1].weight >= least]) == 1 and only[0][1].weight >= 0.95 * node.weight:
            name, node = f"{name} › {only[0][0]}", only[0][1]
        out.append(f"{share:5.1f} %  {'  ' * depth}{name}")
        out += lines(node, least, depth + 1, total)
    return out


def text(folded, most=25):
    """The heaviest paths: as many as `most` lines hold."""
    root = tree(folded)
    weights = set()

    def walk(node):
        for below in node.below.values():
            weights.add(below.weight)
            walk(below)
    walk(root)
    best = []
    for least in sorted(weights, reverse=True):
        out = lines(root, least)
        if len(out) > most:
            break
        best = out
    return best
