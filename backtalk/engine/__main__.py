"""`python -m backtalk.engine`."""

from backtalk.engine.process import main

if __name__ == "__main__":
    main()
