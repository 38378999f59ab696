#!/bin/sh
# The whole job as a plain script that runs the commands which hermes-setup runs; /root/same holds the files.
set -eu
ask() { certbot certonly --webroot -w /var/www/letsencrypt -d hermes.example.com --cert-name hermes.example.com \
    --server https://acme-v02.api.letsencrypt.org/directory --key-type ecdsa --non-interactive --agree-tos \
    --register-unsafely-without-email "$@"; }
cd /root/same
install -m 640 -g www-data users /etc/nginx/.htpasswd-hermes
install -m 600 gate.conf /etc/nginx/hermes-gate.conf
mkdir -p /var/www/letsencrypt/.well-known/acme-challenge
install -m 644 http.conf /etc/nginx/sites-available/hermes
ln -s ../sites-available/hermes /etc/nginx/sites-enabled/zz-hermes
nginx -t -q
nginx
ask --dry-run
ask
install -m 644 site.conf /etc/nginx/sites-available/hermes
nginx -t -q
nginx -s reload
install -m 755 hook.sh /etc/letsencrypt/renewal-hooks/deploy/hermes-setup
certbot renew --cert-name hermes.example.com --dry-run --non-interactive --no-random-sleep-on-renew
curl -sk -o /dev/null --resolve hermes.example.com:443:127.0.0.1 https://hermes.example.com/
