"""One printed number: what was measured, how, who says so and where. docs/reference.md explains the columns."""

import re
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import Field, field_validator, model_validator

from reedbench.core.errors import unknown
from reedbench.core.frozen import Frozen

USED: Final = "used:"  # how the note of the row begins that stands for its cell where sources differ
_NUMBER: Final = r"-?\d+(\.\d+)?"
_SETTING: Final = r"[a-z-]+=[^;=]+(;[a-z-]+=[^;=]+)*"


@dataclass(frozen=True)
class Metric:
    """What a number means.

    Attributes:
        label: for tables.
        better: which way is better; empty where neither is.
        unit: of the printed digits; empty where there is none.
    """

    label: str
    better: Literal["lower", "higher", ""]
    unit: str = ""


METRICS: Final[dict[str, Metric]] = {
    "fid": Metric("FID", "lower"),
    "sfid": Metric("sFID", "lower"),
    "inception-score": Metric("IS", "higher"),
    "precision": Metric("precision", "higher", "share"),
    "recall": Metric("recall", "higher", "share"),
    "cmmd": Metric("CMMD", "lower"),
    "kdd": Metric("KDD", "lower"),
    "linear-probe": Metric("linear probe", "higher", "%"),
    "ep-fid@2": Metric("epochs to an unguided FID of 2", "lower", "epochs"),
    "fid-seed-spread": Metric("spread of FID over seeds", ""),
    "speed-up": Metric("speed-up, as claimed", "higher", "times"),
    "recovery": Metric("sequence recovery", "higher", "%"),
    "atom-stability": Metric("stable atoms", "higher", "share"),
    "molecule-stability": Metric("stable molecules", "higher", "share"),
    "connected-validity": Metric("valid and connected", "higher", "share"),
    "bond-angle-distance": Metric("bond angles, distance of distributions", "lower"),
    "dihedral-distance": Metric("dihedrals, distance of distributions", "lower"),
    "bond-length-error": Metric("bond lengths, change by GFN2-xTB", "lower", "Angstrom"),
    "bond-angle-error": Metric("bond angles, change by GFN2-xTB", "lower", "degrees"),
    "dihedral-error": Metric("dihedrals, change by GFN2-xTB", "lower", "degrees"),
    "relaxation-energy-median": Metric("relaxation energy, median", "lower", "kcal/mol"),
    "relaxation-energy-mean": Metric("relaxation energy, mean", "lower", "kcal/mol"),
}


