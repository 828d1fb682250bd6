"""The `reedbench` command."""

import gc
import sys

YOUNG = 20_000  # objects after which Python looks for garbage; its 700 suit programs that make less of what stays


def main() -> int:
    """Run the command; returns its exit code."""
    # Most of what a short job makes are modules: looking through them again and again took a fifth of its start, and
    # as much again of its end.
    gc.set_threshold(YOUNG)
    try:
        return _run()
    finally:
        gc.freeze()


def _run() -> int:
    if sys.argv[1:2] == ["launch"]:
        # Hundreds of launchers wait side by side: each loads no more than it needs.
        from reedbench.launch.command import main as launch

        return launch(sys.argv[2:])
    from reedbench.cli import main as command

    return command()


if __name__ == "__main__":
    raise SystemExit(main())
