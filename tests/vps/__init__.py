"""A VPS in a box: a booted Debian with systemd and sshd, on an internet of its own. Needs root; ./tests/run provides it.

    from lab import World
    from vps import Vps, Login, browse

    with World() as world:
        vps = world.make(Vps, "debian13-ready", "hermes")   # booted; all of lab.Machine works on it
        vps.add_hermes()                         # hermes-dashboard.service, with a node that its chat accepts
        login = Login(world, vps)                # a person at home, by real ssh, as a user with sudo
        login.run("sudo hermes-setup doctor")    # Ran; Terminal(login, "-c", "...", command="bash") for a keyboard
        vps.reboot()                             # it is running again
        seen = browse(world, "https://hermes.example.com/chat", user=("alice", "pw"), until="...", shot=Path("x.png"))
        with opened(world, "firefox", folder, roots=world.acme.roots()) as browser:  # or chromium, webkit; it keeps its cookies
            browser.open("https://hermes.example.com/"); browser.fill("#name", "alice"); browser.press("Tab", "pw", "Enter")

`tests/vps/box` is the same for a person at a keyboard.
"""

from .browser import ENGINES, Browser, opened
from .server import Login, Vps
from .visit import SIGN_IN, Page, browse, sign_in

__all__ = ["ENGINES", "SIGN_IN", "Browser", "Login", "Page", "Vps", "browse", "opened", "sign_in"]
