"""Methods that name a run as teacher: recipes, courses, rounds, and what is refused."""

import copy

import pytest

from reedbench.core.errors import ConfigError
from reedbench.launch import leftovers
from reedbench.launch.status import Status
from reedbench.schema import lineage, planning, reports, rounds, runs, settings, suite

SIT = {"uses": "sit", "patch": 2, "width": 16, "depth": 2, "heads": 2}
TUNED = {"uses": "aligned", "label": "Tuned", "init": "teacher", "teacher": {"method": "sit", "step": 10}}


def loaded(files) -> suite.Suite:
    files.write()
    suite.load.cache_clear()
    return suite.load()


def tuned(files, **more):
    files.set("methods/tuned", {**TUNED, **more})
    files.set("table", ["sit", "repa", "reed", "tuned"])


def another(files, **edits):
    """A second benchmark, equal but for some sections."""
    files.benchmarks["other"] = {**copy.deepcopy(files.benchmarks["tiny"]), "title": "Other", **edits}


def refused(files) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(files)
    return str(caught.value)


def test_the_teachers_key_and_step_are_part_of_a_recipe_and_of_no_other(files):
    before = {run: run.key for run in runs.benchmark(loaded(files), "tiny").runs(["sit", "repa"])}
    tuned(files)
    tiny = runs.benchmark(loaded(files), "tiny")
    assert [run.key for run in tiny.runs(["sit", "repa"])] == list(before.values())
    one = tiny.run("tuned", 1)
    assert one.recipe["teacher"] == {"recipe": tiny.run("sit", 1).key, "step": 10}
    assert one.recipe["objective"] == {"uses": "aligned", "version": 1, "init": "teacher"}
    assert "teacher" not in tiny.run("sit", 1).recipe
    files.set("methods/sit/label_dropout", 0.2)
    again = runs.benchmark(loaded(files), "tiny")
    assert again.run("tuned", 1).key != one.key
    assert again.run("repa", 1).key == tiny.run("repa", 1).key


def test_a_teacher_of_another_benchmark_is_the_same_as_one_of_ones_own(files):
    tuned(files)
    own = runs.benchmark(loaded(files), "tiny").run("tuned", 0)
    another(files)
    files.benchmarks["tiny"]["methods"]["tuned"] = {**TUNED, "teacher": {**TUNED["teacher"], "benchmark": "other"}}
    there = runs.benchmark(loaded(files), "tiny").run("tuned", 0)
    assert there.key == own.key
    assert there.teacher.receipt == "results/runs/other/sit/seed0/segment-0.json"


def test_a_plan_trains_teachers_first_and_only_as_far_as_they_are_wanted(files):
    another(files, seeds=[0])
    tuned(files, teacher={"benchmark": "other", "method": "reed", "step": 10})
    files.set("table", ["sit", "tuned"])
    tiny = runs.benchmark(loaded(files), "tiny")
    jobs = [job for job in planning.jobs(tiny) if job.verb == "train"]
    of_other = [job.done for job in jobs if "/other/" in job.done]
    assert of_other == [f"results/runs/other/reed/seed{k}/segment-0.json" for k in (0, 1)]
    done = [job.done for job in jobs]
    assert done.index(of_other[1]) < done.index("results/runs/tiny/tuned/seed1/segment-0.json")
    verbs = {(job.verb, job.arguments) for job in planning.jobs(tiny)}
    assert ("represent", "--dataset digits --encoder caption") in verbs  # which the teacher alone reads
    assert of_other[0] in reports.inputs(tiny)


def test_what_others_learn_from_under_their_own_seeds_is_shown_and_no_leftover(files):
    another(files, seeds=[0])
    tuned(files, teacher={"benchmark": "other", "method": "reed", "step": 10})
    found = loaded(files)
    assert leftovers._configured(found)["other"]["reed"] == {0, 1}
    assert leftovers._configured(found)["other"]["sit"] == {0}
    shown = {row.name: row.total for row in Status(found, "tiny").now().rows}
    assert shown["other/reed/seed1"] == 10
    assert shown["tiny/tuned/seed1"] == 20


