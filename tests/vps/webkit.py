"""A window with a page of WebKitGTK in it, for WebKitWebDriver: as its MiniBrowser, but it keeps its cookies, and is as narrow as a phone.

Arguments: the folder where it keeps what it keeps, then "scripts" or "no-scripts". Run by Debian's own Python.
"""

import sys
from pathlib import Path

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("WebKit2", "4.1")
from gi.repository import Gtk, WebKit2  # noqa: E402 - the versions come first


def main() -> None:
    folder, scripts = Path(sys.argv[1]), sys.argv[2] == "scripts"
    kept = WebKit2.WebsiteDataManager(
        base_data_directory=str(folder / "data"), base_cache_directory=str(folder / "cache")
    )
    context = WebKit2.WebContext.new_with_website_data_manager(kept)
    cookies = context.get_cookie_manager()
    cookies.set_persistent_storage(str(folder / "cookies"), WebKit2.CookiePersistentStorage.SQLITE)
    context.set_automation_allowed(True)

    def new_page(_session: WebKit2.AutomationSession) -> WebKit2.WebView:
        page = WebKit2.WebView(web_context=context, is_controlled_by_automation=True)
        page.get_settings().set_enable_javascript(scripts)
        window = Gtk.Window(decorated=False)
        window.add(page)
        window.show_all()
        page.grab_focus()
        page.connect("close", lambda _page: Gtk.main_quit())
        return page

    def started(_context: WebKit2.WebContext, session: WebKit2.AutomationSession) -> None:
        info = WebKit2.ApplicationInfo()
        info.set_name("hermes-setup-lab")  # the driver insists on one
        session.set_application_info(info)
        session.connect("create-web-view", new_page)

    context.connect("automation-started", started)
    Gtk.main()


main()
