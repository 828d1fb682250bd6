"""`python -m reedbench` is the `reedbench` command."""

from reedbench.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
