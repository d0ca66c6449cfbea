#!/bin/sh
# Fails on what must not be tracked, and on what documents say that is not so.
#
#   tests/hygiene.sh [ROOT]
#
# No binaries, no file above 200 kB; what begins with #! can be executed; Markdown and comments fit 100 columns; every source
# of the product opens with its name; every file and symbol that documents and the opening comments of sources name exists.
set -eu
cd "${1:-$(dirname "$0")/..}"
exec python3 tests/support/hygiene.py
