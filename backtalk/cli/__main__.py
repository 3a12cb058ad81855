"""`python -m backtalk.cli`: the command line without its script."""

from backtalk.cli import main

if __name__ == "__main__":
    main()
