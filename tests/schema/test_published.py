"""config/reference: what a row may say, which rows contradict each other, and how rows are chosen."""

import csv
from pathlib import Path

import pytest

from reedbench.core.errors import ConfigError
from reedbench.schema import published
from reedbench.schema.published_row import COLUMNS, METRICS, USED, Published, cell_id

KEYS = {"yu2025repa", "ma2024sit"}
ROW = {
    "domain": "image",
    "data": "imagenet-256",
    "method": "REPA",
    "backbone": "SiT-L/2",
    "steps": "400000",
    "metric": "fid",
    "value": "9.7",
    "printed": "9.7",
    "sampler": "euler-maruyama",
    "sampler_steps": "250",
    "guidance": "none",
    "kind": "claim",
    "source": "yu2025repa",
    "place": "Table 3",
    "tag": "P",
}


def row(**changes: str) -> dict[str, str]:
    return {**ROW, **changes}


def of(**changes: str) -> Published:
    return Published(**{name: text for name, text in row(**changes).items() if text})


@pytest.fixture
def folder(tmp_path):
    """Writes rows to `image.csv`; the first row is in line 2."""

    def write(*rows: dict[str, str], columns: tuple[str, ...] = COLUMNS) -> Path:
        with (tmp_path / "image.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        return tmp_path

    return write


def refused(folder: Path) -> str:
    with pytest.raises(ConfigError) as error:
        published.load(folder, known=KEYS)
    return str(error.value)


def test_rows_are_read_with_their_place(folder):
    one, other = published.load(folder(row(), row(steps="700000", value="8.4", printed="8.4")), known=KEYS)
    assert (one.value, one.steps, one.sampler_steps, one.epochs, one.vae) == (9.7, 400_000, 250, None, "")
    assert other.at.endswith("image.csv:3")
    assert (other.of.better, other.decimals, of(value="10", printed="10.00").decimals) == ("lower", 1, 2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": ""}, "source: is required and missing"),
        ({"source": "yu2025rep"}, "unknown citation key 'yu2025rep'; did you mean 'yu2025repa'?"),
        ({"tag": "X"}, "tag: 'X' is not allowed (allowed: P, T, G, C)"),
        ({"kind": "claims"}, "kind: 'claims' is not allowed; did you mean 'claim'? (allowed: claim, rerun, copy)"),
        ({"metric": "fidd"}, "metric: unknown metric 'fidd'; did you mean 'fid'?"),
        ({"sampler": "eular"}, "sampler: 'eular' is not allowed; did you mean 'euler'?"),
        ({"value": "9.8"}, "value: 9.8 is not the printed 9.7; correct one of them"),
        ({"printed": "~9.7"}, "printed: must be digits, as in 8.30, got '~9.7'"),
        ({"value": "x"}, "value: must be a number, got 'x'"),
        ({"steps": "400K"}, "steps: must be a whole number, got '400K'"),
        ({"steps": "0"}, "steps: must be at least 1, got '0'"),
        ({"guidance": "cfg1.5"}, "guidance: must be none, guided, a number, or empty, got 'cfg1.5'"),
        ({"interval": "0,0.7"}, "interval: has no effect without guidance"),
        ({"guidance": "1.8", "interval": "0.7"}, "interval: must be two times with a comma, as in 0,0.7"),
        ({"guidance": "1.8", "interval": "0.7,0.1"}, "interval: 0.7,0.1 must be two times from 0 (data) to 1 (noise)"),
        ({"guidance": "1.8", "interval": "0,1.5"}, "interval: 0,1.5 must be two times"),
        ({"setting": "depth 8"}, "setting: must be key=value"),
        ({"setting": "depth=8;depth=6"}, "setting: depth=8;depth=6 has a key twice"),
        ({"kind": "copy"}, "tag: P is for claims, and this is a copy: T, G or C"),
    ],
)  # fmt: skip
def test_a_wrong_row_is_one_line_with_its_place(folder, changes, words):
    said = refused(folder(row(place="another"), row(**changes)))
    assert words in said
    assert f"{folder(row())}/image.csv:3: " in said
    assert "\n" not in said


def test_all_problems_are_said_at_once(folder):
    assert len(refused(folder(row(tag="X", kind="Y"), row(source=""))).splitlines()) == 3


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ((*COLUMNS[1:], "domains"), "image.csv:1: unknown column 'domains'; did you mean 'domain'?"),
        (COLUMNS[:-2], "image.csv:1: lacks the columns tag, note"),
        ((*COLUMNS, "tag"), "image.csv:1: tag: is a column twice"),
    ],
)
def test_a_wrong_header_is_said(folder, columns, words):
    assert words in refused(folder(columns=columns))


