"""What ships around the package: locks, image, compose file, dashboards."""

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
TIERS = ("run", "test", "full")
LOCKS = sorted(ROOT.glob("requirements/*.txt"))
DASHBOARDS = sorted(ROOT.glob("grafana/dashboards/*.json"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())

# Executed at every start of Python in the venv, so that a new one deserves a look.
KNOWN_PTH = {
    "gateway.pth",  # ours: the package
    "_virtualenv.pth",  # uv venv
    "distutils-precedence.pth",  # setuptools, which Python 3.11's ensurepip brings
}


def requirements(lock: Path) -> Iterator[tuple[str, str]]:
    """Each requirement of a lock, with all that belongs to it."""
    for entry in re.split(r"\n(?=\S)", re.sub(r"(?m)^\s*#.*\n?", "", lock.read_text())):
        if entry.strip():
            yield entry.split("==")[0].strip(), entry


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_each_locked_requirement_has_a_version_and_a_hash(lock: Path) -> None:
    found = list(requirements(lock))
    assert found
    for name, entry in found:
        assert re.match(r"[a-z0-9-]+==[\w.]+( ; [^\\]+)? \\\n", entry), name
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), name


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_names_no_index_and_no_path(lock: Path) -> None:
    text = lock.read_text()
    assert not re.search(r"(?m)^\s*--(?!hash=)|://|@ |file:|find-links", text)


def test_the_wider_lock_holds_the_narrower_one_exactly() -> None:
    run, test, full = (dict(requirements(ROOT / f"requirements/{tier}.txt")) for tier in TIERS)
    assert run.items() <= test.items() <= full.items()


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("run", PROJECT["project"]["dependencies"]),
        ("test", PROJECT["dependency-groups"]["test"]),
        ("full", PROJECT["dependency-groups"]["full"]),
        ("aiogram", PROJECT["dependency-groups"]["sdk-aiogram"]),
        ("anthropic-0.79", PROJECT["dependency-groups"]["sdk-anthropic-0-79"]),
        ("hikari", PROJECT["dependency-groups"]["sdk-hikari"]),
    ],
)
def test_the_locks_are_made_from_this_pyproject(lock: str, wanted: list[str]) -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    locked = dict(requirements(ROOT / f"requirements/{lock}.txt"))
    for requirement in map(Requirement, wanted):
        entry = locked.get(canonicalize_name(requirement.name))
        assert entry, f"{requirement} is not locked: ./dev lock"
        version = entry.split("==")[1].split()[0]
        assert requirement.specifier.contains(version), (
            f"{requirement} is not {version}: ./dev lock"
        )


def test_nothing_else_runs_when_python_starts() -> None:
    sites = [Path(path) for path in sys.path if path.endswith("site-packages")]
    found = {pth.name for site in sites for pth in site.glob("*.pth")}
    assert found <= KNOWN_PTH


def test_an_old_python_can_read_dev() -> None:
    ast.parse((ROOT / "dev").read_text(), feature_version=(3, 6))


# Images


def test_images_are_pinned_to_a_full_version() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    images = re.findall(r"(?m)^FROM (\S+)", dockerfile)
    images += [service["image"] for service in COMPOSE["services"].values()]
    assert len(images) >= 5
    for image in images:
        assert re.search(r":v?\d+\.\d+\.\d+(-[\w.-]+)?$", image), image


def test_the_image_does_not_run_as_root() -> None:
    *_, last = re.findall(r"(?m)^USER (\S+)", (ROOT / "Dockerfile").read_text())
    assert int(last) > 0


def test_the_image_carries_the_version_of_the_package() -> None:
    assert COMPOSE["services"]["gateway"]["image"] == "gateway:" + PROJECT["project"]["version"]


def test_only_the_gateway_is_given_the_keys() -> None:
    given = [name for name, service in COMPOSE["services"].items() if "env_file" in service]
    assert given == ["gateway"]


def test_the_compose_file_opens_no_port_to_the_network() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.full
def test_hadolint_has_nothing_to_say_about_the_dockerfile() -> None:
    run(tool("hadolint"), "Dockerfile")


