"""What tests/cli/test_report_browser.sh does with report.html, hostile.html and run.json of the current folder."""
import json
import os

import page
from browser import Browser

SHOTS = os.environ.get("SM_SHOTS")

# Rows of a table as a person sees them now, in the form of page.py.
ROWS = """
var attributes = function (e) { var o = {}; for (var a of e.attributes) o[a.name] = a.value; return o; };
var cells = function (row) { return Array.from(row.cells).map(function (c) {
  return Object.assign(attributes(c), {tag: c.localName, text: c.innerText.replace(/\\n/g, " ")}); }); };
var t = document.getElementById(arguments[0]);
t.closest("details") && (t.closest("details").open = true);
return {head: cells(t.tHead.rows[0]), rows: Array.from(t.tBodies[0].rows).filter(function (r) { return !r.hidden; })
  .map(function (r) { return Object.assign(attributes(r), {cells: cells(r)}); })};
"""

# Each text that is displayed against what is behind it: those below 4.5 to 1.
CONTRAST = """
var light = function (c) { return c.slice(0, 3).map(function (v) { v /= 255;
  return v <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4); }); };
var parse = function (s) { var m = s.match(/[0-9.]+/g); return m ? m.map(Number) : [0, 0, 0, 0]; };
var level = function (c) { var l = light(c); return 0.2126 * l[0] + 0.7152 * l[1] + 0.0722 * l[2]; };
var behind = function (e) { for (; e; e = e.parentElement) { var b = parse(getComputedStyle(e).backgroundColor);
  if (b.length < 4 || b[3] > 0) return b; } return [255, 255, 255]; };
var walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), bad = [], seen = 0;
while (walk.nextNode()) {
  var e = walk.currentNode.parentElement;
  if (!walk.currentNode.data.trim() || e.closest("script, style, title, desc") || !e.getClientRects().length) continue;
  var style = getComputedStyle(e), color = parse(e.namespaceURI.endsWith("svg") ? style.fill : style.color);
  var a = level(color), b = level(behind(e)), ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  seen++;
  if (ratio < 4.5) bad.push([ratio.toFixed(2), e.localName, e.className, walk.currentNode.data.slice(0, 30)]);
}
return {seen: seen, bad: bad};
"""

# Texts of one chart that lie on one another.
OVERLAPS = """
var bad = [];
document.querySelectorAll("svg").forEach(function (svg) {
  var boxes = Array.from(svg.querySelectorAll("text")).map(function (t) { return [t.getBoundingClientRect(), t.textContent]; });
  for (var i = 0; i < boxes.length; i++) for (var k = i + 1; k < boxes.length; k++) {
    var a = boxes[i][0], b = boxes[k][0];
    if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 2)
      bad.push([boxes[i][1], boxes[k][1]]);
  }
});
return bad;
"""


def quiet(b, what):
    messages = [m for m in b.console() if m["level"] in ("SEVERE", "WARNING")]
    assert not messages, (what, messages)


def shot(b, name):
    if SHOTS:
        b.screenshot(os.path.join(SHOTS, name + ".png"))
        b.screenshot(os.path.join(SHOTS, name + "-whole.png"), whole=True)


def table(b, name):
    return b.run(ROWS, name)


def check_looks(width, height, dark):
    with Browser(width, height, dark) as b:
        for name in ("report", "hostile"):
            b.open(name + ".html")
            shot(b, f"{name}-{width}-{'dark' if dark else 'light'}")
            quiet(b, (name, width, dark))
            wide = b.run("return document.documentElement.scrollWidth")
            assert wide <= width, f"{name} is {wide} wide in a window of {width}"
            contrast = b.run(CONTRAST)
            assert contrast["seen"] > 300 and not contrast["bad"], (name, width, dark, contrast)
            if name == "report":
                overlaps = b.run(OVERLAPS)
                assert not overlaps, (width, overlaps)
            assert b.run("return document.querySelectorAll('svg:not(:has(> title))').length") == 0


def check_numbers(b):
    doc = json.load(open("run.json"))
    tables = {t: table(b, t) for t in ("results-0", "figures-0", "counters-0")}
    for h in tables["results-0"]["head"] + tables["counters-0"]["head"]:
        h["text"] = h["text"].strip()
    assert page.check_results(tables, doc) > 300
    assert page.check_counters(tables, doc) > 20


def column(b, at):
    cells = [r["cells"][at] for r in table(b, "results-0")["rows"]]
    return [float(c["data-v"]) if "data-v" in c else None for c in cells]


def check_order(values, down):
    there = [v for v in values if v is not None]
    assert there == sorted(there, reverse=down), values
    assert all(v is None for v in values[len(there):]), f"what has no value comes last: {values}"


