#!/bin/sh
# usage: tools/make_venv.sh FOLDER
# Makes a virtual environment with Python 3.11 or newer in FOLDER, unless a working one stands there.
# PYTHON names another interpreter. Where Debian's python3-venv is missing, root installs it; others are told how.
set -eu
folder=$1

fail() {
    echo "ringcard: $*" >&2
    exit 1
}

is_new_enough() {
    command -v "$1" >/dev/null 2>&1 && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if is_new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "needs Python 3.11 or newer; found ${PYTHON:-$(python3 --version 2>/dev/null || echo none)}." \
        "Install it (Debian 12: apt-get install python3) or name one: make PYTHON=/path/to/python3.11 …"
}

has_venv() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null
}

install_venv() {
    version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    command -v apt-get >/dev/null 2>&1 || fail "$1 has no venv module; install the package that brings it."
    [ "$(id -u)" = 0 ] || fail "$1 has no venv module. As root: apt-get install python$version-venv"
    echo "ringcard: installing python$version-venv, which $1 lacks"
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update && apt-get -qq install -y --no-install-recommends "python$version-venv" >/dev/null ||
        fail "python$version-venv could not be installed; see apt-get's message above."
}

if is_new_enough "$folder/bin/python" && "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
    exit 0
fi
python=$(find_python)
has_venv "$python" || install_venv "$python"
"$python" -m venv --clear "$folder"
