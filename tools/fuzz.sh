#!/bin/bash
# usage: tools/fuzz.sh FOLDER SECONDS [TARGET]   — runs each fuzz target so long, two at once, on its corpus and what was found before.
set -u
folder=$1 seconds=$2 only=${3:-}
failed=0
for t in "$folder"/fuzz_${only:-*}; do
	[ -f "$t" ] || continue
	case $t in *.d | *.o | *.log) continue ;; esac
	name=${t##*/fuzz_}
	found=$folder/found/$name
	mkdir -p "$found"
	corpus=("$found")
	for c in "tests/fuzz/corpus/$name" "tests/fuzz/corpus/fuzz_$name"; do [ -d "$c" ] && corpus+=("$c"); done
	echo "== $name, ${seconds}s"
	if ! "$t" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=0 -verbosity=0 \
		-artifact_prefix="$found/crash-" "${corpus[@]}" 2>"$found.log"; then
		failed=$((failed + 1))
		tail -n 40 "$found.log"
		echo "== $name: a finding, kept in $found/"
	fi
done
[ $failed = 0 ]
