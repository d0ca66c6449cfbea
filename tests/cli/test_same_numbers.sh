#!/bin/sh
# A report has the same numbers in every format, field by field (tests/support/formats.py), and each format is what its readers
# take: JSON its schema, OpenMetrics the parser of Prometheus, Go's format benchstat where they are installed.
#
#   tests/cli/test_same_numbers.sh BUILD_DIR
set -u
. "$(dirname "$0")/../support/command.sh"

# One that has the readers, if there is one.
python=""
for p in python3 /usr/bin/python3; do
	command -v "$p" >/dev/null || continue
	[ -n "$python" ] || python=$p
	"$p" -c "import jsonschema, prometheus_client" 2>/dev/null && python=$p && break
done
[ -n "$python" ] || { echo "no python3"; exit 77; }
benchstat=$(command -v benchstat || true)
[ -n "$benchstat" ] || echo "SKIP benchstat: not installed (go install golang.org/x/perf/cmd/benchstat@latest)"

same() { # same NAME
	tried=$((tried + 1))
	"$python" "$root/tests/support/formats.py" "$tmp" "$1" "$root/docs/report.schema.json" "$benchstat" || fails=$((fails + 1))
}

# Known numbers, and all that is rare.
if [ -x "$build/tests/test_formats" ]; then
	"$build/tests/test_formats" --write "$tmp" >out 2>&1 || bad "test_formats --write: $(cat out)"
	for name in known rich empty; do same "$name"; done
else
	echo "SKIP reports of test_formats: not built"
fi

# A run, as `show` prints it.
expect 0 "$cmd" run -w churn,graph -b gc,libc -p churn.ops=20000 -p graph.objects=2000 --reps 2 --counters sw --store s.db -o shown
for f in csv json go markdown:md openmetrics:om; do
	expect 0 "$cmd" show --store s.db -f "${f%:*}" -o "run.${f#*:}"
done
expect 0 "$cmd" show --store s.db -o run.table
expect 0 "$cmd" show --store s.db --wide -o run.wide
same run
finish
