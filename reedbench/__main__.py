"""The `reedbench` command."""

import sys


def main() -> int:
    """Run the command; returns its exit code."""
    if sys.argv[1:2] == ["launch"]:
        # Hundreds of launchers wait side by side: each loads no more than it needs.
        from reedbench.launch.command import main as launch

        return launch(sys.argv[2:])
    from reedbench.cli import main as command

    return command()


if __name__ == "__main__":
    raise SystemExit(main())