def test_a_method_ends_where_it_says(files):
    tuned(files, steps=15, optimiser={"decay_over": 15}, ema_decay=0.0)
    files.set("samplers/heun", {"uses": "heun", "steps": 2})
    files.set("only_at", {"heun": [20]})
    tiny = runs.benchmark(loaded(files), "tiny")
    course = tiny.run("tuned", 0).course
    assert course.evaluated == (10, 15)
    assert [course.span(i) for i in range(course.segments)] == [(0, 10), (10, 15)]
    assert course.total == 15
    assert not course.saves(20)
    assert [(c.step, c.sampler) for c in tiny.cells(["tuned"]) if c.run.seed == 0] == [
        (10, "ode"),
        (15, "ode"),
        (15, "heun"),
    ]
    train = tiny.run("tuned", 0).recipe["train"]
    assert train["optimiser"] == {"lr": 1.0e-3, "decay_over": 15}
    assert train["ema_decay"] == 0.0
    assert reports.reporting(tiny)["ends"] == {"tuned": 15}
    assert "ends" not in reports.reporting(tiny, "text")


ROUNDS = {
    "rounds": {"times": 3, "of": {"base": "tuned", "label": "R", "steps": 10}, "first": {"method": "sit", "step": 5}}
}


def test_rounds_are_methods_each_with_the_last_one_as_teacher(files):
    tuned(files)
    del files.benchmarks["tiny"]["methods"]["tuned"]["teacher"]
    files.set("methods/tuned/teacher", {"method": "sit", "step": 20})
    files.set("methods/r", ROUNDS)
    files.set("table", ["sit", "r.3"])
    tiny = runs.benchmark(loaded(files), "tiny")
    named = {m: tiny.spec.methods[m] for m in ("r.1", "r.2", "r.3")}
    assert [one.label for one in named.values()] == ["R, round 1", "R, round 2", "R, round 3"]
    assert [(one.teacher.method, one.teacher.step) for one in named.values()] == [("sit", 5), ("r.1", 10), ("r.2", 10)]
    assert [c.title for c in tiny.run("r.3", 0).lineage] == [
        "tiny/sit/seed0/5",
        "tiny/r.1/seed0/10",
        "tiny/r.2/seed0/10",
    ]
    wanted = lineage.with_teachers([tiny.run("r.3", 0)])
    assert [(run.method, segments) for run, segments in wanted.items()] == [
        ("sit", 1),
        ("r.1", 1),
        ("r.2", 1),
        ("r.3", 1),
    ]


def test_rounds_may_differ_in_settings_of_their_own(files):
    tuned(files)
    each = {"steps": [5, 10], "label": ["one", "two"]}
    files.set(
        "methods/r",
        {"rounds": {"times": 2, "of": {"base": "tuned"}, "first": {"method": "sit", "step": 5}, "each": each}},
    )
    methods = loaded(files).benchmark("tiny").methods
    assert [(methods[m].label, methods[m].steps) for m in ("r.1", "r.2")] == [("one", 5), ("two", 10)]
    assert methods["r.2"].teacher.step == 5


@pytest.mark.parametrize(
    ("base", "step"), [({"steps": 15}, 15), ({"base": "tuned"}, 20), ({"base": "tuned", "steps": 5}, 5)]
)
def test_a_round_learns_from_the_last_step_of_the_one_before_whoever_says_its_length(files, base, step):
    tuned(files)
    files.set("methods/long", {"uses": "aligned", "label": "Long", "init": "teacher", **base})
    files.set("methods/long/teacher", {"method": "sit", "step": 5})
    rounds = {"times": 2, "of": {"base": "long", "label": "R"}, "first": {"method": "sit", "step": 5}}
    files.set("methods/r", {"rounds": rounds})
    files.set("methods/more", {"base": "r.2", "label": "More"})
    methods = loaded(files).benchmark("tiny").methods
    assert [(methods[m].length() or 20, methods[m].teacher.step) for m in ("r.1", "r.2", "more")] == [
        (step, 5),
        (step, step),
        (step, step),
    ]


