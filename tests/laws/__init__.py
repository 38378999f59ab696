"""The laws of the gate as properties: random requests to the real nginx, judged by what the laws and tables say.

`sites` says of each golden site what a stranger may know of it, `asked` makes the requests, `wire` sends them, `stand_in`
is Hermes and records what reaches it, `oracle` says what may happen, and `check` compares. The oracle was written from the
laws (CONTRIBUTING.md, "Change the gate"), not from the templates, and reads no configuration.

    sudo tests/laws/run --requests 60000        # spread over the golden sites; seed and number are printed
    sudo tests/laws/run --seed 7 --only https-1.26:815     # one request of those again, with all that was said
"""
