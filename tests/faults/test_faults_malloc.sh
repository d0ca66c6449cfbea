#!/bin/sh
# The cells of `malloc`: see faults.sh.
exec sh "$(dirname "$0")/faults.sh" "$1" malloc
