"""What a reader must know to read the table right, a line each."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from reedbench.core.constants import HALVES
from reedbench.core.numerics import THEN
from reedbench.report import bibliography, clusters
from reedbench.report.costs import BASE, TAUGHT, Costs
from reedbench.report.digest import OWN_GUIDANCE
from reedbench.report.intervals import kind_of
from reedbench.report.source import PAIR, Source
from reedbench.report.tables import Comparison

KINDS = {"t95": "95 % t interval over seeds", "range": "range over the two seeds (no confidence interval)",
         "none": "one seed, no interval"}  # fmt: skip
BOLD = {"t95": "Bold: the best value, where the paired interval of its difference to the second best excludes 0.",
        "range": "Nothing is bold: two seeds have no confidence interval.",
        "none": "Nothing is bold: one seed has no interval."}  # fmt: skip

OTHERS = {"adaptation": "adaptation to a setting that its paper did not have",
          "own data": "on data of its own, not to be compared with rows on other data"}  # fmt: skip


def notes(of: Comparison) -> list[str]:
    """Lines of plain text, still to be escaped."""
    return [" ".join(line.split()) for line in _notes(of)]


def _notes(of: Comparison) -> Iterator[str]:
    table, source, facts = of.table, of.source, of.facts
    seeds = str(table["seeds"].iloc[0])
    kind = kind_of(len(seeds.split()))
    n = int(source.metrics[source.metrics["step"] >= 0]["n"].max())
    yield f"Values: mean [{KINDS[kind]}], seeds {seeds}; n = {n} samples each."
    yield (
        f"Differences to {of.label(of.against)}: mean of the differences at equal seed (same data, noise and times) "
        f"[{KINDS[kind].replace('over seeds', 'over paired seeds')}]."
    )
    yield from _drawn(of)
    yield BOLD[kind]
    yield from _speedups(of)
    yield from _floors(source.floor)
    yield from _elsewhere(of)
    yield from _taught(of)
    once = _prepared(source.curves)
    known = {of.label(name): f"{once[name]:.0f} s" for name in facts["methods"] if name in once.index}
    if shown := _listed([f"{label} {seconds}" for label, seconds in known.items() if seconds != "0 s"]):
        others = "; all others 0 s" if "0 s" in known.values() else ""
        yield f"Prepared once and not counted in these speed-ups (figures' speedup.csv counts it): {shown}{others}."
    yield from _valued(source)
    yield from _spreads(source)
    yield from clusters.lines(source, lambda method: _name(of, method))
    yield from _numerics(of)
    yield from _unmeasured(source)
    yield from _cards(facts["methods"])
    yield from (f"{entry['label']}: {entry['note']}" for entry in facts["methods"].values() if entry["note"])


def _listed(names: Sequence[str]) -> str:
    """With semicolons where a name has a comma in it."""
    return ("; " if any("," in name for name in names) else ", ").join(names)


def _together(said: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Those of which the same words are said, and the words, in the order of the first of them."""
    groups: dict[str, list[str]] = {}
    for name, words in said:
        groups.setdefault(words, []).append(name)
    return ((_listed(names), words) for words, names in groups.items())


