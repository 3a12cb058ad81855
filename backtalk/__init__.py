"""Backtalk: a chat service that learns from the people who use it.

This package holds what the roles share; it knows none of them (`server` and `learner` import it, never the other way).
"""

__version__ = "0.1.0"