@pytest.mark.full
def test_the_compose_file_fits_its_schema() -> None:
    check = tool("check-jsonschema")
    run(check, "--builtin-schema", "vendor.compose-spec", "docker-compose.yml")


@pytest.mark.full
def test_promtool_accepts_the_scrape_configuration() -> None:
    run(tool("promtool"), "check", "config", "--syntax-only", "grafana/prometheus.yml")


def tool(name: str) -> str:
    """Beside this Python, or on the PATH."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found, f"needs {name}"
    return found


def run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# Dashboards


@cache
def dashboard(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def expressions(board: dict[str, Any]) -> list[str]:
    """Every PromQL expression, with Grafana's variables filled in."""
    targets = [target for panel in board["panels"] for target in panel.get("targets", [])]
    return [
        target["expr"].replace("$__rate_interval", "5m").replace("$route", ".*")
        for target in targets
    ]


def metric_names(expression: str) -> set[str]:
    """What is left of an expression without its strings, labels, ranges, groupings and calls."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", bare)
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", bare)
    words = re.findall(r"(?<![\w:])[a-zA-Z_:][\w:]*\b(?!\s*\()", bare)
    return set(words) - {"and", "or", "unless", "bool", "offset"}


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ('sum by (le) (rate(a_total{x=~"b|c"}[5m])) / on (x) d', {"a_total", "d"}),
        ("histogram_quantile(0.9, sum(rate(a_bucket[5m])) without (x))", {"a_bucket"}),
        ("topk(3, a and b unless c > 1e9)", {"a", "b", "c"}),
    ],
)
def test_metric_names_are_found_in_promql(expression: str, names: set[str]) -> None:
    assert metric_names(expression) == names


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_asks_only_for_metrics_that_exist(path: Path) -> None:
    from gateway.metrics import NAMES

    asked = {name for expr in expressions(dashboard(path)) for name in metric_names(expr)}
    assert asked
    unknown = {name for name in asked if name not in NAMES and histogram(name) not in NAMES}
    assert not unknown


def histogram(series: str) -> str:
    return re.sub(r"_(bucket|sum|count)$", "", series)


def test_the_dashboards_show_every_metric() -> None:
    from gateway.metrics import NAMES

    everything = {expr for path in DASHBOARDS for expr in expressions(dashboard(path))}
    shown = {name for expr in everything for name in metric_names(expr)}
    assert not set(NAMES) - shown - {histogram(name) for name in shown}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_have_ids_of_their_own_and_do_not_overlap(path: Path) -> None:
    panels = dashboard(path)["panels"]
    ids = [panel["id"] for panel in panels]
    assert len(ids) == len(set(ids))
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_use_the_provisioned_data_source(path: Path) -> None:
    provisioned = yaml.safe_load(
        (ROOT / "grafana/provisioning/datasources/prometheus.yaml").read_text()
    )
    (source,) = provisioned["datasources"]
    assert source["url"] == "http://prometheus:9090"
    uids = set(re.findall(r'"type": "prometheus",\s*"uid": "([^"]*)"', path.read_text()))
    assert uids == {source["uid"]}


def test_grafana_finds_the_dashboards_where_compose_mounts_them() -> None:
    provisioned = yaml.safe_load(
        (ROOT / "grafana/provisioning/dashboards/gateway.yaml").read_text()
    )
    (provider,) = provisioned["providers"]
    mounts = COMPOSE["services"]["grafana"]["volumes"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in mounts


def test_prometheus_scrapes_the_port_that_the_gateway_exposes() -> None:
    scraped = yaml.safe_load((ROOT / "grafana/prometheus.yml").read_text())["scrape_configs"]
    (job,) = [job for job in scraped if job["job_name"] == "gateway"]
    (port,) = COMPOSE["services"]["gateway"]["expose"]
    assert job["static_configs"] == [{"targets": [f"gateway:{port}"]}]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_prometheus_parses_every_expression(path: Path, tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("needs promtool")
    rules = [
        {"record": f"panel:{number}", "expr": expression}
        for number, expression in enumerate(expressions(dashboard(path)))
    ]
    file = tmp_path / "rules.json"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    run("promtool", "check", "rules", str(file))
