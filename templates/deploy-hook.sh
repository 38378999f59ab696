#!/bin/sh
# Written by hermes-setup. certbot runs it after each renewal: nginx loads the new certificate, if its files are in order.
# It never fails the renewal itself; what is wrong with nginx is for `sudo hermes-setup doctor` to say.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
if ! nginx -t -q; then
    echo "hermes-setup: nginx does not accept its configuration, so the renewed certificate is not loaded yet" >&2
elif [ -d /run/systemd/system ] && systemctl is-active --quiet nginx; then
    systemctl reload nginx || echo "hermes-setup: systemctl reload nginx failed" >&2
elif [ -s /run/nginx.pid ]; then
    nginx -s reload || echo "hermes-setup: nginx -s reload failed" >&2
fi
exit 0
