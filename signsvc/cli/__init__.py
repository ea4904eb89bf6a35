"""The command line.  Each verb lives in its own module and is imported only when it is called."""

from signsvc.cli.root import main

__all__ = ["main"]
