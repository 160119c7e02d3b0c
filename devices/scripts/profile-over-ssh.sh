#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Profiles a bundle on a board with nothing but ssh: copies the bundle and one Python file there, runs it, fetches the
# result, and removes both. The board needs python3 (3.11 or later) with numpy and onnxruntime.
#
#   profile-over-ssh.sh [user@]host BUNDLE RESULT.json [options of profile.pyz, such as -p 512 -n 128 -t 4]
#   edgeq report RESULT.json -o report.html
set -eu

if [ $# -lt 3 ]; then
    sed -n '3,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
board=$1 bundle=$2 result=$3
shift 3

script=$(mktemp)
there=$(ssh -- "$board" mktemp -d)
trap 'rm -f -- "$script"; ssh -- "$board" rm -rf -- "$there"' EXIT INT TERM

# Words for the shell of the board, each in quotes.
options=
for word in "$@"; do
    options="$options '$(printf %s "$word" | sed "s/'/'\\\\''/g")'"
done

edgeq devices script -o "$script" >&2
scp -q -- "$script" "$board:$there/profile.pyz"
scp -q -r -- "$bundle" "$board:$there/$(basename -- "$bundle")"
name=$(printf %s "$(basename -- "$bundle")" | sed "s/'/'\\\\''/g")
ssh -- "$board" "cd '$there' && \${PYTHON:-python3} profile.pyz profile './$name' $options" > "$result.part"
mv -- "$result.part" "$result"
echo "$result: edgeq report $result -o report.html" >&2
