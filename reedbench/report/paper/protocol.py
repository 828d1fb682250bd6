"""How a number was measured, in the papers' words, and what of two such protocols differs.

The papers' time runs from data (0) to noise (1), this suite's from noise to data: [0.3, 1] here is 0,0.7 there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from reedbench.schema.cells import Cell
from reedbench.schema.published_row import Published

# Fields in the order in which a difference is named, and their words.
FIELDS: Final[Mapping[str, str]] = {
    "sampler": "sampler",
    "sampler_steps": "steps of the sampler",
    "guidance": "guidance",
    "interval": "interval of guidance",
    "n": "number of samples",
    "evaluator": "evaluator",
    "vae": "VAE",
    "labels": "labels",
}
KINDS: Final[Mapping[str, frozenset[str]]] = {  # where no more than the kind of sampler is known
    "ode": frozenset({"ode", "euler", "heun", "dopri5"}),
    "sde": frozenset({"sde", "euler-maruyama"}),
}
NONE, GUIDED, SOME = "none", "guided", "some"
WHOLE = "all times"
VAGUE = ("", GUIDED, SOME, *KINDS)  # what says nothing, or not all
SAID = ("uses", "steps", "guidance", "interval", "channels")  # settings of samplers that other fields say, or none does


@dataclass(frozen=True)
class Protocol:
    """How a number was measured; a field is empty where nobody says, or where it does not apply.

    Attributes:
        sampler: `euler-maruyama`; with its settings where they are not the usual ones.
        sampler_steps: its steps, as a word.
        guidance: the scale, `none`, or `guided` where the scale is not known.
        interval: in the papers' time, `0,0.7`; `some` where it is not known, `all times` without one.
        n: samples, as a word.
        evaluator: whose code made the number; `adm` with its own reference batch.
        vae: the autoencoder that decodes.
        labels: `random` or `balanced`.
    """

    sampler: str = ""
    sampler_steps: str = ""
    guidance: str = ""
    interval: str = ""
    n: str = ""
    evaluator: str = ""
    vae: str = ""
    labels: str = ""

    @property
    def is_guided(self) -> bool | None:
        """Whether there is guidance; None where nobody says."""
        return None if not self.guidance else self.guidance != NONE


def of_row(row: Published) -> Protocol:
    """That of a published number. A guided one of known scale and without an interval is guided at all times: papers
    that guide in an interval say so."""
    guidance, interval = row.guidance, row.interval
    if row.scale is not None:
        guidance = NONE if row.scale == 1 else f"{row.scale:g}"
        interval = interval or (WHOLE if row.scale != 1 else "")
    if row.times is not None:
        interval = _times(*row.times)
    return Protocol(
        sampler=row.sampler,
        sampler_steps=str(row.sampler_steps or ""),
        guidance=guidance,
        interval=interval,
        n=str(row.n or ""),
        evaluator=row.evaluator,
        vae=row.vae,
        labels=row.labels,
    )


def of_cell(cell: Cell, n: int, evaluator: str) -> Protocol:
    """That of an own number, as its benchmark's file has it; `n` and `evaluator` are those of the record."""
    spec, drawer = cell.run.benchmark.spec, cell.drawer
    # Guidance that is built into the network takes one evaluation a step: papers print such numbers as unguided.
    guided = drawer.guidance != 1 and cell.run.objective.guided_by == "pair"
    low, high = getattr(drawer, "interval", (0.0, 1.0))
    interval = WHOLE if (low, high) == (0.0, 1.0) else _times(1 - high, 1 - low)
    return Protocol(
        sampler=_sampler(drawer),
        sampler_steps=str(getattr(drawer, "steps", "")),
        guidance=f"{drawer.guidance:g}" if guided else NONE,
        interval=interval if guided else "",
        n=str(n),
        evaluator=evaluator,
        vae=_autoencoder(spec.codec),
        labels=spec.sampling.labels if spec.dataset.domain == "image" else "",
    )


def _times(low: float, high: float) -> str:
    return f"{round(low, 12):g},{round(high, 12):g}"


def _sampler(drawer: Any) -> str:
    """`euler-maruyama`, or `euler-maruyama with last: euler`: with another setting it is another sampler."""
    fields = type(drawer).model_fields
    changed = {name: getattr(drawer, name) for name in fields if name not in SAID}
    told = [f"{name}: {value}" for name, value in changed.items() if value != fields[name].default]
    return f"{drawer.uses} with {', '.join(told)}" if told else str(drawer.uses)


def _autoencoder(codec: Any) -> str:
    """Name of the weights that decode, as papers have it: sd-vae-ft-ema."""
    decoder = getattr(codec, "decoder", "same")
    said = getattr(codec, "weights", "") if decoder == "same" else decoder
    return Path(said).name


@dataclass(frozen=True)
class Difference:
    """A field of two protocols that keeps their numbers apart."""

    field: str
    here: str
    there: str

    def __str__(self) -> str:
        """`VAE: sd-vae-ft-mse here, sd-vae-ft-ema in the paper`."""
        return f"{FIELDS[self.field]}: {self.here or 'none'} here, {self.there} in the paper"


def differences(here: Protocol, there: Protocol) -> list[Difference]:
    """What keeps an own number from being compared with a published one, the first of FIELDS first.

    What the paper does not say is no difference; what does not apply here, and the paper says, is one.
    """
    return [
        Difference(name, own, its)
        for name in FIELDS
        if (its := getattr(there, name)) and not _agree(name, own := getattr(here, name), its)
    ]


def contradict(one: Protocol, other: Protocol) -> bool:
    """Whether some field that both say differs."""
    pairs = ((name, getattr(one, name), getattr(other, name)) for name in FIELDS)
    return any(mine and its and not (_agree(name, mine, its) or _agree(name, its, mine)) for name, mine, its in pairs)


def unstated(here: Protocol, there: Protocol) -> list[str]:
    """Words of the fields that are known here and that the paper does not say."""
    return [word for name, word in FIELDS.items() if getattr(here, name) and getattr(there, name) in VAGUE]


def _agree(name: str, here: str, there: str) -> bool:
    """Whether a field's value here can be what the paper says."""
    if here == there:
        return True
    if name == "sampler":
        return here.split(" with ")[0] in KINDS.get(there, ())
    if name == "guidance":
        return there == GUIDED and here not in ("", NONE)
    return name == "interval" and there == SOME and here not in ("", WHOLE)
