#!/bin/sh
# A report page in headless Chromium: no message on the console, tables that sort by click and by key and filter, the numbers of
# the JSON in what is displayed, hostile names as text, letters that can be read in light, dark and print, no page wider than its
# window, everything there without script.
#
#   tests/cli/test_report_browser.sh BUILD_DIR
#
# SM_SHOTS=FOLDER keeps a picture of each.
set -u
. "$(dirname "$0")/../support/command.sh"
command -v python3 >/dev/null || { echo "no python3 to drive the browser with"; exit 77; }
for program in chromium chromedriver; do
	command -v $program >/dev/null || { echo "no $program: Debian's packages chromium and chromium-driver"; exit 77; }
done
PYTHONPATH=$root/tests/support PYTHONDONTWRITEBYTECODE=1
export PYTHONPATH PYTHONDONTWRITEBYTECODE

timeout 600 "$cmd" run -q -w churn,ring,binary-trees --backend libc,gc --reps 7 --store lab.db -f json -o run.json >/dev/null 2>err ||
	{ cat err; bad "run"; }
sed -n "/^cat >hostile.py <<'P'$/,/^P$/p" "$root/tests/cli/test_report.sh" | sed '1d;$d' >hostile.py
[ -s hostile.py ] || bad "no hostile names"
expect 0 "$cmd" report --store lab.db -o report.html
cp lab.db hostile.db && python3 hostile.py hostile.db
expect 0 "$cmd" report --store hostile.db 1 -o hostile.html
expect 0 timeout 300 python3 "$root/tests/support/page_browser.py"
[ ! -s out ] || cat out
finish
