"""The JSON Schemas for editors are those of the models, and refuse what these refuse."""

import copy
import json
from pathlib import Path

import pytest
import yaml

from reedbench.schema import suite

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "config/benchmarks/digits.yaml"


def test_the_checked_in_schema_is_the_generated_one():
    for file, text in suite.schema_texts().items():
        assert (ROOT / file).read_text(encoding="utf-8") == text, "run `reedbench schema --write`"


@pytest.fixture
def validator():
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema comes with snakemake")
    return jsonschema.Draft202012Validator(json.loads(suite.schema_texts()["config/benchmark.schema.json"]))


def test_digits_is_valid_under_the_json_schema(validator):
    assert list(validator.iter_errors(yaml.safe_load(DIGITS.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("titel", "x"),
        ("train/batsh", 1),
        ("train/batch", 0),
        ("dataset/uses", "digit"),
        ("dataset", {}),
        ("metrics/0/uses", "fdd"),
        ("samplers/ode", {"steps": 2}),
        ("methods/sit", {"label": "SiT"}),
        ("methods/SiT", {"uses": "aligned", "label": "x"}),
    ],
)
def test_the_json_schema_also_refuses_mistakes(files, validator, key, value):
    assert list(validator.iter_errors(copy.deepcopy(files.benchmarks["tiny"]))) == []
    files.set(key, value)
    assert list(validator.iter_errors(files.benchmarks["tiny"])) != []


def test_every_key_of_the_json_schema_is_described():
    schema = json.loads(suite.schema_texts()["config/benchmark.schema.json"])
    models = {"benchmark": schema, **schema["$defs"]}
    bare = [
        f"{name}.{key}"
        for name, model in models.items()
        for key, field in model["properties"].items()
        if key != "uses" and not field.get("description")
    ]
    assert bare == []
