"""Paths are functions of names; wildcards pass through."""

from reedbench.core import paths


def test_a_step_has_seven_digits():
    assert paths.step_name(400) == "step-0000400"
    assert paths.step_name(4_000_000) == "step-4000000"


def test_names_of_steps_sort_like_their_numbers():
    steps = [5, 50, 400, 12_000, 1_000_000]
    assert sorted(map(paths.step_name, steps)) == [paths.step_name(step) for step in steps]


def test_a_wildcard_stays_as_it_is():
    assert paths.samples("{b}", "{m}", "{k}", "{step}", "{s}") == ("results/samples/{b}/{m}/seed{k}/step-{step}/{s}")
    assert paths.receipt("{b}", "{m}", "{k}", "{i}") == "results/runs/{b}/{m}/seed{k}/segment-{i}.json"


def test_a_wildcard_filled_with_digits_is_the_path_of_the_number():
    filled = paths.metrics("{b}", "{m}", "{k}", "{step}", "{s}").format(b="x", m="sit", k=0, step="0000010", s="ode")
    assert filled == paths.metrics("x", "sit", 0, 10, "ode")


def test_the_folders_of_a_run_lie_under_it():
    run = paths.run("b", "m", 3)
    assert run == "results/runs/b/m/seed3"
    assert {p.rsplit("/", 1)[0] for p in (paths.recipe("b", "m", 3), paths.segment("b", "m", 3, 0))} == {run}
    assert paths.receipt("b", "m", 3, 0) == paths.segment("b", "m", 3, 0) + ".json"


def test_the_resumable_state_lies_outside_the_results():
    assert paths.store("b", "m", 3, "abc") == "work/b/m/seed3/abc"


def test_what_is_rebuilt_from_the_cache_never_overwrites_what_comes_from_runs():
    made = {paths.table("b"), paths.ablation("b", "depth"), paths.figure("b", "speedup")}
    made.add(paths.figure("b", "speedup", ablation="depth"))
    rebuilt = {paths.cached_table("b"), paths.cached_ablation("b", "depth"), paths.cached_figure("b", "speedup")}
    rebuilt.add(paths.cached_figure("b", "speedup", ablation="depth"))
    assert len(made | rebuilt) == 8
    assert all(path.startswith("results/from-cache/b/") for path in rebuilt)


def test_siblings_differ_in_suffix_only():
    assert paths.siblings("results/tables/a.csv", ".md", ".tex") == ["results/tables/a.md", "results/tables/a.tex"]
