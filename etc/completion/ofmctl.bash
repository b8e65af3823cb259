# bash completion for ofmctl: commands and options come from its own help, so they are always those of this version.
# The values of one field in a command's JSON; nothing where it has no answer.
_ofmctl_names()
{
	ofmctl "${where[@]}" "${@:2}" --json 2>/dev/null | sed -n "s/^ *\"$1\": \"\([^\" ]*\)\",*\$/\1/p"
}

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
		sync | account | test) words+=" $(_ofmctl_names name account list)" ;;
		passwd) words=$(_ofmctl_names name users) ;;
		journal)
			case $prev in
			--user) words=$(_ofmctl_names name users) ;;
			--since) words='30m 2h 1d 7d today yesterday' ;;
			esac
			;;
		report) [ "$prev" = --day ] && words='today yesterday' ;;
		queue) words+=" $(_ofmctl_names id queue)" ;;
		help) words=$(ofmctl --help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p') ;;
		rule)
			mapfile -t COMPREPLY < <(compgen -f -W "$words $(_ofmctl_names name rule)" -- "$cur")
			return
			;;
		mailbox)
			mapfile -t COMPREPLY < <(compgen -f -W "$words $(_ofmctl_names name users)" -- "$cur")
			return
			;;
		explain | check | metrics)
			mapfile -t COMPREPLY < <(compgen -f -W "$words" -- "$cur")
			return
			;;
		esac
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _ofmctl ofmctl
