"""What operations run is consistent with the code: metrics exist, runbooks exist, the compose file names real processes and settings."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from services.commands import run
from services.settings import Settings
from services.settings import load as settings_of
from streams.agents import process_names

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
METRIC = re.compile(r"\bliandong_[a-z_]+")
OURS = "liandong"
YAML_RULES = json.dumps(
    {"extends": "default", "rules": {"line-length": {"max": 140}, "document-start": "disable", "comments": {"min-spaces-from-content": 1}}}
)


def declared_metrics() -> set[str]:
    """Names as Prometheus shows them: counters with _total, histograms with their parts."""
    found = set()
    declaration = re.compile(r'\b([Cc]ounter|Gauge|Histogram)\(\s*"(liandong_[a-z_]+)"')
    for folder in ("streams", "services"):
        for path in (ROOT / folder).rglob("*.py"):
            for kind, name in declaration.findall(path.read_text(encoding="utf-8")):
                stem = name.removesuffix("_total")
                found |= {"Counter": {f"{stem}_total"}, "Gauge": {name}}.get(
                    kind.title(), {name, f"{name}_bucket", f"{name}_sum", f"{name}_count"}
                )
    return found


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rules() -> list[dict[str, Any]]:
    return [rule for group in load(DEPLOY / "prometheus" / "alerts.yaml")["groups"] for rule in group["rules"]]


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = load(DEPLOY / "compose.yaml")["services"]
    return found


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.yaml")), ids=lambda path: path.name)
def test_yaml_is_clean(path: Path) -> None:
    command = [sys.executable, "-m", "yamllint", "--strict", "--config-data", YAML_RULES, str(path)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_an_alert_asks_for_metrics_that_exist_and_names_its_runbook(rule: dict[str, Any]) -> None:
    named = set(METRIC.findall(rule["expr"]))
    assert named <= declared_metrics()
    assert named or rule["expr"].startswith("up{")
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["runbook"] == f"deploy/runbooks/{rule['alert']}.md"
    assert (ROOT / rule["annotations"]["runbook"]).is_file()


def test_every_runbook_belongs_to_an_alert() -> None:
    assert {path.stem for path in (DEPLOY / "runbooks").glob("*.md")} == {rule["alert"] for rule in rules()}


def test_alerts_fire_when_they_should() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: the alert rules are parsed, and not run")
    for command in (["check", "config", "prometheus.yaml"], ["test", "rules", "alerts_test.yaml"]):
        ran = subprocess.run([promtool, *command], cwd=DEPLOY / "prometheus", capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_rule_tests_name_rules_that_exist() -> None:
    there = {rule["alert"] for rule in rules()}
    named = {case["alertname"] for test in load(DEPLOY / "prometheus" / "alerts_test.yaml")["tests"] for case in test["alert_rule_test"]}
    assert named <= there


def test_targets_are_the_processes_with_their_ports(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "gateway.json").write_text('{"name": "gateway", "metrics_port": 1234}')
    (tmp_path / "run" / "topics.json").write_text('{"ready": true}')
    (tmp_path / "state.json").write_text('{"supervisor_metrics_port": 99}')
    script = DEPLOY / "prometheus" / "targets.py"
    ran = subprocess.run([sys.executable, str(script), str(tmp_path)], capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == [
        {"targets": ["127.0.0.1:1234"], "labels": {"process": "gateway"}},
        {"targets": ["127.0.0.1:99"], "labels": {"process": "supervisor"}},
    ]


def test_compose_runs_every_process_of_its_realms() -> None:
    environment = services()["gateway"]["environment"]
    realms = settings_of(realms=environment["LIANDONG_REALMS"]).realm_list
    ran = {service["command"][1] for service in services().values() if service.get("command", [])[:1] == ["run"]}
    assert ran == {"gateway", "dashboard", "warehouse", "notifier", *process_names(realms)}
    assert all(run.module_of(name) for name in ran)


def test_compose_sets_settings_that_exist() -> None:
    fields = {f"LIANDONG_{name.upper()}" for name in Settings.model_fields}
    for name, service in services().items():
        if service["image"] == OURS:
            assert set(service["environment"]) <= fields, name


def test_compose_tells_every_process_how_topics_are_made() -> None:
    for name, service in services().items():
        if service["image"] == OURS:
            assert {"LIANDONG_PARTITIONS", "LIANDONG_REPLICATION_FACTOR"} <= set(service["environment"]), name


def test_compose_names_files_that_exist_and_versions_of_ours() -> None:
    for service in services().values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert not source.startswith(".") or (DEPLOY / source).exists()
        script = next((part for part in service.get("entrypoint", []) if part.endswith(".py")), None)
        assert script is None or (ROOT / script).is_file()
    locked = (DEPLOY / "kafka" / "jars.lock").read_text(encoding="utf-8")
    assert services()["kafka"]["image"].split(":")[1] in locked


def test_the_image_is_installed_from_the_hash_locks() -> None:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    installs = [line for line in text.splitlines() if "pip install" in line]
    assert len(installs) == 3
    assert all("--require-hashes" in line or "--no-deps" in line for line in installs)
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        assert all((ROOT / path).exists() for path in source.split()), source
