#!/bin/sh
# spanmark heap: the table of types, --why, --dominators, --top and standard input on a dump whose answers are known, byte for
# byte; what it does not take gets one line and status 2; output that cannot be written is an error.
#
#   tests/cli/test_heap_command.sh BUILD_DIR
set -u
. "$(dirname "$0")/../support/command.sh"

# A table that a handle keeps leads to a list of two; a coroutine keeps the list's second; nothing keeps the last.
cat >dump.jsonl <<'DUMP'
{"spanmark_heap":1,"pid":4711}
{"root":"coroutine","thread":12,"at":"0x7f00","to":"0x3010"}
{"root":"handle","at":"0x8008","to":"0x1000"}
{"object":"0x1000","bytes":256,"type":"pointers 4","edges":["0x2000"]}
{"object":"0x2000","bytes":48,"type":"prefix 3","edges":["0x3000","0x4000"]}
{"object":"0x3000","bytes":48,"type":"prefix 3","edges":[]}
{"object":"0x4000","bytes":1000,"type":"bytes","edges":[]}
{"object":"0x5000","bytes":16,"type":"mixed 0x1","edges":["0x1000"]}
{"end":true,"objects":5,"bytes":1368}
DUMP

# shows ARGUMENT..: exactly what standard input says, status 0, nothing on stderr
shows() {
	tried=$((tried + 1))
	cat >want
	timeout 300 "$cmd" heap "$@" >out 2>err <dump.jsonl || bad "heap $*: status $?: $(cat err)"
	[ ! -s err ] || bad "heap $* says $(cat err)"
	diff want out >diff || { bad "heap $*"; cat diff; }
}

shows dump.jsonl <<'E2'
           bytes      objects  type
            1000            1  bytes
             256            1  pointers 4
              96            2  prefix 3
              16            1  mixed 0x1
            1368            5  all, from 2 roots
E2
shows --top 1 - <<'E2'
           bytes      objects  type
            1000            1  bytes
            1368            5  all, from 2 roots
E2
shows --why 0x4123 dump.jsonl <<'E2'
handle at 0x8008
  -> 0x1000  256 bytes  pointers 4
  -> 0x2000  48 bytes  prefix 3
  -> 0x4000  1000 bytes  bytes
E2
# The shorter of two ways.
shows --why 3000 dump.jsonl <<'E2'
coroutine of thread 12 at 0x7f00
  -> 0x3000  48 bytes  prefix 3
E2
shows --why 0x5000 dump.jsonl <<'E2'
nothing leads to it
E2
shows --dominators --top 3 dump.jsonl <<'E2'
     keeps bytes  object
            1304  0x1000  256 bytes  pointers 4
            1048  0x2000  48 bytes  prefix 3
            1000  0x4000  1000 bytes  bytes
E2

refuse "FILE" heap
refuse "FILE" heap dump.jsonl dump.jsonl
refuse "--nosuch" heap --nosuch dump.jsonl
refuse "--why" heap dump.jsonl --why
refuse "not an address" heap --why here dump.jsonl
refuse "not an address" heap --why -1 dump.jsonl
refuse "not an address" heap --why 0x10000000000000000 dump.jsonl
refuse "no object" heap --why 0x1100 dump.jsonl
refuse "no object" heap --why 0 dump.jsonl
for n in 0 -1 1x '' 99999999999999999999; do refuse "--top" heap --top "$n" dump.jsonl; done
refuse "No such file" heap nosuch.jsonl
refuse "." heap .
refuse "empty" heap -
grep -v '"end"' dump.jsonl >cut.jsonl
refuse "cut off" heap cut.jsonl
sed 's/"0x4000"\]/"0x6000"]/' dump.jsonl >wild.jsonl
refuse "0x6000" heap wild.jsonl

timeout 300 "$cmd" heap dump.jsonl >/dev/full 2>err && bad "no error for a full disk"
timeout 300 "$cmd" heap --help >out 2>err || bad "--help"
grep -q '^usage: spanmark heap' out || bad "--help says $(cat out)"

finish