def test_the_recipe_of_every_round_is_made_once(files, monkeypatch):
    made = []
    identity = settings.identity
    monkeypatch.setattr(settings, "identity", lambda *given: (made.append(given), identity(*given))[1])
    rounds = {"times": 20, "of": {**TUNED, "label": "R", "steps": 10}, "first": {"method": "sit", "step": 5}}
    del rounds["of"]["teacher"]
    files.set("methods/r", {"rounds": rounds})
    tiny = runs.benchmark(loaded(files), "tiny")
    assert len({tiny.run(f"r.{i}", 0).key for i in range(1, 21)}) == 20
    assert sum(plugin.uses == "aligned" for _, plugin in made) == 21  # with the first teacher


def test_the_base_of_rounds_may_be_missing(files):
    files.set("methods/r", {"rounds": {"times": 2, "of": {"base": "bas"}, "first": {"method": "sit", "step": 5}}})
    said = refused(files)
    assert "methods.r.1.base: unknown base 'bas'" in said
    assert "teacher" not in said


def faulty(**more):
    return {"rounds": {**ROUNDS["rounds"], **more}}


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({**ROUNDS, "label": "R"}, "methods.r.label: stands beside rounds; put it into rounds.of"),
        ({"rounds": 3}, "methods.r.rounds: must be a mapping of times, of, first, each, got 3"),
        (faulty(times=0), "methods.r.rounds.times: must be a whole number from 1 to 100, got 0"),
        (faulty(of=None), "methods.r.rounds.of: must be the settings of a round, got None"),
        (faulty(first="sit"), "methods.r.rounds.first: must be the teacher of the first round, got 'sit'"),
        (faulty(time=3), "methods.r.rounds.time: unknown key"),
        (faulty(each={"steps": [1]}), "methods.r.rounds.each.steps: must be a list of 3 values, one per round"),
        (faulty(each={"steps": [5, 5, 5]}), "methods.r.rounds.each.steps: is given in rounds.of too; keep one"),
        (faulty(of={"base": "tuned", "teacher": {}}), "methods.r.rounds.of.teacher: is what rounds give: take it out"),
    ],
)
def test_rounds_that_make_no_sense_are_refused(files, entry, words):
    tuned(files)
    files.set("methods/r", entry)
    assert words in refused(files)


def test_a_fault_of_a_round_is_shown_where_it_is_written(files):
    tuned(files)
    files.set("methods/r", faulty(of={"base": "tuned", "label": "R", "step": 10}))
    said = refused(files)
    files.write()
    document = suite.Document("benchmarks/tiny.yaml")
    line = document.line(("methods", "r", "rounds", "of", "step"))
    assert f"benchmarks/tiny.yaml:{line}: methods.r.1.step: unknown key 'step'" in said
    assert not rounds.resolve(document, "methods")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"teacher": {"method": "sid", "step": 10}}, "teacher.method: unknown method 'sid'"),
        (
            {"teacher": {"benchmark": "tini", "method": "sit", "step": 10}},
            "unknown benchmark 'tini'",
        ),
        ({"teacher": {"benchmark": "tiny", "method": "sit", "step": 10}}, "is the benchmark itself: leave it out"),
        (
            {"teacher": {"method": "sit", "step": 7}},
            "step 7 is off the grid of sit, whose weights are",
        ),
        ({"teacher": {"method": "sit", "step": 40}}, "sit is trained 20 steps, and step 40 is asked for"),
        ({"teacher": {"method": "tuned", "step": 10}}, "teacher: goes round in a circle: tuned -> tuned"),
        ({"steps": 7}, "methods.tuned.steps: 7 is off the grid: not a multiple of train.save_every (5)"),
        ({"ema_decay": 0.9}, "methods.tuned.ema_decay: train.ema_decay says the same; take it out"),
        ({"optimiser": {"lr": 1.0e-3}}, "methods.tuned.optimiser: train.optimiser says the same; take it out"),
        ({"optimiser": {"warmup": 9, "decay_over": 5}}, "decay_over 5 must lie behind the warm-up (9 steps)"),
        (
            {"optimiser": {"decay_over": 15}},
            "the learning rate is 0 from there on, and tuned is evaluated at step 20",
        ),
    ],
)
def test_what_a_method_says_of_its_training_is_checked(files, more, words):
    tuned(files, **more)
    assert words in refused(files)


