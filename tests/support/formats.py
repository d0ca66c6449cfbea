"""One report in all formats: the same numbers, field by field.

  formats.py DIR NAME SCHEMA [BENCHSTAT]

Reads DIR/NAME.csv, .json, .go, .md, .om, and where they are there .table and .wide, each by code of its own that knows
nothing of the writers, and says what differs.
The JSON is the measure: CSV and Go have its samples, Markdown and OpenMetrics its summary, which is computed here again.
"""
import configparser, csv, html, json, math, os, re, statistics, subprocess, sys

folder, name, schema = sys.argv[1:4]
benchstat = sys.argv[4] if len(sys.argv) > 4 else ""
fails = 0


def bad(what):
    global fails
    fails += 1
    if fails <= 20:
        print(f"FAIL {name}: {what}")


def path(end):
    return os.path.join(folder, name + end)


def text(end):
    with open(path(end), encoding="utf-8", newline="") as f:
        return f.read()


def plain(s):  # control characters are '?' everywhere but in JSON
    return re.sub(r"[\x00-\x1f\x7f]", "?", s)


def close(a, b):
    return a == b or math.isclose(a, b, rel_tol=1e-12)


report = json.loads(text(".json"), parse_constant=lambda c: bad(f"JSON has {c}"))
cases = {}
for s in report["samples"]:
    cases.setdefault(s["case"], []).append(s)
by = next((k for c in report["summary"] for r in c["counters"] for k in r
           if k not in ("phase", "reps", "occurred", "values", "missing")), "role")


def pairs(obj, esc):
    out = ""
    for k, v in obj.items():
        v = v if isinstance(v, str) else ";".join(f"{x:.15g}" for x in (v if isinstance(v, list) else [v]))
        out += f"/{esc(k)}={esc(v)}"
    return out


def case_name(s, esc=lambda x: x):
    n = esc(s["workload"]) + pairs(s["params"], esc) + pairs(s["config"], esc)
    for k in ("place", "mark_place", "kind", "workers", "threads"):
        if k in s["placement"] and not (k == "threads" and "threads" in s["params"]):
            n += f"/{k}={esc(str(s['placement'][k]))}"
    return n


# ---- JSON: its schema, and the summary from the samples
try:
    import jsonschema
    with open(schema, encoding="utf-8") as f:
        rules = json.load(f)
    jsonschema.Draft7Validator.check_schema(rules)
    for e in jsonschema.Draft7Validator(rules).iter_errors(report):
        bad(f"schema: {'/'.join(map(str, e.path))}: {e.message[:200]}")
except ImportError:
    print("SKIP the JSON schema: no python3-jsonschema")


def repetitions(samples):
    reps = {}
    for s in samples:
        reps.setdefault(s["rep"], []).append(s)
    return reps


def mean(values):
    return math.fsum(values) / len(values)


def by_rep(samples, figure):  # the mean over the passes of each repetition
    out = []
    for passes in repetitions(samples).values():
        got = [v for v in map(figure, passes) if v is not None]
        out += [mean(got)] if got else []
    return out


for c in report["summary"]:
    samples = cases[c["case"]]
    names = {n for s in samples for n in s["results"]}
    for n in names:
        values = by_rep(samples, lambda s: s["results"].get(n))
        if not values:
            if n in c["results"]:
                bad(f"summary of {n}, which no sample has")
            continue
        got = c["results"].get(n)
        if got is None:
            bad(f"no summary of {n}")
        elif got["n"] != len(values) or not close(got["median"], statistics.median(values)) or \
                (got["min"], got["max"]) != (min(values), max(values)) and not close(got["min"], min(values)):
            bad(f"summary of {n}: {got}, samples say {values}")

# ---- CSV: every field of every sample
with open(path(".csv"), encoding="utf-8", newline="") as f:
    rows = list(csv.DictReader(f))


def field(row, key):
    v = row[key]
    return v[1:] if v[:1] == "'" and v[1:2] and v[1] in "=+-@\t\r" else v


