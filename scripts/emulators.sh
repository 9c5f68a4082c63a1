#!/bin/sh
# The AWS stand-ins the integration tests start by themselves.
#   scripts/emulators.sh install           make .cache/venv-moto and .cache/venv-roto when missing, and sshd where it may
#   scripts/emulators.sh path moto|roto    print the server binary; exit 1 when it is not installed
set -eu
cache=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)/.cache

venv() { # NAME BINARY PACKAGE
    dir=$cache/venv-$1
    [ -x "$2" ] && return 0
    mkdir -p "$cache"
    [ -x "$dir/bin/pip" ] || python3 -m venv "$dir"
    "$dir/bin/pip" install --quiet --disable-pip-version-check "$3"
}

# The locker over ssh is tested against a real server; without root or apt that test says that it is skipped.
sshd() {
    [ -x /usr/sbin/sshd ] || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || {
        apt-get update -qq && apt-get install -y -qq --no-install-recommends openssh-server
    } >/dev/null 2>&1 || echo "sshd could not be installed; its test is skipped" >&2
}

server() { # NAME
    case $1 in
        moto) echo "$cache/venv-moto/bin/moto_server" ;;
        roto) echo "$cache/venv-roto/bin/roto-server" ;;
        *) echo "unknown emulator \`$1\`; there are \`moto\` and \`roto\`" >&2; exit 2 ;;
    esac
}

case ${1:-} in
    install)
        venv moto "$(server moto)" 'moto[server]==5.2.5'
        venv roto "$(server roto)" 'roto-aws==0.10.1'
        sshd
        ;;
    path)
        binary=$(server "${2:-}")
        [ -x "$binary" ] || { echo "$2 is not installed; run scripts/emulators.sh install" >&2; exit 1; }
        echo "$binary"
        ;;
    *) sed -n '2,4s/^# *//p' "$0" >&2; exit 2 ;;
esac
