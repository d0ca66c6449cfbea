# try.zsh FUNCTION_DIR COMMAND_DIR LINE..: what each line becomes when Tab is pressed at its end
zmodload zsh/zpty
export TERM=dumb PATH=$2:$PATH
zpty shell zsh -f -i
zpty -w shell "PS1= PS2= RPS1=; stty -echo; fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -D; LISTMAX=0; unsetopt zle_bracketed_paste 2>/dev/null; setopt no_always_last_prompt no_list_beep; echo-line() { print -r -- \"<<\$BUFFER>>\"; BUFFER=; }; zle -N echo-line; bindkey '^X' echo-line; bindkey '^I' complete-word; echo re''ady"
zpty -r shell out '*ready*'
for line in ${@:3}; do
	zpty -n -w shell "$line"$'\t\x18'
	zpty -r shell out '*<<*>>*'
	print -r -- ${${out##*<<}%%>>*}
done
zpty -d shell
