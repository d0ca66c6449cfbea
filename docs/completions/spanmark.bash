# bash completion for spanmark
#
# Names come from the command itself (spanmark list), so that they are those of the version installed.

_spanmark_names() { # _spanmark_names TOPIC: the names that `spanmark list TOPIC` prints
	case $1 in
	workloads) "$_spanmark" list workloads 2>/dev/null | sed -n 's/^  \([a-z][a-z0-9-]*\): .*/\1/p' ;;
	sets) "$_spanmark" list sets 2>/dev/null | sed -n 's/^  \([a-z][a-z0-9_-]*\) .*/\1/p' ;;
	settings) "$_spanmark" list settings 2>/dev/null | sed -n 's/^  \([a-z][a-z0-9._]*\) .*/\1=/p' ;;
	params) "$_spanmark" list workloads 2>/dev/null | sed -n 's/^    \([a-z][a-z0-9_]*\)=.*/\1=/p' | sort -u ;;
	esac
}

_spanmark_list() { # completes the last entry of a comma-separated list: _spanmark_list CUR WORDS
	local head="" last=$1
	case $1 in *,*) head=${1%,*},; last=${1##*,} ;; esac
	COMPREPLY=($(compgen -P "$head" -W "$2" -- "$last"))
}

_spanmark_run() {
	local cur=$1 prev=$2
	case $prev in
	-w | --workload) _spanmark_list "$cur" "$(_spanmark_names workloads)"; return ;;
	-p | --param) COMPREPLY=($(compgen -W "$(_spanmark_names params)" -- "$cur")); compopt -o nospace; return ;;
	-b | --backend) _spanmark_list "$cur" "gc span libc bdwgc mimalloc jemalloc tcmalloc spanmark-malloc"; return ;;
	--place) _spanmark_list "$cur" "compact scatter per-node one-per-core none"; return ;;
	--mark-place) _spanmark_list "$cur" "auto dedicated shared sibling remote-node none"; return ;;
	--kind) _spanmark_list "$cur" "all p e"; return ;;
	-s | --set | --variant) COMPREPLY=($(compgen -W "$(_spanmark_names settings)" -- "$cur")); compopt -o nospace; return ;;
	-c | --counters) COMPREPLY=($(compgen -W "auto pmu sw sim none" -- "$cur")); return ;;
	-C | --counter-set) _spanmark_list "$cur" "$(_spanmark_names sets)"; return ;;
	--by) COMPREPLY=($(compgen -W "role thread core l3 node kind" -- "$cur")); return ;;
	-f | --format) COMPREPLY=($(compgen -W "table csv json" -- "$cur")); return ;;
	--color) COMPREPLY=($(compgen -W "auto always never" -- "$cur")); return ;;
	-o | --output | --store | --config | --topology | --programs) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	--program | --setup | --teardown | --server | --client) COMPREPLY=($(compgen -c -- "$cur")); return ;;
	--metric | --better | --ready | -t | --threads | --workers | -n | --reps | --until | --max-time | --note | --seed | --timeout | -e | --event) return ;;
	esac
	COMPREPLY=($(compgen -W "-w --workload -p --param -b --backend -t --threads --workers --place --mark-place
		--kind -s --set --variant --program --programs --metric --better --setup --teardown --server --ready --client
		-n --reps --until --max-time -q --quick -c --counters -C --counter-set -e --event --multiplex --by -f --format
		-o --output --color --store --resume --timeout --note --seed --no-shuffle --config --topology --dry-run
		-h --help" -- "$cur"))
}

_spanmark() {
	local cur prev words cword _spanmark=${COMP_WORDS[0]}
	COMPREPLY=()
	# = and : are parts of our words
	if declare -F _get_comp_words_by_ref >/dev/null; then
		_get_comp_words_by_ref -n =: cur prev words cword
	else
		cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
	fi
	if [ "$cword" = 1 ]; then
		COMPREPLY=($(compgen -W "run list compare lbo topo events doctor heap --help --version" -- "$cur"))
		return
	fi
	case ${words[1]} in
	run) _spanmark_run "$cur" "$prev" ;;
	list) COMPREPLY=($(compgen -W "workloads backends places sets settings --help" -- "$cur")) ;;
	compare)
		case $prev in
		--store) COMPREPLY=($(compgen -f -- "$cur")) ;;
		-f | --format) COMPREPLY=($(compgen -W "table csv json" -- "$cur")) ;;
		*) COMPREPLY=($(compgen -W "--store --last --metric -w --workload --margin --fail-if --require-power -f --format --help gc span libc bdwgc mimalloc jemalloc tcmalloc spanmark-malloc" -- "$cur")) ;;
		esac ;;
	lbo)
		case $prev in
		--store) COMPREPLY=($(compgen -f -- "$cur")) ;;
		--metric) COMPREPLY=($(compgen -W "wall cpu cycles instructions" -- "$cur")) ;;
		-f | --format) COMPREPLY=($(compgen -W "table csv json" -- "$cur")) ;;
		*) COMPREPLY=($(compgen -W "--store --metric -w --workload -f --format --help" -- "$cur")) ;;
		esac ;;
	heap) COMPREPLY=($(compgen -f -W "--why --dominators --top --help" -- "$cur")) ;;
	*) COMPREPLY=($(compgen -W "--help" -- "$cur")) ;;
	esac
	declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions "$cur"
}
complete -F _spanmark spanmark