def _cards(methods: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """What methods are that are not what their papers have, and what all of them cite."""
    cards = [(entry["label"], entry["card"]) for entry in methods.values() if "card" in entry]
    others = _together((label, OTHERS[card["tier"]]) for label, card in cards if card["tier"] in OTHERS)
    yield from (f"{labels}: {words}." for labels, words in others)
    if unstated := [label for label, card in cards if card["tier"] == "unstated"]:
        yield f"How near to its paper is not stated of: {_listed(unstated)}."
    if free := [(label, str(card["choices"])) for label, card in cards if card["choices"]]:
        parts = "; ".join(f"{many} of {labels}" for labels, many in _together(free))
        yield f"Free choices of ours where papers leave things open (reedbench method NAME): {parts}."
    cited: dict[str, list[str]] = {}
    for label, card in cards:
        for key in card["cites"]:
            cited.setdefault(key, []).append(label)
    if cited:
        papers = [f"{bibliography.short([key])} ({_listed(labels)})" for key, labels in cited.items()]
        yield f"Cite (BibTeX: reedbench method NAME): {'; '.join(papers)}."


def _drawn(of: Comparison) -> Iterator[str]:
    """How samples were drawn, and from which methods not."""
    for name, own in of.table.groupby("sampler", sort=False):
        row = own.iloc[0]
        taken = ", ".join(_evaluations(of, str(by), some) for by, some in own.groupby("guided_by", sort=False))
        yield f"Sampler {name}: {row['protocol']}; guidance {row['guidance']:g}; {taken}."
    undrawn = of.source.undrawn(of.facts["methods"]).items()
    for labels, samplers in _together((of.label(method), ", ".join(samplers)) for method, samplers in undrawn):
        yield f"{labels}: not drawn by {samplers}."


def _evaluations(of: Comparison, by: str, own: pd.DataFrame) -> str:
    """Those that were counted differ between methods and steps; whose guidance is their own is named."""
    least, most = own["nfe"].min(), own["nfe"].max()
    words = f"{least:.4g} network evaluations" if least == most else f"{least:.4g} to {most:.4g} network evaluations"
    labels = _listed([of.label(str(method)) for method in own["method"].unique()])
    return words if by == PAIR else f"{words} for {labels} (guidance {OWN_GUIDANCE[by]})"


def _speedups(of: Comparison) -> Iterator[str]:
    primary, baseline = of.facts["speedup"]["metric"], of.facts["baseline_label"]
    if of.facts["speedup"]["baseline"] in of.source.elsewhere:
        yield f"No speed-ups: {baseline} is imported, and what its training took is not known."
        return
    if Costs(of.source).unknown(of.facts["speedup"]["baseline"]):
        yield f"No speed-ups: {baseline} learns from imported weights, and what their training took is not known."
        return
    yield (
        f"Speed-up: {baseline}'s cost / the method's cost at equal {primary}, mean of the logarithm over all values "
        "that both runs of a seed reach and over seeds: above 1 is faster, below 1 slower, > and < are bounds."
    )
    pairs, compared = of.source.pairs, of.facts["speedup"]["baseline"]
    steps = [one for one in of.gains if one.axis == "steps" and one.method != compared
             and {(one.method, one.sampler), (compared, one.sampler)} <= pairs]  # fmt: skip
    several = len({one.sampler for one in of.gains}) > 1

    def name(method: str, sampler: str) -> str:
        return of.label(method) + (f" with {sampler}" if several else "")

    spans = [f"{name(one.method, one.sampler)} {one.start:.4g} to {one.end:.4g}" for one in steps
             if one.start is not None and one.end is not None]  # fmt: skip
    if spans:
        yield f"Values that both reach (mean over seeds): {', '.join(spans)}."
    targets = {one.sampler: one.target for one in of.gains if (compared, one.sampler) in pairs}
    target = ", ".join(f"{_target(value)} with {sampler}" for sampler, value in targets.items())
    yield (
        f"To {baseline}'s final value (mean {target}): {baseline}'s cost at its last step / the method's cost where it "
        f"first reaches that value; < where it does not."
    )
    for sampler in dict.fromkeys(one.sampler for one in of.gains):
        if (compared, sampler) not in pairs:
            yield f"With {sampler} there are no speed-ups: {baseline} is not drawn by it."
    lacking = [one for one in steps if one.reason and one.method not in of.source.elsewhere]
    for sampler in dict.fromkeys(one.sampler for one in lacking):
        where = f" with {sampler}" if several else ""
        for labels, why in _together((of.label(one.method), one.reason) for one in lacking if one.sampler == sampler):
            yield f"{labels}{where}: {why}."


def _elsewhere(of: Comparison) -> Iterator[str]:
    """Which rows were not trained here, from where they are, and what cannot be said of them."""
    last = of.table.groupby("method")["step"].max()
    for method, origin in of.source.elsewhere.items():
        if method in of.facts["methods"]:
            yield (
                f"{of.label(method)}: imported, not trained here: {origin}, step {last[method]}. What its training "
                "took is not known. All seeds have the same weights: its bounds, and those of its differences, hold no "
                "noise of its training, and nothing is bold by them. Differences are given at steps that both have."
            )


def _prepared(curves: pd.DataFrame) -> pd.Series:
    """Device-seconds of what is not counted, by method: of one-off costs all but the training of its teachers."""
    base = curves[BASE["device_seconds"]].fillna(0.0) if BASE["device_seconds"] in curves else 0.0
    return (curves["oneoff_device_seconds"] - base).groupby(curves["method"]).mean().dropna()


def _taught(of: Comparison) -> Iterator[str]:
    """Which rows go on from other runs, and what of these is in their costs."""
    curves = of.source.curves
    known = curves.dropna(subset=TAUGHT) if TAUGHT in curves else curves[:0]
    said = (known.groupby("method", sort=False)[TAUGHT].first() if len(known) else pd.Series(dtype=str)).items()
    taught = [(of.label(str(method)), str(words)) for method, words in said if method in of.facts["methods"]]
    if taught:
        parts = "; ".join(f"{labels} from {words}" for labels, words in _together(taught))
        yield (
            f"What learns from other runs: {parts}. Costs and speed-ups include that training, steps and samples do "
            "not."
        )
    if ends := [of.label(name) for name in of.facts.get("ends", {})]:
        yield f"Lengths of their own: {_listed(ends)}; differences are those of the last steps."


def _target(value: float) -> str:
    return "not measured" if pd.isna(value) else f"{value:.4g}"


def _floors(floor: pd.DataFrame) -> Iterator[str]:
    """What real data score, or the best that is possible."""
    halves = "Floor, training half against the other half"
    what = floor["what"].fillna(HALVES) if "what" in floor else pd.Series(HALVES, floor.index)
    for kind, own in floor.groupby(what, sort=False):
        values = ", ".join(f"{row['family']} {row['value']:.4g}" for _, row in own.iterrows())
        words = halves if kind == HALVES else f"Limit, {kind}"
        yield f"{words} (n = {int(own['n'].iloc[0])}): {values}."


def _spreads(source: Source) -> Iterator[str]:
    """How much metrics vary within a run, over its disjoint sampling streams: noise that no further seed takes away."""
    spreads = [(row.family, json.loads(row.spread)) for row in source.last.itertuples()]
    known = pd.DataFrame([{"family": family, **spread} for family, spread in spreads if "std" in spread])
    for (streams, n), own in known.groupby(["streams", "n"]) if len(known) else ():
        means = own.groupby("family", sort=False)["std"].mean()
        values = ", ".join(f"{family} {value:.2g}" for family, value in means.items())
        yield f"Standard deviation within a run, over {streams} streams of {n} samples (mean over runs): {values}."


def _valued(source: Source) -> Iterator[str]:
    """Of how many samples means are, where some have no value."""
    if "values" not in source.last:
        return
    known = source.last.dropna(subset="values")
    found = pd.DataFrame([{"family": row.family, **json.loads(row.values)} for row in known.itertuples()])
    shares = (found.groupby("family", sort=False)[["n", "of"]].sum() if len(found) else found).itertuples()
    parts = [f"{row.Index} {row.n / row.of:.1%}" for row in shares if row.n < row.of]
    if parts:
        yield f"Means over those samples that have a value (share at the last step, all runs): {', '.join(parts)}."


def _numerics(of: Comparison) -> Iterator[str]:
    """Which runs were trained under which numerics, where they differ: such runs differ by rounding too."""
    curves = of.source.curves
    if "numerics" not in curves:
        return
    runs = curves[["method", "seed", "numerics"]].drop_duplicates().dropna()
    kinds = {text: json.loads(text) for text in runs["numerics"].unique()}
    values = [value for several in kinds.values() for value in several]
    names = sorted({name for one in values for name in one})
    differing = [
        name
        for name in names
        if any(one.get(name) != values[0].get(name) or THEN in str(one.get(name)) for one in values)
    ]
    if not differing:
        return
    *few, most = sorted(runs.groupby("numerics", sort=False), key=lambda group: len(group[1]))
    parts = []
    for text, own in [*few, most]:
        under = " then ".join(
            ", ".join(f"{name} {one.get(name, '-')}" for name in differing) for one in kinds[str(text)]
        )
        seeds = own.groupby("method", sort=False)["seed"].apply(lambda column: " ".join(map(str, column)))
        named = "; ".join(f"{_name(of, str(method))} {of_method}" for method, of_method in seeds.items())
        parts.append(f"{'all others' if few and own is most[1] else named} ({under})")
    yield f"Trained under mixed numerics, which differ by rounding (method and seeds): {' | '.join(parts)}."


def _name(of: Comparison, method: str) -> str:
    known = {of.facts["speedup"]["baseline"], *of.facts["methods"]}
    return of.label(method) if method in known else method


def _unmeasured(source: Source) -> Iterator[str]:
    """Why metrics have no value, once each."""
    if "reason" not in source.metrics:
        return
    for _, row in source.metrics[source.metrics["value"].isna()].drop_duplicates("family").iterrows():
        own = source.metrics[(source.metrics["family"] == row["family"]) & (source.metrics["step"] >= 0)]
        lost = int(own["value"].isna().sum())
        some = f" in {lost} of {len(own)} cells" if lost else " on real data"
        where = "" if lost == len(own) else some
        yield f"{row['family']} was not measured{where}: {row['reason']}."
