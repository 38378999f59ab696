import sys, tempfile, time, traceback
from pathlib import Path
from lab import World, lab_authority
from vps.browser import opened, ENGINES

PAGE = """<!doctype html><meta name=viewport content="width=device-width,initial-scale=1"><title>t</title><body><p id=w></p><p id=j>nojs</p><form method=get action="/next"><input id=name autofocus><input id=password type=password><button type=submit>go</button></form>
<script>document.getElementById('j').textContent='js'; document.cookie='k=v; Max-Age=86400; Secure; Path=/';document.querySelector('form').onsubmit=e=>{e.preventDefault();document.title='sent:'+document.getElementById('name').value+':'+document.getElementById('password').value}</script>"""
with World() as world:
    m = world.machine("debian13-ready")
    world.dns.host("hermes.example.com", *m.addresses)
    cert, key = lab_authority().issue("hermes.example.com")
    m.write("/etc/nginx/c.pem", cert); m.write("/etc/nginx/c.key", key)
    m.write("/srv/w/index.html", PAGE)
    m.write("/etc/nginx/sites-enabled/x", "server { listen 443 ssl; listen [::]:443 ssl; server_name hermes.example.com; ssl_certificate c.pem; ssl_certificate_key c.key; root /srv/w; location = /c { default_type text/plain; return 200 \"cookie=$http_cookie.\"; } }")
    m.run(["nginx"]); m.wait_for_port(443)
    for engine in sys.argv[1:] or ENGINES:
        folder = Path(tempfile.mkdtemp(prefix="b-"))
        try:
            t = time.monotonic()
            with opened(world, engine, folder, roots=lab_authority().pem) as b:
                print(engine, "started", round(time.monotonic() - t, 1))
                b.open("https://hermes.example.com/")
                print(engine, "open", round(time.monotonic() - t, 1), b.text, b.script("return [innerWidth, innerHeight, navigator.userAgent]"))
                b.until("document.getElementById('j').textContent == 'js'")
                print("active", b.script("return document.activeElement.id"))
                b.press("alice", "Tab", "pässword", "Enter")
                print(b.script("return document.title"))
                b.fill("#name", "bob"); b.click("[type=submit]")
                print(b.script("return document.title"), b.cookies())
                b.resize(320, 640); time.sleep(.5)
                print("320:", b.script("return [innerWidth, innerHeight, document.documentElement.scrollWidth]"))
                b.shot(Path(f"/state/pictures/trial-{engine}.png"))
                b.resize(1200, 800)
                b.open("https://hermes.example.com/c"); print(b.text)
            print(engine, "closed", round(time.monotonic() - t, 1))
            with opened(world, engine, folder, roots=lab_authority().pem) as b:
                b.open("https://hermes.example.com/c"); print("again:", b.text)
                b.forget(); b.reload(); print("forgot:", b.text)
            with opened(world, engine, folder, roots=lab_authority().pem, scripts=False) as b:
                b.open("https://hermes.example.com/"); print("noscript:", b.text)
            print(engine, "end", round(time.monotonic() - t, 1))
        except BaseException:
            traceback.print_exc()
            print((folder / "log").read_text()[-3000:])
