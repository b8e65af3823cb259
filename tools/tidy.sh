#!/bin/bash
# usage: tools/tidy.sh CPPFLAGS…   — clang-tidy on every source file, as many at once as there are processors.
set -u
# shellcheck disable=SC2016
git ls-files 'src/*.c' 'gui-less/*.c' |
	xargs -P "$(nproc)" -I{} sh -c 'f=$1; shift; clang-tidy --quiet --warnings-as-errors="*" "$f" -- -std=c17 "$@" 2>/dev/null' tidy {} "$@"
