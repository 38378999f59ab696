"""`hermes-setup`, and `python -m hermes_setup`. Until `main` listens, ^C just ends the process, without a traceback."""

import _signal

if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

from hermes_setup.main import main

if __name__ == "__main__":
    main()
