"""The same state as a pyinfra deploy, and the looks of our stages: name, ports, firewall, files, certificate, renewal, page."""

from pyinfra.operations import apt, files, server

NAME = "hermes.example.com"
LOCAL = f"--silent --insecure --output /dev/null --resolve {NAME}:80:127.0.0.1 --resolve {NAME}:443:127.0.0.1"

server.shell(commands=[f"getent ahosts {NAME} | grep -q $(hostname -I | cut -d' ' -f1)"])
server.shell(commands=["ss -Htlnp sport = :80 or sport = :443 | grep -q nginx"])
server.shell(commands=["nft list ruleset; iptables-save; ip6tables-save"])
apt.packages(packages=["nginx", "certbot", "openssl"])
files.directory(path="/var/www/letsencrypt/.well-known/acme-challenge", mode="755")
for source, path, mode in (
    ("site.conf", "/etc/nginx/sites-available/hermes", "644"),
    ("gate.conf", "/etc/nginx/hermes-gate.conf", "600"),
    ("users", "/etc/nginx/.htpasswd-hermes", "640"),
    ("hook.sh", "/etc/letsencrypt/renewal-hooks/deploy/hermes-setup", "755"),
):
    group = "www-data" if source == "users" else "root"
    files.put(src=f"/root/same/{source}", dest=path, mode=mode, user="root", group=group)
files.link(path="/etc/nginx/sites-enabled/zz-hermes", target="../sites-available/hermes")
server.shell(commands=["nginx -t -q"])
server.shell(commands=[f"openssl x509 -checkend 2592000 -noout -in /etc/letsencrypt/live/{NAME}/fullchain.pem"])
server.shell(
    commands=[f"grep -q webroot /etc/letsencrypt/renewal/{NAME}.conf; pgrep -x cron; test -e /etc/cron.d/certbot"]
)
server.shell(commands=[f"test $(curl {LOCAL} --write-out '%{{http_code}}' http://{NAME}/) = 301"])
server.shell(commands=[f"test $(curl {LOCAL} --write-out '%{{http_code}}' https://{NAME}/) = 401"])
