"""The output that docs/add-an-output.md builds is whole, and works when it is installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "examples" / "json-lines-output"
FILES = ("pyproject.toml", "json_lines_output.py", "test_json_lines_output.py")
SAMPLES = (
    FOLDER / "sample.toml",
    ROOT / "receiver" / "outputs" / "influx" / "sample.toml",
    ROOT / "receiver" / "outputs" / "historian" / "sample.toml",
    *(
        ROOT / "receiver" / "outputs" / kind / "sample.toml"
        for kind in ("kafka", "mqtt", "nats", "parquet", "postgresql")
    ),
)

HEAD = """
[inlet]
listen = "127.0.0.1:5005"
[keys]
own = "keys/low"
senders = ["keys/high.pub"]
"""


def test_the_page_shows_the_files_as_they_are() -> None:
    """Whoever types the page has the example."""
    page = (ROOT / "docs" / "add-an-output.md").read_text()
    for name in FILES:
        assert (FOLDER / name).read_text() in page, name
    count = len((FOLDER / "json_lines_output.py").read_text().splitlines())
    assert f"`json_lines_output.py`, {count} lines" in page
    assert count < 130


def test_the_example_keeps_every_law() -> None:
    """Its own tests, as its author would run them."""
    words = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-c", os.devnull, "-p", "no:cacheprovider", "."]
    said = subprocess.run(words, cwd=FOLDER, capture_output=True, text=True, timeout=110)
    assert said.returncode == 0, said.stdout + said.stderr
    assert "14 passed" in said.stdout


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder as an installer leaves it: the module, and its entry points beside it."""
    made = tmp_path / "site"
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text())["project"]
    folder = made / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = project["entry-points"].items()
    lines = [f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in names.items()) for group, names in groups]
    (folder / "entry_points.txt").write_text("\n".join(lines))
    (made / "json_lines_output.py").write_text((FOLDER / "json_lines_output.py").read_text())
    return made


def check(folder: Path, text: str, *also: Path) -> tuple[int, str]:
    """Exit code and words of `receive --check`, with these folders of packages installed too."""
    file = folder / "receiver.toml"
    file.write_text(text)
    path = os.pathsep.join([*map(str, also), os.environ.get("PYTHONPATH", "")])
    words = [sys.executable, "-m", "checkvalve", "receive", "--check", str(file)]
    done = subprocess.run(
        words, env={**os.environ, "PYTHONPATH": path}, cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    return done.returncode, done.stdout + done.stderr


def test_an_installed_output_is_known_and_its_keys_are_read_by_its_own_model(installed: Path, tmp_path: Path) -> None:
    """Its sample is right; a wrong key of it is told; without it the kind is not installed, and those that are, are."""
    sample = HEAD + (FOLDER / "sample.toml").read_text()
    code, said = check(tmp_path, sample, installed)
    assert (code, "no mistakes" in said) == (0, True), said
    code, said = check(tmp_path, sample.replace("file =", "fil ="), installed)
    assert code == 2
    assert "output[0].file (lines): missing" in said
    assert "output[0].fil (lines): unknown key; did you mean file?" in said
    code, said = check(tmp_path, sample.replace('"jsonl"', '"jsonlines"'), installed)
    assert code == 2
    assert "did you mean jsonl?" in said
    code, said = check(tmp_path, sample)
    assert code == 2
    assert "output 'jsonl' is not installed" in said
    assert "installed are: historian, influx" in said


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.parent.name)
def test_each_sample_is_right_as_it_stands(sample: Path, installed: Path, tmp_path: Path) -> None:
    """Copied behind a file's head it is accepted; nobody is told to make or carry over a file that the output makes."""
    for secret in re.findall(r'^(?:token|password)_file = "(.*)"', sample.read_text(), re.MULTILINE):
        (tmp_path / secret).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / secret).write_text("secret\n")
    code, said = check(tmp_path, HEAD + sample.read_text(), installed)
    assert (code, "no mistakes" in said) == (0, True), said
    assert "samples.jsonl is not there" not in said