def test_a_step_beyond_a_teachers_own_end_is_refused_as_such(files):
    tuned(files, steps=10)
    files.set("methods/more", {**TUNED, "label": "More", "teacher": {"method": "tuned", "step": 20}})
    said = refused(files)
    assert "methods.more.teacher.step: tuned is trained 10 steps, and step 20 is asked for; take one of these" in said
    assert "off the grid" not in said


def test_a_circle_over_benchmarks_is_refused(files):
    another(files)
    one = {**TUNED, "teacher": {"benchmark": "other", "method": "tuned", "step": 10}}
    other = {**TUNED, "teacher": {"benchmark": "tiny", "method": "tuned", "step": 10}}
    files.benchmarks["tiny"]["methods"] = {**files.benchmarks["tiny"]["methods"], "tuned": one}
    files.benchmarks["other"]["methods"] = {**files.benchmarks["other"]["methods"], "tuned": other}
    assert "goes round in a circle: tiny/tuned -> other/tuned -> tiny/tuned" in refused(files)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ({"codec": {"uses": "half-resolution"}}, "is trained behind another codec"),
        (
            {"backbone": {"uses": "sit", "patch": 2, "width": 32, "depth": 2, "heads": 2}},
            "must have one backbone, and have",
        ),
        (
            {"backbone": {"uses": "sit", "patch": 2, "width": 16, "depth": 2, "heads": 4}},
            "SiT-16x2/2, with other settings",
        ),
    ],
)
def test_a_teacher_on_other_ground_is_refused(files, edit, words):
    another(files, **edit)
    tuned(files, teacher={"benchmark": "other", "method": "sit", "step": 10})
    assert words in refused(files)


def test_samplers_that_cannot_draw_from_a_student_of_few_steps_are_named(files):
    distil = {"uses": "guided-distillation", "label": "D", "teacher": {"method": "sit", "step": 10}}
    files.set("methods/d", distil)
    of = {"uses": "progressive-distillation", "label": "P", "teacher": {"method": "d", "step": 20}, "student_steps": 4}
    files.set("methods/p", of)
    assert "cannot draw from method 'p': its network is trained for 4 steps of euler" in refused(files)
    files.set("samplers/four", {"uses": "euler", "steps": 4})
    files.set("methods/p", {**of, "samplers": ["four"]})
    assert loaded(files).benchmark("tiny").methods["p"].few_steps() == 4
    files.set("methods/p/between", [1.0, 8.0])
    assert "methods.p.teacher: has learnt scales from 1 to 4, and `between` asks for 1 to 8" in refused(files)


SPIN = {"uses": "self-play", "label": "SPIN", "steps": 10, "pool": {"sampler": "ode"}}
SPIN_ROUNDS = {"rounds": {"times": 3, "of": SPIN, "first": {"method": "sit", "step": 10}}}


def self_playing(files, **of):
    files.set("methods/spin", {"rounds": {**SPIN_ROUNDS["rounds"], "of": {**SPIN, **of}}})
    files.set("table", ["sit", "repa", "spin.3"])


def test_the_pool_of_every_round_is_drawn_from_the_round_before(files):
    before = {run: run.key for run in runs.benchmark(loaded(files), "tiny").runs(["sit", "repa", "reed"])}
    self_playing(files)
    tiny = runs.benchmark(loaded(files), "tiny")
    assert [run.key for run in tiny.runs(["sit", "repa", "reed"])] == list(before.values())
    rounds = [tiny.run(f"spin.{i}", 1) for i in (1, 2, 3)]
    assert [run.pool.title for run in rounds] == [
        "tiny/sit/seed1/10/ode",
        "tiny/spin.1/seed1/10/ode",
        "tiny/spin.2/seed1/10/ode",
    ]
    for run in rounds:  # whoever has its key has samples of these weights
        assert run.recipe["teacher"] == {"recipe": run.pool.run.key, "step": 10}
        assert run.recipe["pool"] == run.pool.sampling
        assert run.pool.run == run.teacher.run
        assert "pool" not in run.recipe["objective"]
    assert "pool" not in tiny.run("sit", 0).recipe
    assert tiny.spec.methods["spin.2"].label == "SPIN, round 2"


