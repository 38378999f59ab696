#!/bin/sh
# Installs hermes-setup from the folder this file is in, then starts it:  sudo ./install.sh [ARGS]
# Again = upgrade. What it makes: /opt/hermes-setup (a Python environment of its own) and /usr/local/bin/hermes-setup.
# The new environment is built beside the old one and takes its place by one rename, so there is always a whole one.
set -eu

HOME_DIR=/opt/hermes-setup
COMMAND=/usr/local/bin/hermes-setup
NEEDED_MB=150
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a UCF_FORCE_CONFFOLD=1
export PYTHONDONTWRITEBYTECODE=1 PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV || :
umask 022
[ -n "${HOME:-}" ] || { HOME=/root; export HOME; }

say() { printf '%s\n' "$*" >&2; }

# stop CODE WHAT NEXT: what happened and why, then what to do.
stop() {
    code=$1; say "hermes-setup: $2"; say "  $3"; exit "$code"
}

new='' log='' work='' child=''
clean_up() {
    # A command in the background does not hear ^C; apt and pip tidy up after themselves when they are asked to end.
    [ -z "$child" ] || { kill "$child" 2>/dev/null && wait "$child" 2>/dev/null; } || :
    [ -z "$new" ] || rm -rf "$new"
    [ -z "$work" ] || rm -rf "$work"
}
trap clean_up EXIT
trap 'say; say "Stopped. What was there before still works; run it again and it goes on."; exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# -- where it is, and what it is run on -----------------------------------------------------------------------------------

self=$(readlink -f -- "$0")
source_dir=$(dirname -- "$self")
[ -f "$source_dir/pyproject.toml" ] && [ -d "$source_dir/hermes_setup" ] && [ -d "$source_dir/templates" ] ||
    stop 2 "the program is not beside install.sh (in $source_dir)." \
        "Unpack the whole release, or clone the whole repository, and run ./install.sh in it."
[ "$(id -u)" = 0 ] ||
    stop 2 "this needs root: it installs packages and writes to /opt." "Type: sudo ./install.sh${*:+ $*}"
[ -r /etc/os-release ] || stop 2 "this is no Linux distribution that says its name (/etc/os-release)." \
    "hermes-setup works on Debian 12 and 13 and on Ubuntu 22.04 and later."
distribution=$(. /etc/os-release; printf '%s' "${ID:-} ${ID_LIKE:-}")
pretty=$(. /etc/os-release; printf '%s' "${PRETTY_NAME:-${ID:-unknown}}")
case " $distribution " in
*" debian "* | *" ubuntu "*) ;;
*) stop 2 "$pretty is not a distribution it knows." \
    "hermes-setup works on Debian 12 and 13 and on Ubuntu 22.04 and later." ;;
esac
command -v apt-get >/dev/null || stop 2 "apt-get is missing on this $pretty." "hermes-setup needs it to install nginx and certbot."

# -- one at a time, and only when there is something new ------------------------------------------------------------------

mkdir -p "$HOME_DIR/releases"
chmod 755 "$HOME_DIR" "$HOME_DIR/releases"
exec 9>"$HOME_DIR/lock"
flock -n 9 || stop 75 "another install.sh is at work." "Wait until it has ended, then run this again."

# What makes a release: its code, its templates, its pins, and the Python it runs on.
mark=$( (
    cd "$source_dir"
    find hermes_setup templates requirements pyproject.toml install.sh -type f ! -name '*.pyc' -print0 | LC_ALL=C sort -z |
        xargs -0 sha256sum
    /usr/bin/python3 -V 2>&1 || :
) | sha256sum | cut -c1-16)
current=$(readlink "$HOME_DIR/current" 2>/dev/null || :)
if [ "${current#releases/}" = "$mark" ] && [ -x "$HOME_DIR/current/bin/hermes-setup" ] &&
    "$HOME_DIR/current/bin/python" -c '' 2>/dev/null && [ "$(readlink "$COMMAND" 2>/dev/null)" = "$HOME_DIR/current/bin/hermes-setup" ]; then
    exec 9>&-
    trap - EXIT INT TERM HUP
    exec "$COMMAND" "$@"
fi

# -- a Python that can make environments ----------------------------------------------------------------------------------

log=$HOME_DIR/install.log
: >"$log"; chmod 600 "$log"

# step TITLE COMMAND...: one line; its output only when it fails.
step() {
    title=$1; shift
    printf '%s ... ' "$title" >&2
    began=$(date +%s)
    # In the background, so that a signal is heard at once; waited for, so that its status is known.
    "$@" >>"$log" 2>&1 9>&- </dev/null &
    child=$!
    if wait "$child"; then
        child=''
        say "done ($(($(date +%s) - began)) s)"
    else
        status=$? child=''
        say "failed"
        tail -n 15 "$log" | sed 's/^/    /' >&2
        return "$status"
    fi
}

# Who holds dpkg's lock: its inode in /proc/locks, then that process's name. It is never killed.
lock_holder() {
    for file in /var/lib/dpkg/lock-frontend /var/lib/apt/lists/lock /var/lib/dpkg/lock; do
        inode=$(stat -c %i "$file" 2>/dev/null) || continue
        pid=$(sed -n "s/^[0-9]*: [A-Z]* *[A-Z]* *[A-Z]* *\([0-9]*\) [0-9a-f:]*:$inode .*/\1/p" /proc/locks 2>/dev/null | head -n 1)
        [ -z "$pid" ] || { printf '%s (process %s)' "$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | cut -c1-60)" "$pid"; return; }
    done
}