def same_text(row, key, want):
    if plain(field(row, key)) != plain("" if want is None else want):
        bad(f"CSV {key} is {row[key]!r}, JSON {want!r} ({row['run'][:60]} {row['metric']})")


def same_number(row, key, want):
    got = row[key]
    if (got == "") != (want is None) or (want is not None and float(got) != want):
        bad(f"CSV {key} is {got!r}, JSON {want!r} ({row['run'][:60]} {row['metric']} {row['phase']})")


at = 0
for s in report["samples"]:
    want = [] if s["status"] == "ok" else [("sample", None)]
    want += list(s["results"].items())
    for n, v in want:
        row, at = rows[at], at + 1
        same_text(row, "metric", n)
        same_number(row, "value", v)
        same_text(row, "unit", s["units"].get(n))
        same_text(row, "reason", s["message"] if n == "sample" and s["status"] != "ok" else s["missing"].get(n))
        same_text(row, "status", s["status"] if s["status"] != "ok" else "ok" if v is not None else "not_counted")
        same_text(row, "run", case_name(s))
        same_text(row, "backend", s["backend"])
    for m in s["metrics"]:
        row, at = rows[at], at + 1
        for key in ("role", "phase", "metric", "event", "unit", "status", "source", "calibration", "reason"):
            same_text(row, key, m.get(key, ""))
        same_text(row, "core_kind", m["core_kind"] if m["core_kind"] != "-" else "")
        for key in ("thread", "cpu", "node", "core", "l3", "value", "enabled_ns", "running_ns"):
            same_number(row, key, m[key])
        same_text(row, "run", case_name(s))
        same_number(row, "rep", s["rep"])
        same_number(row, "pass", s["pass"])
if at != len(rows):
    bad(f"CSV has {len(rows)} rows, JSON {at}")

# ---- Go: the published format, strictly
def go_escape(s):
    return "".join(f"%{b:02X}" if b <= 0x20 or b >= 0x7f or chr(b) in "/%" else chr(b) for b in s.encode())


def go_unit(n, counter):
    if counter and n == "time":
        return "ns"
    return "/".join(map(go_escape, n.split("_per_", 1)))


ROLE_SUMS = ("by-thread", "by-core", "by-l3", "by-node", "by-package", "by-kind")


def go_row(m):  # --by role alone: JSON does not tell the sums of threads from others
    kind = f"/kind={go_escape(m['core_kind'])}" if m["core_kind"] not in ("-", "") else ""
    return f"/role={go_escape(m['role'])}{kind}/phase={go_escape(m['phase'])}"


want, exact_ok = {}, {}
for samples in cases.values():
    s = samples[0]
    base = case_name(s, go_escape)
    base = base[0].upper() + base[1:] if base[0].isalpha() else "X" + base
    threads = f"-{s['placement'].get('threads', 1)}"
    for passes in repetitions(samples).values():
        line = {}
        for p in passes:
            for n, v in p["results"].items():
                if v is not None and n:
                    line.setdefault(go_unit(n, False), []).append(v)
        if line:
            want.setdefault(f"{base}/backend={go_escape(s['backend'])}{threads}", []).append(line)
        lines = {}
        for p in passes:
            for m in p["metrics"]:
                if m["value"] is not None and m["role"] not in ROLE_SUMS and m["thread"] is None and by == "role":
                    row = f"{base}/backend={go_escape(s['backend'])}{go_row(m)}{threads}"
                    lines.setdefault(row, {}).setdefault(go_unit(m["metric"], True), []).append(m["value"])
        for row, line in lines.items():
            want.setdefault(row, []).append(line)
