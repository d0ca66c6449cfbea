#!/bin/sh
# spanmark run --server: a server that is measured while a client loads it, and all that may go wrong between them.
#
#   tests/cli/test_server.sh BUILD_DIR
. "$(dirname "$0")/../support/program.sh"

# ---- servers ------------------------------------------------------------------------------------
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
run "a server" 0 's["status"] == "ok"' 'r["requests"] == 500' 'r["wall_s"] > 0' 'r["context_switches"] is None' \
	's["params"]["server"] == "'"$b serve $port"'" and s["params"]["client"]' 'not s["warnings"]' -- $plain \
	--server "$b serve $port" --ready $port --client "$b request $port 500" --metric 'requests=requests ([0-9]+)'
run "a server that says it is ready" 0 's["status"] == "ok"' -- $plain --server "$b serve $port" --ready '^serving at port [0-9]+$' \
	--client "$b request $port 10"
[ -z "$sane" ] || run "a server under our malloc" 0 's["library"]["path"].endswith("libspanmark-malloc.so")' -- $plain -b spanmark-malloc \
	--server "$b serve $port" --ready $port --client "$b request $port 100"
run "a server never ready" 1 's["status"] == "timeout"' '"was not ready" in s["message"]' -- $plain --timeout 1 --server "$b stubborn" \
	--ready never --client "$b request $port 1"
run "a server that ends" 1 '"status 7; it said: last words" in s["message"]' -- $plain --server "$b status 7" --ready $port --client true
run "a server that goes away" 1 '"foreground" in s["message"]' -- $plain --server "$b daemon" --ready $port --client true
run "a client that fails" 1 '"client" in s["message"] and "status 5" in s["message"]' -- $plain --server "$b serve $port" --ready $port \
	--client "$b status 5"
limit=$(limit --server "$b serve $port" --ready $port --client "$b stubborn")
run "a client without end" 1 's["status"] == "timeout"' '"client" in s["message"]' -- $plain --timeout "$limit" \
	--server "$b serve $port" --ready $port --client "$b stubborn"
run "a server that ends under load" 1 '"server" in s["message"] and "status 3" in s["message"]' -- $plain --server "$b serve $port" \
	--ready $port --client "$b quit $port"
run "a server that ends while its client waits" 1 's["status"] == "failed"' '"server" in s["message"] and "status 3" in s["message"]' \
	-- $plain --server "$b serve $port" --ready $port --client "sh -c '$b quit $port; $b stubborn'"
run "a stubborn server" 0 's["status"] == "ok"' '"SIGKILL" in w' -- $plain --server "$b serve-stubbornly $port" --ready $port \
	--client "$b request $port 10"
refused "no client" "--client" --server "$b serve $port" --ready 1
refused "no ready" "--ready" --server "$b serve $port" --client true
refused "no port" "--ready '65536': a port is a number from 1 to 65535" --server "$b serve $port" --client true --ready 65536
refused "a client alone" "belong to --server" --client true
cp "$b" another
mkfifo up
./another serve $port >up 2>&1 &
other=$!
read -r line <up # "serving at port .."
run "a port that is taken" 1 '"answers before" in s["message"]' -- $plain --server "$b serve $port" --ready $port --client true
kill $other

finish