class Published(Frozen):
    """A row of `config/reference/*.csv`; an empty cell means that the source was not read to say, never a default."""

    domain: Literal["image", "protein", "molecule"]
    """What the data are."""
    data: str = Field(min_length=1)
    """The data set with its resolution: imagenet-256, pdb, geom-drugs."""
    method: str = Field(min_length=1)
    """As its authors call it."""
    backbone: str = ""
    """The network: SiT-XL/2."""
    steps: int | None = Field(None, ge=1)
    """Training steps (not thousands of them)."""
    epochs: int | None = Field(None, ge=1)
    """Epochs of training, as printed."""
    metric: str
    """Which of METRICS."""
    value: float
    """The number, in the metric's unit."""
    printed: str = Field(pattern=f"^{_NUMBER}$")
    """Its digits as they are printed, which say how precise it is: 8.3 is not 8.30."""
    sampler: Literal[
        "", "euler-maruyama", "euler", "heun", "dopri5", "ddpm", "ode", "sde", "ancestral", "purity", "joint-euler"
    ] = ""
    """How samples were drawn; `ode` and `sde` where no more than the kind is known."""
    sampler_steps: int | None = Field(None, ge=1)
    """Steps of the sampler."""
    guidance: str = Field("", pattern=rf"^(none|guided|{_NUMBER})?$")
    """Scale of guidance; `none` without any, `guided` where the scale is not known."""
    interval: str = Field("", pattern=rf"^(some|{_NUMBER},{_NUMBER})?$")
    """Times between which guidance acts, in the papers' time: 0 is data; `some` where they are not known."""
    evaluator: Literal["", "adm"] = ""
    """Whose code made the number; `adm` is OpenAI's, with its reference batch."""
    n: int | None = Field(None, ge=1)
    """Samples."""
    vae: str = ""
    """The autoencoder that decodes them."""
    labels: Literal["", "random", "balanced"] = ""
    """Whether classes are drawn, or each gets its equal share."""
    setting: str = Field("", pattern=f"^({_SETTING})?$")
    """What differs from the method's main table: `encoder=MAE-L;depth=8`."""
    kind: Literal["claim", "rerun", "copy"]
    """`claim`: by the method's authors; `rerun`: somebody else ran it; `copy`: printed again."""
    source: str = Field(min_length=1)
    """Key of the paper in the bibliography where the number was read."""
    place: str = ""
    """Where in it: Table 3, abstract, a figure, README."""
    tag: Literal["P", "T", "G", "C"]
    """How it was read: P its authors' text, T somebody else's, G digitised from a figure, C released code."""
    note: str = ""
    """What else to know; it begins with `used:` in the row that stands for its cell where sources differ."""

    at: str = Field("", exclude=True)
    """File and line; no column."""

    @field_validator("metric")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in METRICS:
            raise ValueError(unknown("metric", name, METRICS))
        return name

    @model_validator(mode="after")
    def _agrees(self) -> "Published":
        if float(self.printed) != self.value:
            raise ValueError(f"value: {self.value:g} is not the printed {self.printed}; correct one of them")
        if self.kind != "claim" and self.tag == "P":
            raise ValueError(f"tag: P is for claims, and this is a {self.kind}: T, G or C")
        if len(self.settings) < self.setting.count("="):
            raise ValueError(f"setting: {self.setting} has a key twice; keep one")
        if self.interval and self.guidance in ("", "none"):
            raise ValueError("interval: has no effect without guidance; give the scale, or 'guided'")
        low, high = self.times or (0.0, 1.0)
        if not 0 <= low < high <= 1:
            raise ValueError(f"interval: {self.interval} must be two times from 0 (data) to 1 (noise), the lower first")
        return self

    @property
    def scale(self) -> float | None:
        """Scale of guidance: 1 without any, nothing where it is not known."""
        if self.guidance == "none":
            return 1.0
        return float(self.guidance) if re.fullmatch(_NUMBER, self.guidance) else None

    @property
    def times(self) -> tuple[float, float] | None:
        """Interval of guidance as it stands, where it is known: 0 is data."""
        low, _, high = self.interval.partition(",")
        return (float(low), float(high)) if high else None

    @property
    def times_here(self) -> tuple[float, float] | None:
        """The same in this suite's time, where 0 is noise: [0, 0.7] is [0.3, 1]."""
        if self.times is None:
            return None
        low, high = self.times
        return round(1 - high, 12), round(1 - low, 12)

    @property
    def settings(self) -> dict[str, str]:
        """What `setting` says, by key."""
        return dict(part.split("=") for part in self.setting.split(";") if part)

    @property
    def decimals(self) -> int:
        """How many digits are printed behind the point: 1 of 8.3, 2 of 8.30."""
        return len(self.printed.partition(".")[2])

    @property
    def of(self) -> Metric:
        """What the number means."""
        return METRICS[self.metric]


COLUMNS: Final = tuple(name for name in Published.model_fields if name != "at")
PROTOCOL: Final = ("sampler", "sampler_steps", "guidance", "interval", "evaluator", "n", "vae", "labels")


def cell_id(row: Published) -> str:
    """What was measured, as words: rows of one cell claim to be the same number.

    `imagenet-256 REPA SiT-XL/2 steps=400000 fid sampler=euler-maruyama ...`. Epochs count where steps are not known;
    numbers and settings are the same however they are written.
    """
    words = [row.data, row.method, row.backbone or "-", row.metric]
    words.append(f"steps={row.steps}" if row.steps is not None else f"epochs={row.epochs or ''}")
    shown: dict[str, Any] = {name: getattr(row, name) for name in PROTOCOL}
    shown["guidance"] = row.guidance if row.scale is None or row.guidance == "none" else f"{row.scale:g}"
    shown["interval"] = row.interval if row.times is None else f"{row.times[0]:g},{row.times[1]:g}"
    shown["setting"] = ";".join(f"{key}={value}" for key, value in sorted(row.settings.items()))
    return " ".join([*words, *(f"{name}={value}" for name, value in shown.items() if value not in ("", None))])
