#!/bin/sh
# Debian packages that the whole test suite uses: a browser, SIP telephones, what makes an Asterisk folder, MariaDB.
# Root gets the missing ones installed; anybody else is told which tests will be skipped without them.
set -eu

missing=
need() { # COMMAND PACKAGE
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}

need chromium chromium
need sipp sip-tester
need debootstrap debootstrap
need xz xz-utils
need mariadbd mariadb-server-core # its programs alone: no server is started
need my_print_defaults mariadb-client-core
[ -d /usr/lib/postgresql ] || missing="$missing postgresql" # its programs alone: the tests start clusters of their own
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "ringcard: not installed:$missing; the tests that need them are skipped." >&2
elif [ "$(id -u)" != 0 ]; then
    echo "ringcard: not installed:$missing; the tests that need them are skipped." \
        "As root: apt-get install$missing" >&2
else
    echo "ringcard: installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    # Debian would start a server of its own beside the programs; nobody asked for one.
    if [ ! -d /usr/lib/postgresql ] && [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        mkdir -p /etc/postgresql-common
        echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
    fi
    apt-get -qq update
    # shellcheck disable=SC2086  # several words on purpose
    apt-get -qq install -y --no-install-recommends $missing fonts-dejavu-core >/dev/null
fi
