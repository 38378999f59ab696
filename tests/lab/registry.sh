# What this machine needs to reach its package registries, as files in directory $1. Options that name local directories stay behind: a chroot has none of them.
registry_files() {
    mkdir -p "$1"
    apt-config dump | grep -E '^Acquire::(https?::|ftp::|Retries|Check-)' >"$1/apt.conf" || true
    [ ! -s /etc/ssl/certs/ca-certificates.crt ] || cp -L /etc/ssl/certs/ca-certificates.crt "$1/ca.crt"
    cp -L /etc/resolv.conf "$1/resolv.conf" 2>/dev/null || : >"$1/resolv.conf"
    { echo '[global]'
      cat /etc/pip.conf /etc/xdg/pip/pip.conf "$HOME/.config/pip/pip.conf" "$HOME/.pip/pip.conf" 2>/dev/null |
          grep -E '^(index-url|extra-index-url|trusted-host|proxy|timeout)[ =]' | grep -v file: | sort -u
    } >"$1/pip.conf" || true
}
