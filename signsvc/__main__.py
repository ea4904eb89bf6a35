"""``python -m signsvc``: the command line."""

from signsvc.cli import main

if __name__ == "__main__":
    main()
