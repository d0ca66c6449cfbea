"""What tests/hygiene.sh checks: see there. Prints one line for each offence; status 1 when there is any."""
import os
import re
import subprocess
import sys

MAX_BYTES, MAX_COLUMNS = 200_000, 100
FILE = re.compile(r"(?<![\w./<*-])((?:[\w-]+/)*[\w-]+\.(?:c|h|S|sh|py|def|pml|tsv|md|ini|cpp))(?![\w*])")
SYMBOL = re.compile(r"\b(sm__?\w*[a-z0-9]|SM_[A-Z]\w*[A-Z0-9])\b(?![*_{<])")
# Names that documents use as examples of what a reader would write, or that other projects have.
EXAMPLES = {"prog.c", "program.c", "spanmark.ini", "plan.ini", "mine.ini", "x.h", "x.c", "my.ini", "file.c", "lgc.h", "types.h", "prim.h",
            "domain.c", "major_gc.c", "queue.c", "hwloc.h", "wl_NAME.c", "malloc.go"}

def tracked():
    out = subprocess.run(["tests/files.sh", "tracked"], stdout=subprocess.PIPE, check=True).stdout
    return [f for f in out.decode().split("\n") if f and os.path.isfile(f)]


def code_of(text):
    """A C file without its comments."""
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.S)


def opening(text):
    """The comment that a source begins with."""
    m = re.match(r"\s*/\*.*?\*/", text, re.S)
    return m.group(0) if m else ""


def names_itself(path, text):
    """Does a source of the product open with its name?"""
    product = re.match(r"(allocator|collector|perf|workloads|harness)/.*\.c$", path)
    return not product or "clang-format off" in text[:400] or os.path.basename(path) in opening(text)


def preformatted(line, fenced):
    """Output, diagrams and commands keep their width, and what cannot be broken."""
    return fenced or line.startswith("    ") or " " not in line.strip("- ")


def comments_too_wide(path, text):
    """Lines of comments that do not fit, of a source that is not generated."""
    if "clang-format off" in text[:400]:
        return
    inside = False
    for n, line in enumerate(text.split("\n"), 1):
        comment = inside or "/*" in line
        if "/*" in line and line.rfind("*/") < line.rfind("/*"):
            inside = True
        elif "*/" in line:
            inside = False
        if comment and len(line.expandtabs(8)) > MAX_COLUMNS and not line.endswith("\\"):
            yield f"{path}:{n}: a comment of {len(line.expandtabs(8))} columns, more than {MAX_COLUMNS}"


def main():
    files, offences, symbols, texts = tracked(), [], set(), {}
    for f in files:
        with open(f, "rb") as g:
            data = g.read()
        if b"\0" in data[:8192]:
            offences.append(f"{f}: a binary file is tracked")
        elif len(data) > MAX_BYTES:
            offences.append(f"{f}: {len(data)} bytes, more than {MAX_BYTES}")
        elif data[:2] == b"#!" and not os.access(f, os.X_OK):
            offences.append(f"{f}: begins with #! and cannot be executed")
        texts[f] = data.decode("utf-8", "replace")
        if not f.endswith((".md", ".1")):
            symbols.update(re.findall(r"\b[sS][mM]_\w+", code_of(texts[f])))
        if f.endswith((".c", ".h")):
            offences.extend(comments_too_wide(f, texts[f]))
            if not names_itself(f, texts[f]):
                offences.append(f"{f}:1: the opening comment does not name the file")
    offences.extend(f"README.md does not name {f}" for f in files
                    if re.fullmatch(r"docs/[^/]*\.md", f) and f not in texts.get("README.md", ""))
    names = {os.path.basename(f) for f in files}
    for f in files:
        docs = f.endswith(".md") and f != "CHANGELOG.md"
        prose = texts[f] if docs else opening(texts[f]) if f.endswith((".c", ".h")) else ""
        fenced = False
        for n, line in enumerate(prose.split("\n"), 1):
            if f.endswith(".md") and len(line) > MAX_COLUMNS and not preformatted(line, fenced):
                offences.append(f"{f}:{n}: {len(line)} columns, more than {MAX_COLUMNS}")
            fenced ^= line.startswith("```")
            for path in FILE.findall(line):
                here = os.path.normpath(os.path.join(os.path.dirname(f), path))
                if not (path in texts or here in texts or os.path.basename(path) in EXAMPLES
                        or "/" not in path and path in names
                        or any(t.endswith("/" + path) for t in texts)):
                    offences.append(f"{f}:{n}: there is no file {path}")
            for symbol in SYMBOL.findall(line):
                if symbol not in symbols and not any(s.startswith(symbol + "_") for s in symbols):
                    offences.append(f"{f}:{n}: there is no {symbol}")
    if not files:
        offences.append("no files: neither git nor find names any")
    print("\n".join(offences) if offences else f"hygiene: {len(files)} files, nothing to complain of")
    return 1 if offences else 0


sys.exit(main())