got, units = {}, {}
for i, line in enumerate(text(".go").split("\n")):
    if line.startswith("Benchmark"):
        fields = line.split()
        if len(fields) < 4 or len(fields) % 2 or not re.fullmatch(r"[1-9]\d*", fields[1]):
            bad(f"Go line {i + 1}: {line[:120]}")
            continue
        if not re.fullmatch(r"Benchmark[^a-z]\S*-\d+", fields[0]):
            bad(f"Go line {i + 1}: name {fields[0]}")
        values = {}
        for v, u in zip(fields[2::2], fields[3::2]):
            if u in values or not math.isfinite(float(v)):
                bad(f"Go line {i + 1}: {v} {u}")
            values[u] = float(v)
        got.setdefault(fields[0][len("Benchmark"):], []).append(values)
    elif line.startswith("Unit "):
        _, u, *settings = line.split(" ")
        for x in settings:
            key, _, value = x.partition("=")
            if (key, value) not in (("better", "higher"), ("better", "lower"), ("assume", "exact")) or (u, key) in units:
                bad(f"Go line {i + 1}: {line}")
            units[u, key] = value
    elif line and not line.startswith("#") and not re.fullmatch(r"[a-z][^\sA-Z:]*: [^\r\x1b]*", line):
        bad(f"Go line {i + 1} is nothing: {line[:120]!r}")
for n in sorted(set(want) | set(got)):
    a, b = want.get(n, []), got.get(n, [])
    if by != "role" and "/phase=" in n:
        continue
    if len(a) != len(b):
        bad(f"Go has {len(b)} lines of {n}, JSON {len(a)} repetitions")
    for x, y in zip(a, b):
        if set(x) != set(y):
            bad(f"Go line of {n}: {sorted(set(x) ^ set(y))[:5]} in one alone")
        for u in set(x) & set(y):
            if not close(mean(x[u]), y[u]):
                bad(f"Go {n} {u}: {y[u]}, JSON {x[u]}")
for (u, key), value in units.items():  # what is called exact is the same in each repetition
    for n, lines in got.items():
        if key == "assume" and len({v[u] for v in lines if u in v}) > 1:
            bad(f"Go: {u} of {n} is called exact and varies")
if benchstat:
    r = subprocess.run([benchstat, path(".go")], capture_output=True, text=True)
    if r.returncode or re.search(r"syntax|parsing|missing|already set", r.stderr):
        bad(f"benchstat: {r.stderr[:300]}")
    if want and not r.stdout.strip():
        bad("benchstat prints nothing")

# ---- OpenMetrics
SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\} (\S+)')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
om, types = {}, {}
om_text = text(".om")
if not om_text.endswith("# EOF\n"):
    bad("OpenMetrics does not end in # EOF")
for line in om_text.split("\n")[:-2]:
    if line.startswith("# "):
        kind, family, rest = line[2:].split(" ", 2)
        if kind == "TYPE" and family in types:
            bad(f"OpenMetrics: {family} twice")
        if kind == "TYPE":
            types[family] = rest
        if kind == "UNIT" and not family.endswith("_" + rest):
            bad(f"OpenMetrics: {line}")
        continue
    m = SAMPLE.fullmatch(line)
    if not m:
        bad(f"OpenMetrics: {line[:120]}")
        continue
    labels = {k: re.sub(r"\\(.)", lambda e: {"n": "\n"}.get(e[1], e[1]), v) for k, v in LABEL.findall(m[2])}
    key = (m[1], frozenset(labels.items()))
    if key in om:
        bad(f"OpenMetrics: twice: {line[:120]}")
    om[key] = float(m[3])
try:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
    theirs = {(s.name, frozenset(s.labels.items())): s.value for f in parse(om_text) for s in f.samples}
    if theirs != om:
        bad(f"OpenMetrics: the parser of Prometheus reads other samples: {list(set(theirs) ^ set(om))[:2]}")
except ImportError:
    print("SKIP the OpenMetrics parser: no python3-prometheus-client")
except Exception as e:
    bad(f"OpenMetrics: the parser of Prometheus refuses it: {e!r}")


def om_clean(s):
    return re.sub(r"[\x00-\x09\x0b-\x1f\x7f]", "?", s)


