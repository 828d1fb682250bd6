"""The claimed speed-ups in words: what was claimed, what the points give, and what they allow."""

from collections.abc import Mapping, Sequence
from typing import Any

from reedbench.report import bibliography
from reedbench.report.digest import NONE, Digest
from reedbench.report.paper.speedup import Found, Point
from reedbench.schema.published_row import Published

COLUMNS = (
    "name", "method", "baseline", "metric", "axis", "claimed", "claimed_by", "claim_row", "computed", "agrees", "low",
    "high", "straight", "smooth", "target", "baseline_cost", "baseline_value", "baseline_row", "method_cost",
    "method_value", "method_row", "baseline_before", "baseline_before_row", "method_before", "method_before_row",
    "digitised", "leaves_out",
)  # fmt: skip
RULE = (
    "Computed: the cost of the baseline's last point (where the target is a number, of the first of its points that is "
    "as good) over that of the first of the method's points that is as good."
)
ALLOWED = (
    "The points allow: each curve reaches the target between the last point that is not as good and the first that is; "
    "open where a curve begins beyond the target."
)
READINGS = (
    "Straight lines: between points, over the logarithm of the cost; smooth curves: as the suite's own speed-ups are "
    "read (monotone, over the logarithm of the cost); both on the metric's natural scale."
)


def digest(found: Mapping[str, Found]) -> Digest:
    """A line for each."""
    heads = ("speed-up", "claimed", "computed", "points allow", "straight lines", "smooth curves")
    rows = tuple((_named(one), f"{one.claim.printed}x", _ratio(one), _allowed(one), _times(one.straight),
                  _times(one.smooth)) for one in found.values())  # fmt: skip
    return Digest(heads, rows, frozenset(), "", ())


def _named(one: Found) -> str:
    row = one.start[1]
    target = row.printed if row.value == one.target else f"{one.target:g}"
    return f"{one.asked.method} over {one.asked.baseline}, {row.of.label} {target} {row.of.unit}".strip()


def _ratio(one: Found) -> str:
    return f"{one.ratio:.2f}x = {one.start[0]:,.0f} / {one.end[0]:,.0f} {one.asked.axis}"


def _times(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}x"


def _allowed(one: Found) -> str:
    """`1.33x to 35.00x`, `more than 1.00x`."""
    if one.low is not None and one.high is not None:
        return f"{one.low:.2f}x to {one.high:.2f}x"
    if one.low is not None:
        return f"more than {one.low:.2f}x"
    return NONE if one.high is None else f"less than {one.high:.2f}x"


def notes(found: Mapping[str, Found]) -> list[str]:
    """What a reader must know, a line each."""
    lines = [RULE, ALLOWED, READINGS]
    for one in found.values():
        said = f"{_named(one)}: {_point(one.asked.baseline, one.start)}, {_point(one.asked.method, one.end)}."
        if not one.agrees:
            said += f" That is not what {one.asked.stated_by} claims ({one.claim.printed})."
        if one.digitised:
            read = ", ".join(f"{row.method} {row.printed} at {_cost(one, row)}" for row in one.digitised)
            said += f" Read off a figure, and part of the ratio or of what the points allow: {read}."
        lines.append(f"{said} {one.asked.leaves_out}")
    lines += [f"{key}: {bibliography.short([key])}" for key in sources(found)]
    return [" ".join(line.split()) for line in lines]


def _point(method: str, point: Point) -> str:
    cost, row = point
    guided = f" with guidance {row.guidance}" if row.scale not in (None, 1.0) else ""
    return f"{method} {row.printed} at {cost:,.0f}{guided} ({', '.join(filter(None, (row.source, row.place)))})"


def _cost(one: Found, row: Published) -> str:
    return f"{getattr(row, one.asked.axis):,}"


def rows(found: Mapping[str, Found]) -> list[dict[str, Any]]:
    """Rows of the csv."""
    return [_row(name, one) for name, one in found.items()]


def _row(name: str, one: Found) -> dict[str, Any]:
    points = {"baseline": one.start, "method": one.end}
    before = {"baseline_before": one.baseline.before, "method_before": one.method.before}
    return {
        "name": name,
        "method": one.asked.method,
        "baseline": one.asked.baseline,
        "metric": one.asked.metric,
        "axis": one.asked.axis,
        "claimed": one.claim.printed,
        "claimed_by": one.asked.stated_by,
        "claim_row": one.claim.at,
        "computed": one.ratio,
        "agrees": one.agrees,
        "low": one.low,
        "high": one.high,
        "straight": one.straight,
        "smooth": one.smooth,
        "target": one.target,
        **{f"{who}_cost": cost for who, (cost, _) in points.items()},
        **{f"{who}_value": row.printed for who, (_, row) in points.items()},
        **{f"{who}_row": row.at for who, (_, row) in points.items()},
        **{who: point[0] for who, point in before.items() if point is not None},
        **{f"{who}_row": point[1].at for who, point in before.items() if point is not None},
        "digitised": " ".join(row.at for row in one.digitised),
        "leaves_out": one.asked.leaves_out,
    }


def sources(found: Mapping[str, Found]) -> Sequence[str]:
    """Keys of the papers that claims and points are from."""
    return list(dict.fromkeys(row.source for one in found.values() for row in (one.claim, *one.rows)))
