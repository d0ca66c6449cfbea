#!/bin/sh
# The cells of `gc`: see faults.sh.
exec sh "$(dirname "$0")/faults.sh" "$1" gc
