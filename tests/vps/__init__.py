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

`tests/vps/box` is the same for a person at a keyboard.
"""

from .browser import ENGINES, Browser, opened
from .server import Login, Vps

__all__ = ["ENGINES", "Browser", "Login", "Vps", "opened"]