def check_sorting(b):
    head = "#results-0 thead th:nth-child(%d)"
    state = "return document.querySelector(arguments[0]).getAttribute('aria-sort')"
    before = table(b, "results-0")
    titles = [h.get("title") for h in before["head"]]
    time, wait = titles.index("wall_s"), titles.index("stall_max_us")
    was = column(b, time)
    b.click((head + " button") % (time + 1))
    assert b.run(state, head % (time + 1)) == "ascending"
    check_order(column(b, time), False)
    assert column(b, time) != was, "it was sorted before"
    b.click((head + " button") % (time + 1))
    assert b.run(state, head % (time + 1)) == "descending"
    check_order(column(b, time), True)
    b.type((head + " button") % (wait + 1), "\ue007")  # Enter, on a column where some have none
    assert b.run(state, head % (wait + 1)) == "ascending" and b.run(state, head % (time + 1)) is None
    check_order(column(b, wait), False)
    assert None in column(b, wait)
    b.type((head + " button") % 1, "\ue00d")  # the space bar
    names = [r["cells"][0]["text"] for r in table(b, "results-0")["rows"]]
    assert names == sorted(names), names
    cells = [sorted(str(r["cells"]) for r in t["rows"]) for t in (before, table(b, "results-0"))]
    assert cells[0] == cells[1], "rows came or went"


def check_filter(b):
    field = "#counters-0-s input[type=search]"
    every = len(table(b, "counters-0")["rows"])
    b.type(field, "churn GC total")
    rows = table(b, "counters-0")["rows"]
    assert 0 < len(rows) < every
    assert all("churn" in r["cells"][0]["text"] and "gc" in r["cells"][1]["text"] and "total" in r["cells"][3]["text"] for r in rows)
    said = b.run("return document.querySelector('#counters-0-s output').textContent")
    assert said == f"{len(rows)} of {every} rows", said
    b.type(field, " nothing-of-this")
    assert not table(b, "counters-0")["rows"]
    b.type(field, "\ue008" * 0 + "\ue003" * len("churn GC total nothing-of-this"))  # backspaces
    assert len(table(b, "counters-0")["rows"]) == every


def check_use():
    with Browser(1280, 900) as b:
        b.open("report.html")
        check_numbers(b)
        check_sorting(b)
        check_filter(b)
        # The policy holds: what is added to the page does not run.
        b.run("var s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.appendChild(s)")
        assert b.run("return window.ran === undefined")
        refused = [m for m in b.console() if "Content Security Policy" in m["message"]]
        assert refused, "nothing was said of a script that the policy refuses"
        b.open("hostile.html")
        b.click("#results-0 thead th:nth-child(1) button")
        quiet(b, "hostile names, sorted")
        assert b.run("return document.querySelectorAll('script').length") == 1
        assert b.run("return document.querySelectorAll('[onload],[onmouseover],[onclick]').length") == 0
        if SHOTS:
            b.open("report.html")
            b.print(os.path.join(SHOTS, "report.pdf"))


def check_reader():
    """What a screen reader is told: landmarks, headings, names of tables and pictures."""
    with Browser(1280, 900) as b:
        b.open("report.html")
        b.cdp("Accessibility.enable")
        nodes = b.cdp("Accessibility.getFullAXTree")["nodes"]
        by_role = {}
        for n in nodes:
            if not n.get("ignored"):
                by_role.setdefault(n["role"]["value"], []).append(n.get("name", {}).get("value", ""))
        for role in ("banner", "navigation", "main", "contentinfo"):
            assert len(by_role.get(role, [])) == 1, (role, by_role.get(role))
        for role in ("table", "image", "region", "button", "searchbox", "heading"):
            assert by_role.get(role) and all(name.strip() for name in by_role[role]), (role, by_role.get(role))
        assert by_role.get("columnheader") and by_role.get("rowheader")


def check_without_script():
    told = {}
    for script in (True, False):
        with Browser(1280, 900, script=script) as b:
            if not script:
                b.cdp("Emulation.setScriptExecutionDisabled", value=True)
            b.open("report.html")
            root = b.cdp("DOM.getDocument", depth=1)["root"]["nodeId"]
            html = b.cdp("DOM.getOuterHTML", nodeId=root)["outerHTML"]
            p = page.Page(html)
            assert ("button" in p.tags) == script, "controls that do nothing"
            told[script] = p
            quiet(b, "without script")
    cells = [[[(c["text"], c.get("data-v")) for c in r["cells"]] for r in t["rows"]]
             for p in told.values() for t in p.tables.values()]
    half = len(cells) // 2
    assert cells[:half] == cells[half:] and half >= 4
    assert len(told[True].svgs) == len(told[False].svgs) > 10


if __name__ == "__main__":
    check_use()
    check_reader()
    check_without_script()
    for size in ((1280, 900), (400, 860)):
        for dark in (False, True):
            check_looks(*size, dark)
