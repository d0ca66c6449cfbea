# bash completion for spanmark: the command itself says what fits (harness/command/complete.c).

_spanmark() {
	local words line=${COMP_LINE:0:COMP_POINT} cur reply
	read -ra words <<<"$line"
	case $line in *[[:space:]]) words+=("") ;; esac
	cur=${words[-1]}
	COMPREPLY=()
	while IFS=$'\t' read -r reply _; do
		case $reply in
		:files) compopt -o default ;;
		:commands) COMPREPLY+=($(compgen -c -- "$cur")) ;;
		:list) ;;
		*= | *:) COMPREPLY+=("$reply"); compopt -o nospace ;;
		*) COMPREPLY+=("$reply") ;;
		esac
	done < <("${words[0]}" --complete "${words[@]:1}" 2>/dev/null)
	# bash replaces what follows the last = or : alone
	case $cur in *[=:]*) COMPREPLY=("${COMPREPLY[@]#"${cur%"${cur##*[=:]}"}"}") ;; esac
}
complete -F _spanmark spanmark
