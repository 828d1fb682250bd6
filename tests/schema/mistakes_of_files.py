"""Files that are none of a suite, and files that contradict each other; as in `mistakes`."""

from edits import config, text, twin

# name: edit, key path, words of the message
CASES = {
    "not YAML": (text("title: [1, 2\n"), "", ["not valid YAML"]),
    "tab in YAML": (text("title: x\n\ttable: []\n"), "", ["not valid YAML", "tiny.yaml:2:"]),
    "nested beyond what Python reads": (text(f"title: {'[' * 900}{']' * 900}\n"), "", ["is nested too deeply"]),
    "nested beyond what any reader takes": (text("title: " + "[" * 10**5), "", ["nest"]),
    "not text": (text(b"title: \xff\xfe\n"), "", ["is not UTF-8 text"]),
    "empty file": (text(""), "", ["must hold a mapping of keys to values", "is empty"]),
    "file that is a list": (text("- title\n- table\n"), "", ["must hold a mapping of keys to values", "holds a list"]),
}
# name: edit, file, key path, words of the message
OTHER_FILES = {
    "missing config": (config(None), "config/config.yaml", "", ["cannot be read (No such file or directory)"]),
    "empty config": (config(""), "config/config.yaml", "", ["must hold a mapping"]),
    "unknown key in the config": (
        config({"benchmark": "benchmarks"}),
        "config/config.yaml",
        "benchmark",
        ["did you mean 'benchmarks'?", "(allowed here: benchmarks, launcher, weights)"],
    ),
    "unknown launcher": (
        config({"benchmarks": "benchmarks", "launcher": "slrum"}),
        "config/config.yaml",
        "launcher",
        ["'slrum' is not allowed", "inline"],
    ),
    "folder without benchmarks": (
        lambda files: files.benchmarks.clear(),
        "config/config.yaml",
        "benchmarks",
        ["no benchmark file (*.yaml) in benchmarks/"],
    ),
    "file name with capitals": (
        lambda files: files.benchmarks.update(Tiny=files.benchmarks.pop("tiny")),
        "benchmarks/Tiny.yaml",
        "",
        ["the file's name must be a name of lower-case letters and digits"],
    ),
    "folder that is not there": (
        config({"benchmarks": "elsewhere"}),
        "config/config.yaml",
        "benchmarks",
        ["no benchmark file (*.yaml) in elsewhere/"],
    ),
    "encoder of one name with other settings": (
        twin("encoders/unused/dim", 32),
        "benchmarks/zwilling.yaml",
        "encoders.unused",
        ["differs from the one of the same name in benchmark 'tiny'"],
    ),
    "extractor of one name with other settings": (
        twin("extractors/clf/steps", 6),
        "benchmarks/zwilling.yaml",
        "extractors.clf",
        ["benchmark 'tiny'", "rename it or make them equal"],
    ),
    "dataset of one name with other settings": (
        twin("dataset/test_rows", 300),
        "benchmarks/zwilling.yaml",
        "dataset",
        ["differs from the one of the same name in benchmark 'tiny'"],
    ),
    "other resources for a step that runs once for two benchmarks": (
        twin("resources/represent", {"mem_mb": 9000}),
        "benchmarks/zwilling.yaml",
        "resources.represent",
        ["benchmark 'tiny' has the same dataset", "represent runs once for both", "make them equal"],
    ),
}
