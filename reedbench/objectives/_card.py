"""What a reader should know of a method beside its numbers."""

import re
import sys
from dataclasses import dataclass, replace
from typing import Any, Literal

# `faithful`: the published loss; `adaptation`: carried over to where the paper did not have it; `own data`: published,
# and compared on data of its own, beside which other rows do not stand. `unstated` is what nobody has said.
Tier = Literal["unstated", "faithful", "adaptation", "own data"]
COSINE = "A = -cos(P h, r), mean over entries: projector P, hidden state h, representation r of the clean datum"
REPA, REED, IREPA, HASTE = "yu2025repa", "wang2025reed", "singh2025irepa", "wang2025haste"


@dataclass(frozen=True)
class Card:
    """A method in words.

    Attributes:
        name: what the field calls it; empty where the label of its row says it.
        tier: how near it is to what was published.
        formula: its loss, in one line, in our time; what its letters mean follows a semicolon.
        cost: of a training step, and what comes once; in F, a forward pass of the backbone on the batch, of which a
            backward pass costs two, and E, one of a frozen encoder.
        choices: what its sources leave open and we decided.
        source: the paper, and what of it was read; where a class does not say it, what its file's documentation does.
        cites: keys of the bibliography.
    """

    name: str
    tier: Tier
    formula: str
    cost: str
    choices: tuple[str, ...]
    source: str
    cites: tuple[str, ...]

    @property
    def standing(self) -> str:
        """`faithful`, or `adaptation, with 2 choices of ours`."""
        return f"{self.tier}, with {counted(len(self.choices))}" if self.choices else self.tier

    def words(self) -> dict[str, Any]:
        """What the notes of a table say of it."""
        return {"tier": self.tier, "choices": len(self.choices), "cites": list(self.cites)}


def counted(choices: int) -> str:
    """`2 choices of ours`."""
    return f"{choices} choice{'' if choices == 1 else 's'} of ours"


def source_of(method: type) -> str:
    """What the documentation of a method's file says of its source: what follows `Source:`, or papers by number."""
    said = (getattr(sys.modules.get(method.__module__), "__doc__", "") or "").split("Source: ", 1)
    if len(said) == 2:
        return " ".join(said[1].split("\n\n")[0].split())
    return ", ".join(re.findall(r"arXiv:\d+\.\d+", said[0]))


def with_alignments(bare: Card) -> Card:
    """The card of a denoising loss with as many alignments as there may be."""
    formula = _sum(f"omega(step) ({_loss(bare)})", "rho(step) sum_k w_k A_k", bare)
    return replace(bare, formula=formula, cost=_cost(bare.cost), cites=_united(bare.cites, (REPA, REED)))


def under_settings(bare: Card, objective: Any) -> Card:
    """The card of a denoising loss with the alignments and factors of an `_alignments.AligningObjective`."""
    terms = [alignment for alignment in objective.alignments if alignment.weight]
    timed = {one.term: getattr(one, "time_weight", "constant") != "constant" for one in terms}
    spatial = any(one.projector == "conv" or one.norm == "spatial" for one in terms)
    stops, ramped = bool(terms) and objective.align.shape == "stop", objective.denoise.shape != "constant"
    changes = bool(terms) and objective.align.shape not in ("constant", "stop")
    reed = len(terms) > 1 or ramped or changes or any(timed.values())
    needed = {REPA: bool(terms), REED: reed, IREPA: spatial, HASTE: stops}
    cites = _united(bare.cites, tuple(key for key, wanted in needed.items() if wanted))
    denoising = f"omega(step) ({_loss(bare)})" if ramped else _loss(bare)
    if not terms:
        name = f"{objective.unaligned} with REED's curriculum" if ramped else objective.unaligned
        return replace(bare, name=name, formula=f"{denoising}{bare.formula.removeprefix(_loss(bare))}", cites=cites)
    share = 1 / len(terms) if objective.reduces == "mean" else 1.0
    taus = {term: "tau(t) " if weighted else "" for term, weighted in timed.items()}
    aligning = " + ".join(f"{share * one.weight:.4g} {taus[one.term]}A({one.term})" for one in terms)
    aligning = aligning if objective.align.shape == "constant" else f"rho(step) ({aligning})"
    name = ("REED" if reed else "iREPA" if spatial else "REPA") + (", stopped as in HASTE" if stops else "")
    formula = _sum(denoising, aligning, bare)
    return replace(bare, name=name, tier=objective.aligned_tier, formula=formula, cost=_cost(bare.cost), cites=cites)


def _loss(card: Card) -> str:
    """The formula without what its letters mean."""
    return card.formula.partition("; ")[0]


def _sum(denoising: str, aligning: str, bare: Card) -> str:
    return f"{denoising} + {aligning}{bare.formula.removeprefix(_loss(bare))}; {COSINE}"


def _united(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *other)))


def _cost(denoising: str) -> str:
    return f"{denoising}, and projectors; E per step of every encoder that is online, else E of every datum once"
