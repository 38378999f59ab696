#!/bin/sh
# Installs hermes-setup from the folder this file is in, then starts it:  sudo ./install.sh [ARGS]
# Again = upgrade. What it makes: /opt/hermes-setup (a Python environment of its own), and links into it: the command
# /usr/local/bin/hermes-setup, its man page, and completions for bash, zsh (/usr/local/share) and fish (/etc/fish).
# The new environment is built beside the old one and takes its place by one rename, so there is always a whole one.
set -eu

HOME_DIR=/opt/hermes-setup
COMMAND=/usr/local/bin/hermes-setup
NEEDED_MB=150
SUPPORTED='It works on Debian 12 and later and on Ubuntu 22.04 and later.'
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

new='' work=''
clean_up() {
    trap '' INT TERM HUP # a second ^C must not keep half of it
    [ -z "$new" ] || rm -rf "$new"
    [ -z "$work" ] || rm -rf "$work"
}
trap clean_up EXIT
# It clears away by itself: a second ^C on the way to the EXIT trap would end that one unrun.
stopped() {
    trap '' INT TERM HUP
    say; say "Stopped. What was there before is as it was; run it again and it goes on."
    clean_up; exit "$1"
}
trap 'stopped 130' INT
trap 'stopped 143' TERM
trap 'clean_up; exit 129' HUP # nobody is left to tell

# -- where it is, and what it is run on -----------------------------------------------------------------------------------

self=$(readlink -f -- "$0")
source_dir=$(dirname -- "$self")
[ -f "$source_dir/pyproject.toml" ] && [ -d "$source_dir/hermes_setup" ] && [ -d "$source_dir/templates" ] ||
    stop 2 "the program is not beside install.sh (in $source_dir)." \
        "Unpack the whole release, or clone the whole repository, and run ./install.sh in it."
[ "$(id -u)" = 0 ] ||
    stop 2 "this needs root: it installs packages and writes to /opt." "Type: sudo ./install.sh${*:+ $*}"
[ -r /etc/os-release ] || stop 2 "this system does not say which it is (/etc/os-release)." "$SUPPORTED"
distribution=$(. /etc/os-release; printf '%s' "${ID:-} ${ID_LIKE:-}")
pretty=$(. /etc/os-release; printf '%s' "${PRETTY_NAME:-${ID:-unknown}}")
case " $distribution " in
*" debian "* | *" ubuntu "*) ;;
*) stop 2 "$pretty is not a distribution that hermes-setup knows." "$SUPPORTED" ;;
esac
case $(. /etc/os-release; printf '%s' "${ID:-} ${VERSION_ID:-}") in
"debian "[1-9] | "debian 1"[01] | "ubuntu 1"* | "ubuntu 20."* | "ubuntu 21."*) stop 2 "$pretty is too old." "$SUPPORTED" ;;
esac
command -v apt-get >/dev/null || stop 2 "apt-get is missing on this $pretty." "hermes-setup needs it to install nginx and certbot."

# The distribution's own Python: what else is called python3 on the PATH belongs to somebody else.
python=/usr/bin/python3
new_enough() { "$python" -I -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; }
too_old() { stop 2 "this $pretty has $("$python" -V 2>&1); hermes-setup needs Python 3.10 or later." "$SUPPORTED"; }
[ ! -x "$python" ] || new_enough || too_old

# -- one at a time, and only when there is something new ------------------------------------------------------------------

mkdir -p "$HOME_DIR/releases"
chmod 755 "$HOME_DIR" "$HOME_DIR/releases"
exec 9>"$HOME_DIR/lock"
chmod 600 "$HOME_DIR/lock" # whoever can open it could hold it
flock -n 9 || stop 75 "another install.sh is at work." "Wait until it has ended, then run this again."

# What makes a release: its code, its templates, its pins.
mark=$( (
    cd "$source_dir"
    find hermes_setup templates docs/shell requirements pyproject.toml install.sh -type f ! -name '*.pyc' -print0 | LC_ALL=C sort -z |
        xargs -0 sha256sum
) | sha256sum | cut -c1-16)