def test_another_way_of_sampling_makes_other_students_and_another_name_of_it_does_not(files):
    files.set("samplers/more", {"uses": "euler", "steps": 9})
    self_playing(files)
    keys = {m: runs.benchmark(loaded(files), "tiny").run(m, 0).key for m in ("sit", "spin.1", "spin.2")}
    files.set("samplers/more/steps", 8)
    assert {m: runs.benchmark(loaded(files), "tiny").run(m, 0).key for m in keys} == keys
    files.set("samplers/ode/steps", 3)
    found = {m: runs.benchmark(loaded(files), "tiny").run(m, 0).key for m in keys}
    assert [m for m in keys if found[m] != keys[m]] == ["spin.1", "spin.2"]
    files.set("samplers/more/steps", 3)
    self_playing(files, pool={"sampler": "more"})
    assert {m: runs.benchmark(loaded(files), "tiny").run(m, 0).key for m in keys} == found
    files.set("sampling/count", 60)
    assert runs.benchmark(loaded(files), "tiny").run("spin.1", 0).key != found["spin.1"]


def test_a_plan_draws_each_pool_once_between_teacher_and_student(files):
    self_playing(files)
    files.set("seeds", [0])
    tiny = runs.benchmark(loaded(files), "tiny")
    jobs = [job for job in planning.jobs(tiny) if job.verb in ("train", "sample")]
    done = [job.done.removeprefix("results/").removesuffix(".json") for job in jobs]
    chain = ["runs/tiny/sit/seed0/segment-0", "samples/tiny/sit/seed0/step-0000010/ode"]
    for i in (1, 2, 3):
        chain += [f"runs/tiny/spin.{i}/seed0/segment-0", f"samples/tiny/spin.{i}/seed0/step-0000010/ode"]
    assert [one for one in done if one in chain] == chain
    assert len(set(done)) == len(done)


def test_a_pool_of_another_benchmark_is_planned_with_its_own_settings(files):
    another(files, seeds=[0], sampling={"count": 64, "batch": 64, "streams": 4}, samplers={"sde": {"uses": "euler"}})
    files.benchmarks["other"].pop("only_at", None)
    teacher = {"benchmark": "other", "method": "sit", "step": 20}
    files.set("methods/spin", {**SPIN, "pool": {"sampler": "sde"}, "teacher": teacher})
    files.set("table", ["sit", "spin"])
    tiny = runs.benchmark(loaded(files), "tiny")
    pool = tiny.run("spin", 1).pool
    assert pool.samples == "results/samples/other/sit/seed1/step-0000020/sde"
    assert pool.sampling == pool.run.benchmark.sampling("sde")
    assert pool.samples in [job.done for job in planning.jobs(tiny)]
    assert "other/sit/seed1" in {row.name for row in Status(loaded(files), "tiny").now().rows}


@pytest.mark.parametrize(
    ("more", "sampler", "words"),
    [
        ({}, "od", "methods.spin.pool.sampler: unknown sampler 'od'"),
        ({"samplers/late": {"uses": "euler"}, "only_at": {"late": [20]}}, "late",
         "late draws from sit at step 20, and not at the teacher's step 10: take ode"),
        ({"samplers/late": {"uses": "euler"}, "methods/sit/samplers": ["ode"]}, "late",
         "late does not draw from sit: take ode"),
        ({"evaluate": [20]}, "ode",
         "ode draws from sit at step 20, and not at the teacher's step 10: evaluate it there, or take another step"),
    ],
)  # fmt: skip
def test_a_sampler_that_does_not_draw_there_is_refused(files, more, sampler, words):
    files.set("methods/spin", {**SPIN, "pool": {"sampler": sampler}, "teacher": {"method": "sit", "step": 10}})
    for key, value in more.items():
        files.set(key, value)
    assert words in refused(files)
