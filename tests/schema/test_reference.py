"""The generated reference of configuration keys."""

from pathlib import Path

from reedbench.schema.reference import markdown, with_reference

GUIDE = Path(__file__).parents[2] / "config" / "README.md"


def test_the_checked_in_reference_is_the_generated_one():
    text = GUIDE.read_text()
    assert with_reference(text) == text, "run `reedbench schema --write` and commit config/README.md"


def test_the_guide_above_the_reference_stays():
    assert with_reference("# My words\n").startswith("# My words\n\n<!-- Generated")


def test_every_row_has_a_meaning():
    rows = [line for line in markdown().splitlines() if line.startswith("| `")]
    assert len(rows) > 60
    assert not [row for row in rows if row.endswith("|  |")]
