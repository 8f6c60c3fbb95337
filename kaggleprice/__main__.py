"""`python -m kaggleprice`: the command line."""

from kaggleprice.cli import main

main()
