"""Which benchmarks have the figure of differences: those whose methods can be compared with the baseline."""

from reedbench.schema import reports, runs, suite

SAMPLERS = {"ode": {"uses": "euler", "steps": 2}, "heun": {"uses": "heun", "steps": 2}}


def is_made(files, **methods) -> bool:
    files.set("methods", {name: {"uses": "aligned", "label": name, **more} for name, more in methods.items()})
    files.set("table", list(methods))
    files.set("ablations", {})
    files.set("samplers", SAMPLERS)
    files.set("speedup/baseline", next(iter(methods)))
    files.write()
    suite.load.cache_clear()
    return "differences" in reports.figures(runs.benchmark(suite.load(), "tiny"))


def test_a_method_that_ends_elsewhere_and_that_another_sampler_draws_has_none(files):
    assert not is_made(files, sit={"samplers": ["ode"]}, one={"samplers": ["heun"], "steps": 15})
    assert is_made(files, sit={"samplers": ["ode"]}, one={"steps": 15})


def test_a_baseline_that_ends_elsewhere_is_compared_at_its_end(files):
    assert is_made(files, sit={"steps": 5}, one={})
    assert not is_made(files, sit={"steps": 5, "samplers": ["ode"]}, one={"samplers": ["heun"]})


def test_samplers_without_a_step_in_common_compare_nothing(files):
    assert is_made(files, sit={}, one={})
    assert not is_made(files, sit={"samplers": ["ode"]}, one={"samplers": ["heun"]})
