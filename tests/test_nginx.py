"""nginx's files are read as nginx reads them."""

from __future__ import annotations

import pytest

from hermes_setup.host import ABSENT, File, Link
from hermes_setup.nginx import processes, quoting, tree, trial
from hermes_setup.nginx.render import Renderer
from hermes_setup.nginx.syntax import BadConfig, parse
from hermes_setup.nginx.tree import Listen
from hermes_setup.stages.users import cookies
from hermes_setup.system.overlay import Nothing, Overlay


def machine(**files: str) -> Overlay:
    made = Overlay(Nothing())
    for path, text in files.items():
        made.put(path, File(text.encode()))
    return made


DEBIAN = """
user www-data;
pid /run/nginx.pid;
include /etc/nginx/modules-enabled/*.conf;
events { worker_connections 768; }
http {
    log_format main '$remote_addr "$request" ; { } \\'x\\'';
    # include /etc/nginx/not-this/*;
    include /etc/nginx/mime.types;
    include /etc/nginx/conf.d/*.conf;
    include /etc/nginx/sites-enabled/*;
}
"""


def test_directives_quotes_comments_and_blocks() -> None:
    server = parse('http { server { listen 80; add_header X "a;b{c}\\"d"; set $x \'#no\'; # }\n } }')[0].block
    assert server is not None
    inner = server[0].block
    assert inner is not None
    assert [(each.name, each.args) for each in inner] == [
        ("listen", ("80",)),
        ("add_header", ("X", 'a;b{c}"d')),
        ("set", ("$x", "#no")),
    ]


@pytest.mark.parametrize("text", ["server {", "a b", "}", "http { } }", "x 'open;", "{ }", ";"])
def test_what_nginx_refuses_is_refused(text: str) -> None:
    with pytest.raises(BadConfig):
        parse(text)


def test_regular_expressions_and_variables_with_braces_are_words() -> None:
    (directive,) = parse("rewrite ^/(.*)${x}y /a/$1 last;")
    assert directive.args == ("^/(.*)${x}y", "/a/$1", "last")


def test_lua_blocks_are_skipped() -> None:
    assert [each.name for each in parse("content_by_lua_block { if x then { y = 1 } end } a b;")] == [
        "content_by_lua_block",
        "a",
    ]


def test_the_tree_is_read_through_its_includes_and_links() -> None:
    made = machine(
        **{
            "/etc/nginx/nginx.conf": DEBIAN,
            "/etc/nginx/mime.types": "types { text/html html; }",
            "/etc/nginx/sites-available/blog": "server { listen 203.0.113.5:443 ssl http2; server_name Blog.example; }",
            "/etc/nginx/sites-enabled/.hidden": "server { listen 81; }",
            "/etc/nginx/conf.d/a.conf": "server { server_name a.example; }",
            "/etc/nginx/conf.d/a.txt": "broken {",
        }
    )
    made.put("/etc/nginx/sites-enabled/blog", Link("../sites-available/blog"))
    made.put("/etc/nginx/sites-enabled/gone", Link("/nowhere"))
    config = tree.read(made)
    assert [(server.names, server.listens) for server in config.servers] == [
        (("a.example",), (Listen("*", 80),)),
        (("blog.example",), (Listen("203.0.113.5", 443, ("ssl", "http2")),)),
    ]
    assert (config.user, config.group, config.sites_folder, config.problem) == (
        "www-data",
        "www-data",
        "/etc/nginx/sites-enabled",
        "",
    )


def test_an_include_of_itself_ends() -> None:
    made = machine(**{"/etc/nginx/nginx.conf": "http { include /etc/nginx/nginx.conf; }"})
    assert tree.read(made).problem == ""


def test_a_machine_without_nginx_has_no_files() -> None:
    config = tree.read(Overlay(Nothing()))
    assert config.files == {}
    assert "nginx.conf" in config.problem