expected = {}


def expect(kind, figure, samples, stats, **who):
    family = re.sub(r"[^a-zA-Z0-9]", "_", f"spanmark_{kind}_{figure}".encode().decode("latin-1"))
    labels = dict(case=str(samples[0]["case"]), run=om_clean(case_name(samples[0])), workload=om_clean(samples[0]["workload"]),
                  backend=om_clean(samples[0]["backend"]), **who)
    if family != f"spanmark_{kind}_{figure}":
        labels["figure"] = om_clean(figure)
    for stat in ("median", "low", "high", "min", "max"):
        if stats[stat] is not None:
            expected[family, frozenset({**labels, "stat": stat}.items())] = stats[stat]


for c in report["summary"]:
    for n, stats in c["results"].items():
        expect("result", n, cases[c["case"]], stats)
    for r in c["counters"]:
        for n, stats in r["values"].items():
            expect("counter", n, cases[c["case"]], stats, **{by: om_clean(r[by]), "phase": om_clean(r["phase"])})
ours = {k: v for k, v in om.items() if k[0].startswith(("spanmark_result_", "spanmark_counter_"))}
for k in set(ours) | set(expected):
    if ours.get(k) != expected.get(k):
        bad(f"OpenMetrics {k[0]} {sorted(k[1])[:3]}: {ours.get(k)}, JSON {expected.get(k)}")
absent = sum(k[0] == "spanmark_absent_info" and by in dict(k[1]) for k in om)
missing = sum(len(r["missing"]) for c in report["summary"] for r in c["counters"])
if absent != missing:
    bad(f"OpenMetrics says of {absent} counters why they are absent, JSON of {missing}")

# ---- Markdown: its cells are JSON's numbers, rounded
TITLES = {"wall": "wall_s", "per op": "ns_per_op", "GCs": "gc_cycles", "marked": "mark_objects_per_s", "max stall": "stall_max_us",
          "peak RSS": "peak_rss_kib"}
COLUMNS = {}
table = configparser.ConfigParser()
table.read(os.path.join(os.path.dirname(schema), "..", "perf", "sets", "table.ini"))
for section in table.sections():
    if "title" in table[section]:
        COLUMNS[table[section]["title"]] = section.removeprefix("metric ")
