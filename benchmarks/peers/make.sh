#!/usr/bin/env bash
# A virtual environment for each peer that the benchmarks are held against, in benchmarks/.peers (git-ignored, 4 GB with CPU builds of torch).
# Exact versions, one list a peer (NAME.txt). torch comes with what it needs; the rest comes without, because PyHessian and BackPACK would
# bring torchvision, which none of what is measured here imports. What is there already is kept; PYTHON=... chooses the interpreter.
# A peer that cannot be installed stays absent, in the tables too; the exit status is then 1.
set -uo pipefail
cd "$(dirname "$0")"
home=$(cd .. && pwd)/.peers
mkdir -p "$home"

make_one() {
    local name=$1 env=$home/$1
    "${PYTHON:-python3}" -m venv --clear "$env" || return 1
    local pip="$env/bin/python -m pip install --quiet --disable-pip-version-check"
    local torch
    torch=$(grep '^torch==' "$name.txt")
    if [ -n "$torch" ]; then $pip "$torch" || return 1; fi
    $pip --no-deps -r "$name.txt" || return 1
    cp "$name.txt" "$env/installed.txt"
}

failed=0
for list in *.txt; do
    name=${list%.txt}
    if cmp -s "$list" "$home/$name/installed.txt"; then
        echo "$name: there"
    elif make_one "$name"; then
        echo "$name: made"
    else
        echo "$name: could not be made; absent in the tables" >&2
        rm -rf "${home:?}/$name"
        failed=1
    fi
done
exit $failed