swap_link() { # TARGET PATH: there is never a moment without it
    ln -sfn "$1" "$2.new" && mv -T "$2.new" "$2"
}
link() { # TARGET FOLDER
    [ "$(readlink "$2/${1##*/}")" = "$1" ] || { mkdir -p "$2" && swap_link "$1" "$2/${1##*/}"; }
}
# Everything is in place, and the command is the program's from here on.
start() {
    if [ "$(readlink "$COMMAND")" != "$HOME_DIR/current/bin/hermes-setup" ]; then
        mkdir -p "$(dirname "$COMMAND")"
        swap_link "$HOME_DIR/current/bin/hermes-setup" "$COMMAND"
    fi
    share=$HOME_DIR/current/share
    link "$share/man/man8/hermes-setup.8" /usr/local/share/man/man8
    link "$share/bash-completion/completions/hermes-setup" /usr/local/share/bash-completion/completions
    link "$share/zsh/site-functions/_hermes-setup" /usr/local/share/zsh/site-functions
    [ ! -d /etc/fish ] || link "$share/fish/vendor_completions.d/hermes-setup.fish" /etc/fish/completions # it looks nowhere else
    exec 9>&-
    trap - EXIT INT TERM HUP
    exec "$COMMAND" "$@"
}
current=$(readlink "$HOME_DIR/current" || :)
# After an upgrade of the distribution its new Python does not see the libraries of the old one: that is made anew, too.
case $current in
"releases/$mark-"*) ! "$HOME_DIR/current/bin/python" -I -c 'import hermes_setup' 2>/dev/null || start "$@" ;;
esac

# -- a Python that can make environments ----------------------------------------------------------------------------------

log=$HOME_DIR/install.log
: >"$log"; chmod 600 "$log"

# step TITLE COMMAND...: one line; its output only when it fails. In the foreground, so that ^C and a lost connection reach
# the command too; the subshell outlives them, so that nothing is cleared away under a command that is still ending.
step() {
    title=$1; shift
    printf '%s ... ' "$title" >&2
    began=$(date +%s)
    if (trap : INT HUP; cd /; "$@") >>"$log" 2>&1 9>&- </dev/null; then
        say "done ($(($(date +%s) - began)) s)"
    else
        say "failed"
        tail -n 15 "$log" | sed 's/^/    /' >&2
        return 1
    fi
}

# Who has a lock file of apt's or dpkg's open: holds it, or waits for it like us. It is never killed.
lock_holder() {
    find /proc/[0-9]*/fd -lname /var/lib/dpkg/lock-frontend -o -lname /var/lib/dpkg/lock -o -lname /var/lib/apt/lists/lock \
        2>/dev/null | head -n 1 | while IFS=/ read -r _ _ pid _; do
        printf '%s (process %s)' "$(tr '\0' ' ' <"/proc/$pid/cmdline" | cut -c1-60)" "$pid"
    done
}

apt() {
    apt-get -q -o DPkg::Lock::Timeout=600 -o Acquire::Retries=2 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 "$@"
}

# apt waits for dpkg's lock only, not for that of the lists; and nobody tells when an fcntl lock is given back.
wait_for_locks() {
    tries=300
    while [ -n "$(lock_holder)" ] && [ $((tries -= 1)) -gt 0 ]; do sleep 2 || return; done
}

install_packages() {
    holder=$(lock_holder)
    [ -z "$holder" ] || step "Waiting, up to ten minutes, for another program that installs packages: $holder" wait_for_locks
    # Interrupted once, dpkg refuses everything until it has been finished.
    if [ -n "$(ls /var/lib/dpkg/updates 2>/dev/null)" ] || dpkg --audit 2>/dev/null | grep -q .; then
        step "Finishing an interrupted package installation" dpkg --configure -a --force-confdef --force-confold ||
            stop 1 "dpkg could not finish what was interrupted." "Look at: sudo dpkg --configure -a"
    fi
    # One broken source of somebody else's must not keep us from the others: what is missing shows in the next step.
    step "Fetching the lists of packages" apt update || say "Going on with the lists that are there."
    step "Installing $*" apt install -y --no-install-recommends -o Dpkg::Options::=--force-confdef \
        -o Dpkg::Options::=--force-confold "$@" ||
        stop 1 "the distribution's packages could not be installed (above). Nothing was changed." \
            "Does this server reach the internet? Try: sudo apt-get update && sudo apt-get install $*"
}

can_make_environments() { "$python" -I -c 'import ensurepip, venv' 2>/dev/null; }
missing=''
can_make_environments || missing='python3 python3-venv'
[ -s /etc/ssl/certs/ca-certificates.crt ] || missing="$missing ca-certificates"
# shellcheck disable=SC2086 # words on purpose
[ -z "$missing" ] || install_packages $missing
new_enough || too_old

free=$(df -Pm "$HOME_DIR" | awk 'NR == 2 { print $4 }')
[ "${free:-$NEEDED_MB}" -ge "$NEEDED_MB" ] || stop 1 "only $free MB are free below /opt; the installation needs $NEEDED_MB." \
    "Make room (look at: df -h; sudo apt-get clean), then run this again."

# -- the environment, beside the old one ------------------------------------------------------------------------------------

rm -rf "$HOME_DIR"/build.* # what a power cut left
work=$(mktemp -d "$HOME_DIR/build.XXXXXX")
new=$HOME_DIR/releases/$mark-$(date -u +%Y%m%dT%H%M%S)
rm -rf "$new"

pip() { # COMMAND ARGS; what it leaves in the temporary folder when it is interrupted goes with ours
    verb=$1; shift
    TMPDIR=$work "$new/bin/python" -I -m pip "$verb" -q --no-compile "$@"
}
make_environment() { "$python" -I -m venv "$new"; }
fetch_requirements() {
    pip install --require-hashes --no-deps --prefer-binary -r "$source_dir/requirements/runtime.txt"
}
# The wheel is built from a copy, so that the folder this is run from stays as it is; the tools for it are not kept.
install_program() {
    mkdir -p "$work/source/docs" && cp -R "$source_dir/docs/shell" "$work/source/docs/" &&
        cp -R "$source_dir/hermes_setup" "$source_dir/templates" "$source_dir/pyproject.toml" "$work/source/" &&
        for extra in README.md LICENSE; do [ ! -f "$source_dir/$extra" ] || cp "$source_dir/$extra" "$work/source/"; done &&
        find "$work/source" -name __pycache__ -prune -exec rm -rf {} + &&
        pip install --require-hashes --no-deps --prefer-binary --target "$work/tools" -r "$source_dir/requirements/build.txt" &&
        (cd "$work/source" && PYTHONPATH="$work/tools" "$new/bin/python" -m hatchling build -t wheel -d "$work/wheel") &&
        pip install --no-deps --no-index "$work"/wheel/*.whl &&
        sed -i '1s/$/ -I/' "$new/bin/hermes-setup" &&
        PYTHONDONTWRITEBYTECODE='' "$new/bin/python" -m compileall -q -j 0 "$new/lib" &&
        "$new/bin/python" -I -c 'from hermes_setup.nginx import render; render.compile_templates()' &&
        chmod -R u+rwX,go+rX,go-w "$new" &&
        "$new/bin/hermes-setup" --version &&
        sync -f "$new" # a link to files that a power cut could still empty would not be a whole release
}
offline="Does this server reach the internet? Look at the lines above, or all of it: sudo less $log ; then run this again."
step "[1/3] Python environment" make_environment || stop 1 "the Python environment could not be made (above)." "Look at: $log"
step "[2/3] Its libraries" fetch_requirements || stop 1 "the libraries could not be fetched (above). Nothing was changed." "$offline"
step "[3/3] hermes-setup" install_program || stop 1 "the program could not be built (above). Nothing was changed." "$offline"

# -- in its place -------------------------------------------------------------------------------------------------------------

swap_link "releases/${new##*/}" "$HOME_DIR/current"
kept=$new
new=''
for old in "$HOME_DIR"/releases/*; do # the one before may still be running somewhere
    [ "$old" = "$kept" ] || [ "$old" = "$HOME_DIR/$current" ] || rm -rf "$old"
done
rm -rf "$work" "$log"
start "$@"
