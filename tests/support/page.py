"""A report page, read without a browser: its tables, charts and policy. See tests/cli/test_report.sh.

A table is a list of rows, a row a dict of its attributes and "cells", a cell a dict of its attributes, "tag" and "text".
"""
import html.parser
import re

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tables, self.svgs, self.problems = {}, [], []
        self.stack, self.text = [], []
        self.script, self.style, self.policy = [], [], None
        self.table = self.row = self.cell = None
        self.tags = set()
        self.feed(text)
        self.close()
        if self.stack:
            self.problems.append(f"left open: {self.stack}")

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        self.tags.add(tag)
        for name in a:
            if name.startswith("on") or name in ("style", "src", "srcset", "action", "formaction"):
                self.problems.append(f"<{tag} {name}>")
        if a.get("href", "#")[0] != "#":
            self.problems.append(f"<{tag} href={a['href']}>")
        if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy":
            self.policy = a["content"]
        if tag == "table":
            self.table = self.tables.setdefault(a["id"], {"head": [], "rows": []})
        elif tag == "tr":
            self.row = dict(a, cells=[])
            if self.table is not None and "thead" not in self.stack:
                self.table["rows"].append(self.row)
        elif tag in ("td", "th") and self.row is not None:
            self.cell = dict(a, tag=tag, text="")
            (self.table["head"] if "thead" in self.stack else self.row["cells"]).append(self.cell)
            if tag == "th" and not a.get("scope"):
                self.problems.append("a <th> without scope")
        elif tag == "svg":
            self.svgs.append({"title": None})
        elif tag == "title" and self.stack and self.stack[-1] == "svg":
            self.svgs[-1]["title"] = ""
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if not self.stack or self.stack[-1] != tag:
            self.problems.append(f"</{tag}> ends {self.stack[-3:]}")
        else:
            self.stack.pop()
        if tag in ("td", "th"):
            self.cell = None
        elif tag == "table":
            self.table = None

    def handle_data(self, data):
        inside = self.stack[-1] if self.stack else ""
        if inside == "script":
            self.script.append(data)
            return
        if inside == "style":
            self.style.append(data)
            return
        if inside == "title" and len(self.stack) > 1 and self.stack[-2] == "svg":
            self.svgs[-1]["title"] += data
        self.text.append(data)
        if self.cell is not None:
            self.cell["text"] += (" " if inside == "small" else "") + data


# ---- numbers -------------------------------------------------------------------------------------

SCALES = {"ps": 1e-3, "ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9, "B": 1, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30,
          "TiB": 2.0**40, "": 1, "%": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "/s": 1, "k/s": 1e3,
          "M/s": 1e6, "G/s": 1e9}
UNITS = {"us": 1e3, "s": 1e9, "KiB": 1024.0}


def close(a, b, within=1e-12):
    return a == b or abs(a - b) <= within * max(abs(a), abs(b))


def says_what_it_means(cell, unit):
    """The number that a person reads in the cell is the one that it stands for, rounded."""
    m = re.match(r"\s*(-?[0-9.]+(?:e-?\d+)?) ?([kMGTP]?/s|[A-Za-z%]*)", cell["text"])
    assert m, cell
    scale = SCALES[m.group(2)] / UNITS.get(unit, 1)
    step = 10.0 ** -len(m.group(1).partition(".")[2]) if "e" not in m.group(1) else float(m.group(1))
    assert abs(float(m.group(1)) * scale - float(cell["data-v"])) <= 0.501 * step * scale, (cell, unit)


def check_stats(cell, stats, unit):
    assert float(cell["data-v"]) == stats["median"], (cell, stats)
    for end in ("low", "high"):
        assert (float(cell["data-" + end]) if "data-" + end in cell else None) == stats[end], (cell, stats)
    says_what_it_means(cell, unit)


def check_results(tables, doc):
    """Every number in the tables of results is the JSON's. How many were compared."""
    units = {}
    for s in doc["samples"]:
        units.update(s["units"])
    by_case = {s["case"]: s["results"] for s in doc["summary"]}
    n = 0
    seen = set()
    for row in tables["figures-0"]["rows"]:
        case, name = int(row["data-case"]), row["data-name"]
        stats, cells = by_case[case][name], row["cells"]
        check_stats(cells[3], stats, units[name])
        for at, member in ((4, "min"), (5, "max"), (6, "n"), (7, "outliers")):
            assert float(cells[at]["data-v"]) == stats[member], (row, stats)
        seen.add((case, name))
        n += 7
    want = {(c, name) for c, results in by_case.items() for name in results}
    assert seen == want, seen ^ want
    head = tables["results-0"]["head"]
    for row in tables["results-0"]["rows"]:
        for cell, h in zip(row["cells"][2:], head[2:]):
            stats = by_case[int(row["data-case"])].get(h["title"])
            assert ("data-v" in cell) == (stats is not None), (row, h)
            if stats is not None:
                check_stats(cell, stats, units[h["title"]])
                n += 1
    return n


def median(values):
    values = sorted(values)
    m = len(values) // 2
    return values[m] if len(values) % 2 else (values[m - 1] + values[m]) / 2


def check_counters(tables, doc, metric="time"):
    """The column of a metric that is counted for an operation, from the samples themselves; rows that are in each."""
    table = tables["counters-0"]
    column = [h["text"] for h in table["head"]].index(metric)
    n = 0
    for row in table["rows"]:
        case = [s for s in doc["samples"] if s["case"] == int(row["data-case"]) and s["status"] == "ok" and s["metrics"]]
        values = [m["value"] / s["results"]["ops"] for s in case for m in s["metrics"]
                  if m["metric"] == metric and m["role"] == row["data-who"] and m["phase"] == row["data-phase"]
                  and m["thread"] is None and m["cpu"] is None and m["node"] is None]
        if len(values) < len(case):
            assert f"in {len(values)} of {len(case)}" in row["cells"][3]["text"], row
            continue
        assert close(float(row["cells"][column]["data-v"]), median(values), 1e-9), (row, values)
        n += 1
    return n


def check_ratios(tables, comparisons):
    """The table of ratios against what spanmark compare says of the same sides, in their order."""
    want = [r for c in comparisons for r in c["rows"]]
    rows = tables["ratios-table"]["rows"]
    assert len(rows) == len(want), (len(rows), len(want))
    n = 0
    for row, r in zip(rows, want):
        cell = row["cells"][5]
        assert row["data-name"] == r["metric"], (row, r)
        assert ("data-v" in cell) == (r["ratio"] is not None), (row, r)
        if r["ratio"] is None:
            continue
        assert close(float(cell["data-v"]), r["ratio"]), (row, r)
        for end in ("low", "high"):
            got = float(cell["data-" + end]) if "data-" + end in cell else None
            assert (got is None) == (r[end] is None) and (got is None or close(got, r[end])), (row, r)
        assert r["verdict"] in row["cells"][6]["text"], (row, r)
        n += 3
    return n
