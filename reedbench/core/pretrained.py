"""Models of transformers from a folder of files as they are published: nothing is downloaded.

Weights are read from safetensors alone, as other formats may hold code.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reedbench.core import io, pins
from reedbench.core.errors import ConfigError, MissingArtefact

HERE = {"local_files_only": True, "trust_remote_code": False}  # whatever asks for more is refused, not asked back

QWEN_PAPERS = ("wang2024qwen2vl", "bai2025qwen25vl")  # keys of the bibliography: Qwen2-VL, Qwen2.5-VL


def qwen_paper(weights: str) -> str:
    """Key of the paper of Qwen2-VL or Qwen2.5-VL: by config.json of the weights, by their name where it is not here."""
    try:
        kind = configured(pins.folder(weights)).get("model_type")
    except MissingArtefact:
        kind = None
    newer = "2.5" in weights if kind is None else kind == "qwen2_5_vl"
    return QWEN_PAPERS[newer]


def configured(folder: Path) -> dict[str, Any]:
    """What config.json of a folder says; nothing where there is none, or a damaged one."""
    try:
        return io.read_object(folder / "config.json")
    except MissingArtefact:
        return {}


def read(kind: str, folder: Path, who: str, **options: Any) -> Any:
    """What a class of transformers, such as `AutoTokenizer`, makes of a folder.

    Args:
        kind: name of the class.
        folder: of config.json and the other files.
        who: reads it, for messages.
        options: of its `from_pretrained`.

    Raises:
        ConfigError: transformers is not installed, or the folder holds something else.
        MissingArtefact: there is no such folder.
    """
    with _reading(folder, who):
        import transformers

        return getattr(transformers, kind).from_pretrained(folder, **HERE, **options)


def network(kind: str, folder: Path, who: str, *, unneeded: str = "-", **options: Any) -> Any:
    """A network with its weights, for use; arguments and errors as in `read`.

    transformers would fill up with random numbers what the files lack: here that is an error, but for parameters whose
    names begin with `unneeded`.
    """
    with _reading(folder, who):
        import transformers

        asked: dict[str, Any] = {"use_safetensors": True, "output_loading_info": True, "ignore_mismatched_sizes": True}
        found, report = getattr(transformers, kind).from_pretrained(folder, **HERE, **asked, **options)
        if lacking := sorted(name for name in report["missing_keys"] if not name.startswith(unneeded)):
            others = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            raise ValueError(f"the weights lack {lacking[0]}{others}")
        for name, there, wanted in sorted(report["mismatched_keys"])[:1]:
            raise ValueError(f"the weights have {name} as {tuple(there)}, and config.json asks for {tuple(wanted)}")
    return found.eval().requires_grad_(False)


@contextmanager
def _reading(folder: Path, who: str) -> Iterator[None]:
    """transformers reads a folder in the block, without its own words and progress bars."""
    if not (folder / "config.json").is_file():
        raise MissingArtefact(f"{folder}: no folder of transformers (it has no config.json)")
    try:
        import transformers
    except ImportError as error:
        raise ConfigError(f"{who} needs transformers: pip install 'reedbench[image]'") from error
    logging: Any = transformers.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    except Exception as error:  # damaged files, and those of other models, raise whatever the reader stumbles on
        why = " ".join(str(error).split())[:200]
        raise ConfigError(f"{folder}: no model of transformers that {who} reads ({why})") from error
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
