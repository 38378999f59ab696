"""`python -m hermes_setup` is the command `hermes-setup`."""

from hermes_setup.main import main

main()
