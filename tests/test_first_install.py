"""The first installation is never silent, and where it fails it says why."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SAID = "".join(f"Collecting lib{number}>=1 (from checkvalve)\n" for number in range(1, 31))
SAID += "  Downloading lib30-2.0-py3-none-any.whl (16.4 MB)\nInstalling collected packages: lib1, lib2, lib3\n"


def shown(folder: Path, said: str, code: int) -> subprocess.CompletedProcess[str]:
    """The script with a Python whose pip says this."""
    (folder / "said").write_text(said)
    python = folder / "python"
    python.write_text(f'#!/bin/sh\ncat "{folder}/said"\nexit {code}\n')
    python.chmod(0o755)
    argv = [str(ROOT / "deploy/pip-shown.sh"), str(python), "--editable", ".[fast]"]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=20)


def test_each_step_of_the_first_installation_is_said(tmp_path: Path) -> None:
    """What is done, every tenth library, what is large, the writing, the end; none of pip's own lines."""
    done = shown(tmp_path, SAID, 0)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "installing --editable .[fast] and its libraries; the first time takes about half a minute",
        "  library 10: lib10>=1",
        "  library 20: lib20>=1",
        "  library 30: lib30>=1",
        "  fetching lib30>=1 (16.4 MB)",
        "  writing 3 libraries into the environment ..",
        "installed",
    ]


@pytest.mark.timeout(20)
def test_a_step_is_said_while_pip_is_still_at_it(tmp_path: Path) -> None:
    """Not with the next 4 KB of what pip says, which is how Debian's awk reads."""
    python, goes_on = tmp_path / "python", tmp_path / "on"
    os.mkfifo(goes_on)
    words = 'echo "Collecting lib30"\necho "  Downloading lib30-2.0.whl (16.4 MB)"'
    python.write_text(f'#!/bin/sh\n{words}\nread line < "{goes_on}"\n')
    python.chmod(0o755)
    argv = [str(ROOT / "deploy/pip-shown.sh"), str(python), "."]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        try:
            said = [process.stdout.readline(), process.stdout.readline()]
            assert said[1] == "  fetching lib30 (16.4 MB)\n"
            goes_on.write_text("\n")
            process.communicate(timeout=10)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("code", [1, 2])
def test_an_installation_that_failed_shows_pips_last_words(tmp_path: Path, code: int) -> None:
    """make ends, with what pip said and the next step."""
    done = shown(tmp_path, SAID + "ERROR: No matching distribution found for lib31\n", code)
    assert done.returncode == 1
    assert "ERROR: No matching distribution found for lib31\n" in done.stderr
    assert f"pip ended with exit code {code}. Next step: " in done.stderr
    assert "installed\n" not in done.stdout.splitlines()


def test_making_an_environment_is_said() -> None:
    """`make demo` and `make test` go through both scripts, and neither asks pip to be quiet."""
    recipes = (ROOT / "Makefile").read_text()
    assert "--quiet" not in recipes
    assert recipes.count("deploy/pip-shown.sh") == 2
    assert 'echo "making $venv' in (ROOT / "deploy/make-venv.sh").read_text()
