"""The task runner: when it installs, what it says when it cannot."""

import os
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script as a module, with a root of its own and its installing written down."""
    loader = SourceFileLoader("dev", str(ROOT / "dev"))
    spec = spec_from_loader("dev", loader)
    assert spec
    module: Any = module_from_spec(spec)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(module)
    module.ROOT, module.VENV = str(tmp_path), str(tmp_path / ".venv")
    (tmp_path / "requirements").mkdir()
    for tier in module.TIERS:
        (tmp_path / f"requirements/{tier}.txt").write_text(f"{tier}==1")
    module.made = []

    def make_venv(venv: str) -> list[str]:
        module.made.append(Path(venv).name)
        for folder in ("bin", "lib/python3.11/site-packages"):
            Path(venv, folder).mkdir(parents=True, exist_ok=True)
        Path(venv, "bin/python").touch()
        return ["true"]

    module.make_venv, module.real_make_venv = make_venv, module.make_venv
    return module


def test_the_first_run_installs_and_the_second_does_not(dev: Any) -> None:
    dev.set_up("test", dev.VENV)
    dev.set_up("test", dev.VENV)
    assert dev.made == [".venv"]


def test_a_wider_install_serves_a_narrower_need(dev: Any) -> None:
    dev.set_up("full", dev.VENV)
    dev.set_up("test", dev.VENV)
    dev.set_up("run", dev.VENV)
    assert dev.made == [".venv"]


def test_a_narrower_install_does_not_serve_a_wider_need(dev: Any) -> None:
    dev.set_up("run", dev.VENV)
    dev.set_up("test", dev.VENV)
    assert dev.made == [".venv", ".venv"]


def test_another_lock_installs_anew(dev: Any) -> None:
    dev.set_up("run", dev.VENV)
    Path(dev.lock_of("run")).write_text("run==2")
    dev.set_up("run", dev.VENV)
    assert dev.made == [".venv", ".venv"]


def test_another_python_installs_anew(dev: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    dev.set_up("run", dev.VENV)
    monkeypatch.setattr(sys, "version_info", (3, 99, 0))
    dev.set_up("run", dev.VENV)
    assert dev.made == [".venv", ".venv"]


def test_a_venv_whose_python_is_gone_is_made_anew(dev: Any) -> None:
    dev.set_up("run", dev.VENV)
    Path(dev.VENV, "bin/python").unlink()
    dev.set_up("run", dev.VENV)
    assert dev.made == [".venv", ".venv"]


def test_a_failed_install_is_not_taken_for_a_finished_one(dev: Any) -> None:
    make_venv = dev.make_venv
    dev.make_venv = lambda venv: make_venv(venv) and ["false"]
    with pytest.raises(dev.Stop, match="could not install run"):
        dev.set_up("run", dev.VENV)
    assert not dev.is_ready(dev.VENV, ["run"])


def test_an_sdk_gets_a_venv_of_its_own(dev: Any) -> None:
    Path(dev.lock_of("sdk")).write_text("sdk==1")
    dev.set_up("sdk", dev.VENV + "-sdk")
    dev.set_up("sdk", dev.VENV + "-sdk")
    assert dev.made == [".venv-sdk"]
    assert not Path(dev.VENV).exists()


def test_the_package_is_on_the_path_and_has_its_command(dev: Any) -> None:
    dev.set_up("run", dev.VENV)
    pth = Path(dev.VENV, "lib/python3.11/site-packages/gateway.pth")
    assert pth.read_text() == dev.ROOT + "\n"
    command = Path(dev.VENV, "bin/gateway")
    assert os.access(command, os.X_OK)
    assert "-m gateway" in command.read_text()


def test_a_venv_is_not_made_by_the_python_that_it_replaces(dev: Any) -> None:
    """These tests run in .venv; so does ./dev for someone who has activated it."""
    assert sys.prefix not in dev.PYTHON


def test_every_sdk_has_its_lock(dev: Any) -> None:
    assert all((ROOT / f"requirements/{name}.txt").exists() for name in dev.SDKS)


def test_an_old_python_without_uv_is_told_what_to_do(
    dev: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 6))
    monkeypatch.setattr(dev, "IS_OLD", True)
    monkeypatch.setenv("PATH", "")
    dev.make_venv = dev.real_make_venv
    assert dev.main(["run"]) == 1
    *_, said = capsys.readouterr().err.splitlines()
    assert said.startswith("dev: this is Python 3.9: install Python 3.11 or newer, or uv")


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], []], ids=["help", "h", "none"])
def test_help_names_every_task(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "dev"), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == (0 if arguments else 2)
    for task in ("run", "test", "check", "soak", "bench", "lock"):
        assert f"./dev {task}" in done.stdout


def test_an_unknown_task_is_answered_with_the_known_ones() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "dev"), "tset"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "run, test, check" in done.stderr