apt() { apt-get -q -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 -o Acquire::Retries=2 "$@"; }

# apt waits for dpkg's lock only, not for that of the lists; and nobody tells when an fcntl lock is given back.
update_lists() {
    tries=300
    while [ -n "$(lock_holder)" ] && [ $((tries -= 1)) -gt 0 ]; do sleep 2; done
    apt update
}

install_packages() {
    holder=$(lock_holder)
    [ -z "$holder" ] || say "Another program is installing packages: $holder. Waiting for it, up to ten minutes."
    # Interrupted once, dpkg refuses everything until it has been finished.
    if [ -n "$(ls /var/lib/dpkg/updates 2>/dev/null)" ] || dpkg --audit 2>/dev/null | grep -q .; then
        step "Finishing an interrupted package installation" dpkg --configure -a --force-confdef --force-confold ||
            stop 1 "dpkg could not finish what was interrupted." "Look at: sudo dpkg --configure -a"
    fi
    network="If the lines above speak of connecting or resolving: this server has no network. Does this work?  sudo apt-get update"
    step "Fetching the lists of packages" update_lists || stop 1 "the lists of packages could not be fetched (above)." "$network"
    step "Installing $*" apt install -y --no-install-recommends -o Dpkg::Options::=--force-confdef \
        -o Dpkg::Options::=--force-confold "$@" ||
        stop 1 "the distribution's packages could not be installed (above)." "$network  And this?  sudo apt-get install $*"
}

# The distribution's own Python: what else is called python3 on the PATH belongs to somebody else.
python=/usr/bin/python3
can_make_environments() { "$python" -I -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; }

missing=''
can_make_environments || missing='python3 python3-venv'
[ -s /etc/ssl/certs/ca-certificates.crt ] || missing="$missing ca-certificates"
# shellcheck disable=SC2086 # words on purpose
[ -z "$missing" ] || install_packages $missing
can_make_environments || stop 2 "Python on $pretty is $("$python" -V 2>&1); hermes-setup needs 3.10 or later." \
    "It works on Debian 12 and 13 and on Ubuntu 22.04 and later."

free=$(df -Pm "$HOME_DIR" | awk 'NR == 2 { print $4 }')
[ "${free:-$NEEDED_MB}" -ge "$NEEDED_MB" ] || stop 1 "only $free MB are free below /opt; the installation needs $NEEDED_MB." \
    "Make room (look at: df -h; sudo apt-get clean), then run this again."

# -- the environment, beside the old one ------------------------------------------------------------------------------------

new=$HOME_DIR/releases/$mark
[ "${current#releases/}" != "$mark" ] || rm -f "$HOME_DIR/current" # the same release, but broken
rm -rf "$new"
work=$(mktemp -d "$HOME_DIR/build.XXXXXX")

make_environment() { "$python" -I -m venv "$new"; }
fetch_requirements() {
    "$new/bin/python" -m pip install -q --require-hashes --no-deps --prefer-binary --no-compile -r "$source_dir/requirements/runtime.txt"
}
# The wheel is built from a copy, so that the folder this is run from stays as it is; the tools for it are not kept.
install_program() {
    mkdir "$work/source" && cp -R "$source_dir/hermes_setup" "$source_dir/templates" "$source_dir/pyproject.toml" "$work/source/" &&
        for extra in README.md LICENSE; do [ ! -f "$source_dir/$extra" ] || cp "$source_dir/$extra" "$work/source/"; done &&
        find "$work/source" -name __pycache__ -prune -exec rm -rf {} + &&
        "$new/bin/python" -m pip install -q --require-hashes --no-deps --prefer-binary --no-compile --target "$work/tools" \
            -r "$source_dir/requirements/build.txt" &&
        (cd "$work/source" && PYTHONPATH="$work/tools" "$new/bin/python" -m hatchling build -t wheel -d "$work/wheel") &&
        "$new/bin/python" -m pip install -q --no-deps --no-index --no-compile "$work"/wheel/*.whl &&
        PYTHONDONTWRITEBYTECODE='' "$new/bin/python" -m compileall -q -j 0 "$new/lib" &&
        chmod -R u+rwX,go+rX,go-w "$new" &&
        "$new/bin/hermes-setup" --version
}
offline="Does this server reach the internet? Look at the lines above, or all of it: sudo less $log ; then run this again."
step "[1/3] Python environment" make_environment || stop 1 "the Python environment could not be made (above)." "Look at: $log"
step "[2/3] Its libraries" fetch_requirements || stop 1 "the libraries could not be fetched (above). Nothing was changed." "$offline"
step "[3/3] hermes-setup" install_program || stop 1 "the program could not be built (above). Nothing was changed." "$offline"

# -- in its place -------------------------------------------------------------------------------------------------------------

swap_link() { # TARGET PATH
    ln -s "$1" "$2.new.$$" && mv -T "$2.new.$$" "$2"
}
mkdir -p "$(dirname "$COMMAND")"
swap_link "releases/$mark" "$HOME_DIR/current"
swap_link "$HOME_DIR/current/bin/hermes-setup" "$COMMAND"
kept=$new
new=''
for old in "$HOME_DIR"/releases/*; do # the one before may still be running somewhere
    [ "$old" = "$kept" ] || [ "$old" = "$HOME_DIR/$current" ] || rm -rf "$old"
done
rm -rf "$work" "$log"
exec 9>&-
trap - EXIT INT TERM HUP
exec "$COMMAND" "$@"