def test_files_that_are_no_table_are_said(folder, tmp_path):
    with pytest.raises(ConfigError, match="has no csv file"):
        published.load(tmp_path, known=KEYS)
    file = folder(row()) / "image.csv"
    text = file.read_text()
    file.write_text(text.rstrip("\n") + ",more\n")
    assert "image.csv:2: has 24 cells where the header has 23" in refused(tmp_path)
    file.write_text(text.rstrip("\n") + '"open\n')
    assert "image.csv:1: not valid csv after this line" in refused(tmp_path)
    file.write_bytes(b"\xff\xfe")
    assert "image.csv: is not UTF-8 text" in refused(tmp_path)


def test_claims_that_differ_are_refused_and_both_are_named(folder):
    said = refused(folder(row(), row(value="10", printed="10.0", place="Table 7")))
    assert "image.csv:3: conflicting sources: 10.0 (yu2025repa, Table 7) here, 9.7 (yu2025repa, Table 3) in " in said
    assert said.endswith(f"image.csv:2; begin the note of one of them with '{USED}' and why")


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "rerun", "tag": "T"},
        {"setting": "depth=8"},
        {"sampler_steps": "50"},
        {"guidance": "1.5"},
        {"vae": "sd-vae-ft-ema"},
        {"labels": "balanced"},
        {"steps": "", "epochs": "80"},
        {"value": "9.70", "printed": "9.70"},
    ],
)
def test_what_is_another_cell_or_no_claim_or_equal_is_no_conflict(folder, change):
    other = {"value": "10", "printed": "10.0", "place": "Table 7", **change}
    assert len(published.load(folder(row(), row(**other)), known=KEYS)) == 2


def test_a_note_settles_which_is_used(folder):
    other = row(value="10", printed="10.0", place="Table 7")
    rerun = row(value="9.57", printed="9.57", kind="rerun", tag="T")
    rows = published.load(folder(row(note="used: Table 2 has it, too"), other, rerun), known=KEYS)
    assert [one.printed for one in published.settled(rows)] == ["9.7", "9.57"]
    said = refused(folder(row(note="used: a"), {**other, "note": "used: b"}))
    assert "conflicting sources" in said
    assert said.endswith("take it from all notes but one")


def test_a_row_twice_is_refused(folder):
    assert "image.csv:3: says what" in refused(folder(row(), row()))


def test_a_cell_is_the_same_however_numbers_and_settings_are_written():
    one = of(guidance="1.50", interval="0,0.70", setting="depth=8;encoder=MAE-L", epochs="80")
    assert cell_id(one) == cell_id(of(guidance="1.5", interval="0.0,0.7", setting="encoder=MAE-L;depth=8"))
    assert cell_id(one) != cell_id(of(guidance="1.5", interval="some", setting="encoder=MAE-L;depth=8"))
    assert cell_id(of(steps="", epochs="80")) != cell_id(of(steps="", epochs="81"))
    assert cell_id(of()) == (
        "imagenet-256 REPA SiT-L/2 fid steps=400000 sampler=euler-maruyama sampler_steps=250 guidance=none"
    )


def test_guidance_is_a_number_and_an_interval_has_two_times():
    assert (of().scale, of(guidance="guided").scale, of(guidance="1.80").scale) == (1.0, None, 1.8)
    assert of(guidance="1.8", interval="0,0.7").times == (0.0, 0.7)
    assert of(guidance="1.8", interval="0,0.7").times_here == (0.3, 1.0)
    assert of(guidance="guided", interval="some").times is of(guidance="1.8").times_here is None
    assert of(setting="encoder=MAE-L;depth=8").settings == {"encoder": "MAE-L", "depth": "8"}


def test_rows_are_selected_by_any_column():
    rows = [of(), of(steps="700000"), of(guidance="1.35"), of(method="SiT", epochs="80")]
    assert published.select(rows, method="repa", steps=400_000) == (rows[0], rows[2])
    assert published.select(rows, guidance=("none", 1.350), method="REPA", backbone=None) == tuple(rows[:3])
    assert published.select(rows, epochs=80) == (rows[3],)
    with pytest.raises(ConfigError, match=r"unknown method 'RPEA'; did you mean 'REPA'\? \(allowed: REPA, SiT\)"):
        published.select(rows, method="RPEA")
    with pytest.raises(ConfigError, match="unknown column 'methods'; did you mean 'method'"):
        published.select(rows, methods="REPA")


def test_every_metric_and_every_column_is_explained():
    guide = (Path(__file__).parents[2] / "docs/reference.md").read_text()
    for name in (*COLUMNS, *METRICS):
        assert f"`{name}`" in guide, name
