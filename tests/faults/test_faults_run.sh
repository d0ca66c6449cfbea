#!/bin/sh
# The cells of `run`: see faults.sh.
exec sh "$(dirname "$0")/faults.sh" "$1" run
