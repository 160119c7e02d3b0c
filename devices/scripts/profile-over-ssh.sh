#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Profiles a bundle on a board with nothing but ssh: copies the bundle and one Python file there, runs it, fetches the
# result, and removes both. The board needs python3 (3.11 or later) with numpy and onnxruntime.
#
#   profile-over-ssh.sh [user@]host BUNDLE RESULT.json [options of profile.pyz, such as -p 512 -n 128 -t 4]
#   edgeq report RESULT.json -o report.html
#
# PYTHON names another interpreter there.
set -eu

if [ $# -lt 3 ]; then
    sed -n '3,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
board=$1 bundle=$2 result=$3
shift 3

script=$(mktemp)
there=$(ssh -- "$board" mktemp -d)
trap 'rm -f -- "$script" "$result.part"; ssh -- "$board" "rm -rf -- $there"' EXIT
trap 'exit 130' INT TERM

# A word for the shell of the board.
quoted() {
    printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"
}
options=
for word in "$@"; do
    options="$options $(quoted "$word")"
done

edgeq devices script -o "$script" >&2
ssh -- "$board" "cat > '$there/profile.pyz'" < "$script"
name=$(basename -- "$bundle")
tar -C "$(dirname -- "$bundle")" -cf - -- "$name" | ssh -- "$board" "tar -C '$there' -xf -"
ssh -- "$board" "cd '$there' && ${PYTHON:-python3} profile.pyz profile ./$(quoted "$name") $options" > "$result.part"
mv -- "$result.part" "$result"
echo "$result: edgeq report $result -o report.html" >&2
