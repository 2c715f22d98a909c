"""The alert rules, evaluated by Prometheus' own tool: each fires when it should, and stays quiet when it should not."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import checkvalve
from receiver.portal.metrics.metric_list import METRICS

ROOT = Path(__file__).parents[4]
RULES = ROOT / "deploy" / "prometheus" / "checkvalve.rules.yml"
TEXT = RULES.read_text()
ALERTS = re.findall(r"- alert: (\w+)", TEXT)
HOURS = 3
"""How long the series of a case are [h]; a value each minute."""

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (prometheus)")


def always(value: str) -> str:
    """A value that stays."""
    return f"{value}x{HOURS * 60}"


SMALL, LARGE = "checkvalve_disk_free_bytes", "checkvalve_disk_size_bytes"
CASES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "CheckvalveNoAnswer": ({"other": always("1")}, {'checkvalve_build_info{version="1"}': always("1")}),
    "CheckvalveProcessDown": (
        {'checkvalve_process_up{process="catch"}': always("0")},
        {'checkvalve_process_up{process="catch"}': always("1")},
    ),
    "CheckvalveProcessRestarts": (
        {'checkvalve_process_restarts_total{process="x"}': f"0+1x{HOURS * 60}"},
        {'checkvalve_process_restarts_total{process="x"}': always("7")},
    ),
    "CheckvalveProcessAlarm": (
        {'checkvalve_process_alarms{process="x"}': always("1")},
        {'checkvalve_process_alarms{process="x"}': always("0")},
    ),
    "CheckvalveLinkSilent": (
        {"checkvalve_link_beat_age_seconds": f"0+60x{HOURS * 60}"},
        {"checkvalve_link_beat_age_seconds": always("1.2")},
    ),
    "CheckvalveLinkUnconfirmed": (
        {"checkvalve_link_confirmed": always("0")},
        {"checkvalve_link_confirmed": always("1")},
    ),
    "CheckvalveLinkLoss": (
        {"checkvalve_link_loss_ratio": always("0.02")},
        {"checkvalve_link_loss_ratio": always("0.001")},
    ),
    "CheckvalveLinkDropsHere": (
        {"checkvalve_link_overflow_blocks_total": f"0+1x{HOURS * 60}"},
        {"checkvalve_link_overflow_blocks_total": always("4"), "checkvalve_link_kernel_drops_total": always("9")},
    ),
    "CheckvalveLinkRefuses": (
        {'checkvalve_link_refused_frames_total{reason="tag"}': f"0+6000x{HOURS * 60}"},
        {'checkvalve_link_refused_frames_total{reason="double"}': f"0+6000x{HOURS * 60}"},
    ),
    "CheckvalveBlocksMissing": ({"checkvalve_missing_blocks": always("3")}, {"checkvalve_missing_blocks": always("0")}),
    "CheckvalveBlocksLost": (
        {"checkvalve_expired_blocks_total": f"0+1x{HOURS * 60}"},
        {"checkvalve_expired_blocks_total": always("12")},
    ),
    "CheckvalveClockApart": (
        {"checkvalve_sender_clock_offset_seconds": always("-90")},
        {"checkvalve_sender_clock_offset_seconds": always("-9")},
    ),
    "CheckvalveSenderBehind": (
        {"checkvalve_sender_backlog_seconds": always("900")},
        {"checkvalve_sender_backlog_seconds": always("3")},
    ),
    "CheckvalveSenderDiskFull": (
        {"checkvalve_sender_spool_full": always("1")},
        {"checkvalve_sender_spool_full": always("0")},
    ),
    "CheckvalveSenderLosesSoon": (
        {"checkvalve_sender_loses_seconds": always("3600")},
        {"checkvalve_sender_loses_seconds": always("864000")},
    ),
    "CheckvalveCertificateEnds": (
        {"checkvalve_sender_certificate_end_timestamp_seconds": always("864000")},
        {"checkvalve_sender_certificate_end_timestamp_seconds": always("86400000")},
    ),
    "CheckvalveOutputAlarm": (
        {'checkvalve_output_alarm{output="x"}': always("1")},
        {'checkvalve_output_alarm{output="x"}': always("0")},
    ),
    "CheckvalveOutputBehind": (
        {'checkvalve_output_behind_seconds{output="x"}': always("600")},
        {'checkvalve_output_behind_seconds{output="x"}': always("2")},
    ),
    "CheckvalveOutputAside": (
        {'checkvalve_output_aside_samples{output="x"}': always("1")},
        {'checkvalve_output_aside_samples{output="x"}': always("0")},
    ),
    "CheckvalveOutputWaits": (
        {'checkvalve_output_waiting_blocks{output="x"}': always("1")},
        {'checkvalve_output_waiting_blocks{output="x"}': always("0")},
    ),
    "CheckvalveOutputSkipped": (
        {'checkvalve_output_skipped_segments_total{output="x"}': f"0+1x{HOURS * 60}"},
        {'checkvalve_output_skipped_segments_total{output="x"}': always("3")},
    ),
    "CheckvalveDiskLow": (
        {f'{SMALL}{{folder="state"}}': always("5"), f'{LARGE}{{folder="state"}}': always("100")},
        {f'{SMALL}{{folder="state"}}': always("50"), f'{LARGE}{{folder="state"}}': always("100")},
    ),
    "CheckvalveDiskFullSoon": (
        {f'{SMALL}{{folder="state"}}': f"1000-1x{HOURS * 60}", f'{LARGE}{{folder="state"}}': always("2000")},
        {f'{SMALL}{{folder="state"}}': always("1000"), f'{LARGE}{{folder="state"}}': always("2000")},
    ),
}
"""Of each alert: series under which it fires, and some under which it does not."""


def test_every_rule_has_its_cases() -> None:
    """A rule that was never seen firing is a guess."""
    assert sorted(CASES) == sorted(ALERTS)


@needs_promtool
def test_each_rule_fires_when_it_should_and_stays_quiet_when_not(tmp_path: Path) -> None:
    """By promtool, on series of a value a minute for three hours, evaluated every five minutes."""
    (tmp_path / "rules.yml").write_text(TEXT)
    said = subprocess.run(["promtool", "check", "rules", "rules.yml"], cwd=tmp_path, capture_output=True, text=True)
    assert f"{len(ALERTS)} rules found" in said.stdout + said.stderr
    tests, every = [], {"evaluation_interval": "5m"}
    for alert, cases in CASES.items():
        for fires, series in zip((1, 0), cases, strict=True):
            question = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)'
            answer = {"expr": question, "eval_time": f"{HOURS}h", "exp_samples": [{"labels": "{}", "value": fires}]}
            held = [{"series": name, "values": values} for name, values in series.items()]
            told = {"name": f"{alert} {fires}", "interval": "1m", "input_series": held, "promql_expr_test": [answer]}
            tests.append(told)
    (tmp_path / "test.yml").write_text(
        json.dumps({**every, "rule_files": ["rules.yml"], "tests": tests})
    )  # YAML has JSON in it
    said = subprocess.run(["promtool", "test", "rules", "test.yml"], cwd=tmp_path, capture_output=True, text=True)
    assert said.returncode == 0, said.stdout + said.stderr


def test_each_metric_and_label_that_a_rule_names_is_there() -> None:
    """A rule on a metric that was renamed stays quiet for ever."""
    known = {one.name: one.labels for one in METRICS}
    named = set(re.findall(r"checkvalve_\w+", TEXT))
    assert named - known.keys() == set()
    for rule in TEXT.split("- alert:")[1:]:
        labels = {label for name in re.findall(r"checkvalve_\w+", rule) for label in known[name]}
        assert set(re.findall(r"\$labels\.(\w+)", rule)) <= labels, rule


def test_each_rule_says_in_words_what_is_so_and_what_to_do() -> None:
    """Whoever is called at night reads one sentence and one step; commands in it are ours."""
    for rule in TEXT.split("- alert:")[1:]:
        (summary,) = re.findall(r"summary: '(.+)'", rule)
        (step,) = re.findall(r"next_step: '(.+)'", rule)
        assert len(summary) > 30, rule
        assert len(step) > 20, rule
        for command in re.findall(r"checkvalve (\w+)", rule):
            assert command in checkvalve.COMMANDS, command
