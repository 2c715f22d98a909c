"""`checkvalve asset-report`, and what `receiver.toml` may say of reports that are made by themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from exporting import TOML
from portal_plant import Clock
from trend_plant import TURBINE, trend_plant

import checkvalve
from protocol.errors import ConfigError
from receiver.config import load

ZONE = '[portal]\nzone = "Europe/Berlin"\n'
REPORT = '[[report]]\nasset = "pump-7"\nevery = "day"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A low side with the turbine's history."""
    trend_plant(tmp_path / "state", Clock()).close()
    (tmp_path / "receiver.toml").write_text(TOML + ZONE)
    return tmp_path / "receiver.toml"


def test_the_command_makes_the_report_in_the_plants_zone(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that needs nothing; its end is told in one line."""
    out = file.parent / "turbine.html"
    words = ["asset-report", str(file), TURBINE, "--from", "2025-11-23T08:00", "--to", "2025-11-23T09:00"]
    assert checkvalve.main([*words, "--out", str(out)]) == 0
    assert capsys.readouterr().out.startswith(f"{out}: 8 tags, 3 events, 1 gaps, ")
    text = out.read_text()
    assert "2025-11-23 08:00:00 +01:00" in text
    assert "by command on the low side" in text
    assert text.count('class="report-chart"') == 7
    assert checkvalve.main([*words, "--out", str(out), "--tag", "speed", "--vendor", "Acme", "--replace"]) == 0
    text = out.read_text()
    assert text.count('class="report-chart"') == 1
    assert "what vendor Acme may see" in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"asset": "nobody"}, "no asset here is called 'nobody'"),
        ({"--tag": "nothing"}, "no asset here is called 'turbine-1' with these tags"),
        ({"--vendor": "Volta"}, "no asset here is called 'turbine-1'"),
        ({"--from": "soon"}, "--from 'soon' is no time"),
        ({"--to": "2025-11-22"}, "--from is not before --to"),
        ({"--out": "report.pdf"}, "report.pdf is no .html"),
        ({"--out": "receiver.html"}, "is there already"),
    ],
)
def test_what_cannot_be_a_report_is_refused_and_leaves_no_file(
    file: Path, capsys: pytest.CaptureFixture[str], change: dict[str, str], said: str
) -> None:
    """With the next step; nothing is half-written."""
    (file.parent / "receiver.html").write_text("mine")
    options = {"--from": "2025-11-23T08:00", "--to": "2025-11-23T09:00", "--out": "new.html"} | change
    options["--out"] = str(file.parent / options["--out"])
    asset = options.pop("asset", TURBINE)
    assert checkvalve.main(["asset-report", str(file), asset, *(word for one in options.items() for word in one)]) == 2
    assert said in capsys.readouterr().err
    assert sorted(one.name for one in file.parent.glob("*.html*")) == ["receiver.html"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (REPORT + 'at = "25:00"\n', 'report[0].at: "25:00" is no time of day'),
        (REPORT + REPORT, "report[1]: writes the same files as report[0]"),
        (REPORT + "keep = 0\n", "report[0].keep"),
        ('[[report]]\nasset = "a"\nevery = "hour"\n', "report[0].every"),
        ('[[report]]\nevery = "day"\n', "report[0].asset"),
    ],
)
def test_a_mistake_in_a_report_is_named_before_anything_starts(tmp_path: Path, text: str, said: str) -> None:
    """Where it is, and what is right."""
    (tmp_path / "receiver.toml").write_text(TOML + text)
    with pytest.raises(ConfigError) as error:
        load(tmp_path / "receiver.toml")
    assert said in str(error.value)


def test_a_report_needs_no_more_than_its_asset_and_how_often(tmp_path: Path) -> None:
    """Its folder is below the state, where the portal may write."""
    (tmp_path / "receiver.toml").write_text(TOML + REPORT)
    (one,) = load(tmp_path / "receiver.toml").reports
    assert (one.at, one.keep, one.folder) == ("06:00", 90, tmp_path / "state" / "reports")
