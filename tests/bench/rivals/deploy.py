"""The same state as a pyinfra deploy: packages, folders, files, the link."""

from pyinfra.operations import apt, files, server

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
server.shell(
    commands=["openssl x509 -checkend 2592000 -noout -in /etc/letsencrypt/live/hermes.example.com/fullchain.pem"]
)
server.shell(commands=["pgrep -x nginx"])
