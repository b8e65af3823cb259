# bash completion for ofmctl: commands and options come from its own help, so they are always those of this version.
_ofmctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command='' i
	local -a where=()

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-c | -d)
			where+=("${COMP_WORDS[i]}" "${COMP_WORDS[i + 1]}")
			i=$((i + 1))
			;;
		-*) ;;
		*)
			command=${COMP_WORDS[i]}
			break
			;;
		esac
	done
	case $prev in
	-c) mapfile -t COMPREPLY < <(compgen -f -- "$cur") && return ;;
	-d) mapfile -t COMPREPLY < <(compgen -d -- "$cur") && return ;;
	esac
	local words
	if [ -z "$command" ]; then
		words="-c -d --help --version $(ofmctl --help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p')"
	else
		# Of the usage line and the table of options: every word in small letters, and every --option.
		words=$(ofmctl "$command" --help 2>/dev/null | sed -n '1s/.*\[-d DIR\] [a-z]*//p; /^  [-a-z]/p' |
			sed '2,$s/   .*//' | grep -oE -- '--[a-z][a-z-]*|\b[a-z]{3,}\b' | sort -u)
		case $command in
		sync | account | test)
			words+=" $(ofmctl "${where[@]}" status --json 2>/dev/null |
				sed -n '/"accounts"/,/\]/s/^ *"name": "\([^" ]*\)",*$/\1/p')"
			;;
		explain | check | mailbox)
			mapfile -t COMPREPLY < <(compgen -f -W "$words" -- "$cur")
			return
			;;
		esac
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _ofmctl ofmctl
