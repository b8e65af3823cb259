#!/bin/bash
# usage: tools/fuzz.sh FOLDER SECONDS [TARGET]   — runs each fuzz target so long, one after another, on its corpus and on
# what earlier runs found worth keeping. A line of figures for each; whole logs and findings in FOLDER/found/.
set -u
folder=$1 seconds=$2 only=${3:-}
failed=0

figure() { # of libFuzzer's final statistics
	sed -n "s/^stat::$1: *//p" "$2" | tail -n 1
}

for t in "$folder"/fuzz_${only:-*}; do
	if [ ! -x "$t" ] || [ ! -f "$t" ]; then continue; fi
	name=${t##*/fuzz_}
	found=$folder/found/$name log=$folder/found/$name.log
	mkdir -p "$found"
	options=(-max_total_time="$seconds" -timeout=120 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1
		-artifact_prefix="$found/")
	[ -f "tests/fuzz/dict/$name" ] && options+=(-dict="tests/fuzz/dict/$name")
	corpus=("$found")
	[ -d "tests/fuzz/corpus/fuzz_$name" ] && corpus+=("tests/fuzz/corpus/fuzz_$name")
	verdict="no finding"
	if ! "$t" "${options[@]}" "${corpus[@]}" 2>"$log"; then
		failed=$((failed + 1))
		verdict="A FINDING, kept in $found/"
		tail -n 40 "$log"
	fi
	features=$(sed -n 's/.* cov: \([0-9]*\) ft: \([0-9]*\) .*/\1 edges, \2 features/p' "$log" | tail -n 1)
	echo "$name: ${seconds} s, $(figure number_of_executed_units "$log") executions, $features, $(figure peak_rss_mb "$log") MB: $verdict"
done
[ $failed = 0 ]