@pytest.mark.parametrize(
    ("args", "listen"),
    [
        (["80"], Listen("*", 80)),
        (["443", "ssl"], Listen("*", 443, ("ssl",))),
        (["[::]:80", "ipv6only=off"], Listen("[::]", 80, ("ipv6only=off",))),
        (["127.0.0.1:8080"], Listen("127.0.0.1", 8080)),
        (["*:80", "default_server"], Listen("*", 80, ("default_server",))),
        (["0.0.0.0:80"], Listen("*", 80)),
        (["localhost"], Listen("localhost", 80)),
        (["unix:/run/x.sock"], Listen("unix:/run/x.sock", 0)),
    ],
)
def test_listen(args: list[str], listen: Listen) -> None:
    assert tree.parse_listen(args) == listen


def test_the_copy_points_into_itself_and_links_what_is_no_configuration() -> None:
    made = machine(
        **{
            "/etc/nginx/nginx.conf": DEBIAN,
            "/etc/nginx/mime.types": "types { }",
            "/etc/nginx/certs/x.pem": "pem",
            "/etc/nginx/sites-enabled/old": "server { ssl_certificate certs/x.pem; }",
        }
    )
    laid = trial.copied_tree(
        made,
        {"/etc/nginx/sites-enabled/new": File(b"server { listen 81; }"), "/etc/nginx/sites-enabled/old": ABSENT},
        "/copy",
    )
    top = laid["/copy/nginx.conf"]
    assert isinstance(top, File)
    assert b"include /copy/sites-enabled/*;" in top.content
    assert b"pid /copy/nginx.pid;" in top.content
    assert b"# include /etc/nginx/not-this/*;" in top.content
    assert laid["/copy/certs"] == Link("/etc/nginx/certs")
    assert isinstance(laid["/copy/sites-enabled/new"], File)
    assert "/copy/sites-enabled/old" not in laid


STAT = "42 (nginx) S 1 " + " ".join(str(n) for n in range(5, 23))


def test_only_new_workers_that_accept_count_as_reloaded() -> None:
    old, new = frozenset({"10.5"}), frozenset({"11.9"})
    assert processes.reload_finished(processes.Workers(1, old), processes.Workers(1, new))
    assert processes.reload_finished(processes.Workers(0, frozenset()), processes.Workers(1, new))
    assert not processes.reload_finished(processes.Workers(1, old), processes.Workers(1, old | new))
    assert not processes.reload_finished(processes.Workers(1, old), processes.Workers(1, frozenset()))


@pytest.mark.parametrize("text", ['say "hi"', "back\\slash", "a;b{c}$d", "two\nlines", "it's"])
def test_quoted_text_comes_back_as_one_argument(text: str) -> None:
    (directive,) = parse(f"x {quoting.quote(text)};")
    assert directive.args == (text,)


# ---- rendering ----


def test_what_was_rendered_before_is_not_rendered_again() -> None:
    page = {"again": True, "title": "Here", "lines": ["one", "two"], "form": False, "button": None}
    first = Renderer()
    text = first.render("page.html", **page)
    assert "Here" in text
    later = Renderer({mark: f"kept: {each}" for mark, each in first.used.items()})
    assert later.render("page.html", **page) == f"kept: {text}"
    assert f"kept: {text}" in later.used.values(), "and so the next run knows it, too"
    for change in ({"again": False}, {"title": "There"}, {"lines": ["one, two"]}, {"lines": ["two", "one"]}):
        assert not later.render("page.html", **{**page, **change}).startswith("kept"), change
    later.forget()
    assert not later.used
    assert later.render("page.html", **page) == f"kept: {text}"


def test_a_value_that_hides_a_field_from_its_words_is_told_apart_by_it() -> None:
    """repr leaves secrets out; what was rendered with one cookie is not what another gives."""
    both = [cookies.render([cookies.Cookie("alice", value, "0" * 16)], Renderer()) for value in ("a" * 32, "b" * 32)]
    assert both[0] != both[1]


def test_what_has_no_plain_spelling_is_refused() -> None:
    with pytest.raises(TypeError, match="set"):
        Renderer().render("page.html", again=True, title={"a"}, lines=[])