SCALE = {"ps": 1e-3, "ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9, "B": 1, "KiB": 1024, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
         "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18, "": 1, "%": 1}
BASE = {"ns": 1, "us": 1e3, "s": 1e9, "ms": 1, "KiB": 1024}


def cell_is(cell, value, unit):
    m = re.fullmatch(r"(-?[\d.]+(?:e[-+]?\d+)?) ?([a-zA-Z%]*?)(/s)?", cell)
    if not m or m[2] not in SCALE:
        return False
    shown, real = float(m[1]) * SCALE[m[2]], value * BASE.get(unit, 1)
    if "e" in m[1]:
        return math.isclose(shown, real, rel_tol=0.5)
    # three digits, or half of the last place where there are fewer: 0.0012 is 0.00125 as well
    half = 0.501 * 10.0 ** -len(m[1].partition(".")[2]) * SCALE[m[2]]
    return math.isclose(shown, real, rel_tol=0.006, abs_tol=half if shown or unit == "%" else 0)


def cells(line):
    return [html.unescape(c.strip().replace("<code>", "").replace("</code>", "")) for c in line.strip().strip("|").split("|")]


def md_clean(s):
    return plain(s.replace("\n", " "))


def md_case(c, row, twins):
    s = cases[c][0]
    if [md_clean(s["workload"]), md_clean(s["backend"])] != row[:2]:
        return False
    return not twins or row[2] == md_clean(case_name(s)[len(s["workload"]) + 1:])


units_of = {}
for samples in cases.values():
    for s in samples:
        units_of.update(s["units"])
head, seen, rows_seen = None, set(), 0
for line in text(".md").split("\n"):
    if not line.startswith("|"):
        head = None
        continue
    if head is None:
        head = cells(line)
        continue
    if line.startswith("|---"):
        if line.count("|") - 1 != len(head):
            bad(f"Markdown: {line} under {head}")
        continue
    row, twins = cells(line), "case" in head
    if len(row) != len(head):
        bad(f"Markdown: {len(row)} cells under {len(head)} heads: {line[:200]}")
        continue
    found = [c for c in report["summary"] if md_case(c["case"], row, twins)]
    if not found:
        bad(f"Markdown: no case of {row}")
        continue
    first = 3 if twins else 2
    if head[first] == "result":
        ok = any(row[first] == md_clean(n) and cell_is(row[first + 1], s["median"], units_of[n])
                 for c in found for n, s in c["results"].items())
        if not ok:
            bad(f"Markdown: {row}")
        continue
    for title, cell in list(zip(head, row))[first:]:
        stats = None
        if title in TITLES:
            stats, unit = found[0]["results"].get(TITLES[title]), units_of.get(TITLES[title], "")
        elif by in head and title not in (by, "phase"):
            rows_seen += 1
            of = [r for r in found[0]["counters"] if [md_clean(r[by]), md_clean(r["phase"])] == row[first:first + 2]]
            key = COLUMNS.get(title, title)
            fits = lambda n: n in (key, key + "_per_op") or (key, n) == ("time", "time_ns_per_op") or \
                len(title) == 15 and md_clean(n).startswith(title)  # a title is cut there
            names = [n for n in (of[0]["values"] if of else {}) if fits(n)]
            stats, unit = (of[0]["values"][names[0]] if names else None), "ns" if key == "time" else ""
        else:
            continue
        cell = cell.rstrip("?").removesuffix("\\*")
        if stats is None and not re.fullmatch(r"n/a( \d+)?|-", cell) or stats is not None and not cell_is(cell, stats["median"], unit):
            bad(f"Markdown: {title} of {row[:first]} is {cell}, JSON {stats and stats['median']}")
if any(r["values"] for c in report["summary"] for r in c["counters"]) and rows_seen == 0:
    bad("Markdown has no counters")

# ---- the table, of cases that workload and backend tell apart -----------------------------------------
TITLES["p99 stall"] = "stall_p99_us"
def table_titles(head):
    # "GCs p99 stall max stall" have one blank between them: known titles first
    known, at, out = sorted(list(TITLES) + list(COLUMNS) + ["95% interval", "±95%"], key=len, reverse=True), 0, []
    while at < len(head):
        if head[at] == " ":
            at += 1
            continue
        title = next((t for t in known if head.startswith(t, at) and head[at + len(t):at + len(t) + 1] in ("", " ")), None)
        title = title or head[at:].split(" ")[0]
        out.append((title, at, at + len(title)))
        at += len(title)
    return out


TIME_WORD = re.compile(r"(?:([a-z][\w-]*) )?([a-z][\w-]*) (?:\d+/\d+ )?([\d.]+ [pnum]?s)[?!~*]*(?: \(([^()]*)\))?")


def time_words(words, end, case, role):
    """Phases of few counts, on one line: "mutator app 311 ns  mark 8.2 ns (337 instr, 1.17 L1D)". The role of the last one."""
    for named, phase, cell, counts in (TIME_WORD.fullmatch(w).groups() for w in words):
        of = {(r[by], r["phase"]): r["values"] for r in case["counters"]}
        # a role that is called as its phase is not named
        role = named or (phase if (phase, phase) in of and (role, phase) not in of else role)
        if phase == "other":
            continue
        stats = of.get((role, phase), {}).get("time_ns_per_op")
        if stats is None or not cell_is(cell, stats["median"], "ns"):
            bad(f"{end}: time of {[role, phase]} is '{cell}', JSON {stats and stats['median']}")
        for cell, title in (c.split(" ", 1) for c in counts.split(", ")) if counts else ():
            stats = of.get((role, phase), {}).get(COLUMNS.get(title, title) + "_per_op")
            if stats is None or not cell_is(cell.rstrip("?!~*"), stats["median"], ""):
                bad(f"{end}: {title} of {[role, phase]} is '{cell}', JSON {stats and stats['median']}")
    return role


def check_table(end):
    known_cells, kind, titles, who = 0, None, [], [None, None]
    role = None
    for line in text(end).split("\n"):
        if line.startswith("workload "):
            titles = table_titles(line)
            kind = "counters" if "phase" in [t for t, _, _ in titles] else "results"
            continue
        if line.startswith("Time for one operation"):  # and no row of counts, so no heads
            heap = next(a for t, a, _ in titles if t == "heap")
            kind, titles = "counters", [("workload", 0, 8), ("heap", heap, heap + 4), (by, heap + 5, heap + 9), ("phase", heap + 14, heap + 19)]
            continue
        if not line.strip() or kind is None:
            kind = None if not line.strip() else kind
            continue
        at = {t: (a, b) for t, a, b in titles}
        names = [t for t in ("workload", "heap", "role", "phase") if t in at]
        values = [(t, a, b) for t, a, b in titles if t not in names]
        starts = [at[n][0] for n in names]
        last = line[starts[-1]:].split(" ")[0]
        left = starts[-1] + len(last)
        who = [line[starts[i]:starts[i + 1]].strip() if i + 1 < len(starts) else last for i in range(len(names))]
        if who[0]:
            case_of = [c for c in report["summary"] if [c["workload"], c["backend"]] == who[:2]]
        if len(case_of) != 1:
            bad(f"{end}: {len(case_of)} cases of {who}")
            return
        case = case_of[0]
        words = re.split(" {2,}", line[starts[2]:].strip()) if kind == "counters" else [""]
        if all(map(TIME_WORD.fullmatch, words)):
            role = time_words(words, end, case, role)
            known_cells += len(words)
            continue
        for title, _, b in values:
            cell, left = line[left:b].strip(), b
            if title in ("95% interval", "±95%"):
                continue
            stats, unit = None, ""
            if title in TITLES:
                stats, unit = case["results"].get(TITLES[title]), units_of.get(TITLES[title], "")
            elif kind == "results":  # the mutator's counts of the whole
                rows_of = [r for r in case["counters"] if r[by] == "mutator"]
                of = [r for r in rows_of if r["phase"] == "total"] or (rows_of if len(rows_of) == 1 else [])
                if not of:
                    continue
                stats = of[0]["values"].get(COLUMNS.get(title, title) + "_per_op")
            else:
                of = [r for r in case["counters"] if [r[by], r["phase"]] == who[2:]]
                if who[3] == "other":
                    continue  # joins several; test_brief holds it
                key = "time_ns_per_op" if title == "time" else COLUMNS.get(title, title)
                stats = next((of[0]["values"][k] for k in (key, key + "_per_op") if of and k in of[0]["values"]), None)
                unit = "ns" if title == "time" else ""
            cell = re.sub(r"^\d+/\d+ +", "", cell.rstrip("?!~*"))  # in how many repetitions it occurred
            known_cells += stats is not None
            if stats is None and not re.fullmatch(r"n/a( \d+)?|-", cell) or stats is not None and not cell_is(cell, stats["median"], unit):
                bad(f"{end}: {title} of {who} is '{cell}', JSON {stats and stats['median']}")
    if known_cells < 10:
        bad(f"{end}: only {known_cells} figures were compared")


for end in ".table", ".wide":
    if os.path.exists(path(end)):
        check_table(end)

print(f"{name}: {len(report['samples'])} samples, {len(rows)} rows, {sum(map(len, got.values()))} lines, {len(ours)} gauges" +
      (f", {fails} FAILURES" if fails else ": the same in all formats"))
sys.exit(fails > 0)
