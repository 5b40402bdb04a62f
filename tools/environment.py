"""Make .venv from requirements.lock, mend it when something in it is missing, do nothing when it is whole.

Standard library only, because it runs before anything is installed: ``python3 tools/environment.py``. With the
word ``lock`` it also resolves requirements.lock again from pyproject.toml.
The record of a whole environment is written last, so an interrupted installation is never taken for one.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RECORD = "environment.json"
INSTALLER = "uv>=0.9"


def main(words):
    if words not in ([], ["lock"]):
        sys.exit("usage: python3 tools/environment.py [lock]")
    folder = ROOT / ".venv"
    refuse_unsupported_python()
    reason = what_is_wrong(folder)
    if reason is not None:
        print(f"making {folder.name} from requirements.lock ({reason})", flush=True)
        start = time.perf_counter()
        build(folder)
        print(f"{folder.name} is ready after {time.perf_counter() - start:.0f} s", flush=True)
    if words == ["lock"]:
        lock(interpreter(folder))


def refuse_unsupported_python():
    """Exit with one sentence when this Python lies outside the range that pyproject.toml states."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    low, high = (
        tuple(int(n) for n in version.split("."))
        for version in re.search(r'requires-python = ">=([\d.]+),<([\d.]+)"', text).groups()
    )
    if not low <= sys.version_info[:2] < high:
        sys.exit(
            "ftirlib needs Python {}.{} or newer, below {}.{}; '{}' is {}.{}. "
            "Name another one: make PYTHON=python{}.{}".format(*low, *high, sys.executable, *sys.version_info[:2], *low)
        )


def wanted():
    """What a whole environment is made from; any change of it makes the environment anew."""
    sources = b"".join((ROOT / name).read_bytes() for name in ("requirements.lock", "pyproject.toml"))
    return {"sources": hashlib.sha256(sources).hexdigest(), "python": sys.version, "root": str(ROOT)}


def what_is_wrong(folder):
    """Say why the environment has to be made, or None when it is whole."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        files = record["files"]
    except (OSError, ValueError, LookupError, TypeError):
        return "there is no complete one"
    for key, value in wanted().items():
        if record.get(key) != value:
            return f"its {key} changed"
    # Only an explicit wish for another build of PyTorch replaces the one that is there.
    if record.get("torch") != os.environ.get("UV_TORCH_BACKEND", record.get("torch")):
        return "another build of PyTorch is asked for"
    for name, size in files.items():
        try:
            if os.stat(folder / name).st_size != size:
                return f"{name} was changed"
        except OSError:
            return f"{name} is missing"
    return None


def build(folder):
    """Install the lock and this project into a cleared folder, then record every file."""
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    python = interpreter(folder)
    run(python, "-m", "pip", "install", "-q", INSTALLER)
    environment = installer_environment(python)
    uv = (python, "-m", "uv", "pip", "install", "-q", "--python", python)
    try:
        run(*uv, "-r", "requirements.lock", env=environment)
    except subprocess.CalledProcessError:
        if "UV_TORCH_BACKEND" in os.environ or "UV_TORCH_BACKEND" not in environment:
            raise
        print("PyTorch's index of CPU builds did not answer; taking the default build, which is larger", flush=True)
        del environment["UV_TORCH_BACKEND"]
        run(*uv, "-r", "requirements.lock", env=environment)
    run(*uv, "--no-deps", "--no-build-isolation", "-e", ".", env=environment)
    record = {**wanted(), "torch": environment.get("UV_TORCH_BACKEND"), "files": inventory(folder)}
    draft = folder / (RECORD + ".part")
    draft.write_text(json.dumps(record), encoding="utf-8")
    draft.replace(folder / RECORD)


def lock(python):
    """Resolve the newest versions that pyproject.toml allows, for every system and Python it names."""
    command = (python, "-m", "uv", "pip", "compile", "-q", "--universal", "--upgrade", "--extra", "dev")
    output = ROOT / "requirements.lock"
    draft = output.with_suffix(".draft")
    run(*command, "--no-header", "--no-annotate", "pyproject.toml", "-o", str(draft), env=installer_environment(python))
    # A local build such as 2.13.0+cpu is on no package index. What only PyTorch's builds for graphics cards need
    # comes with such a build; pinned here it would come to every machine.
    lines = (line.replace("+cpu", "") for line in draft.read_text(encoding="utf-8").splitlines(keepends=True))
    kept = [line for line in lines if not re.match(r"(nvidia|cuda)-|triton\b", line)]
    output.write_text("".join(sorted(kept)), encoding="utf-8")
    draft.unlink()


def interpreter(folder):
    return str(folder / ("Scripts" if os.name == "nt" else "bin") / "python")


def installer_environment(python):
    """Pass on what pip is told about this machine, which uv does not read.

    Without a folder of wheels to look in, the CPU build of PyTorch is asked for by name: the default
    build for Linux brings gigabytes for graphics cards.
    """
    environment = dict(os.environ)
    for option, variable in (
        ("index-url", "UV_DEFAULT_INDEX"),
        ("find-links", "UV_FIND_LINKS"),
        ("cert", "SSL_CERT_FILE"),
    ):
        value = os.environ.get("PIP_" + option.upper().replace("-", "_")) or pip_option(python, option)
        if value:
            environment.setdefault(variable, ",".join(value.split()))
    environment.setdefault("UV_SYSTEM_CERTS", "true")
    if not environment.get("UV_FIND_LINKS"):
        environment.setdefault("UV_TORCH_BACKEND", "cpu")
    return environment


def pip_option(python, option):
    for section in ("global", "install"):
        answer = subprocess.run(
            [python, "-m", "pip", "config", "get", f"{section}.{option}"], capture_output=True, text=True
        )
        if answer.returncode == 0:
            return answer.stdout.strip()
    return ""


def inventory(folder):
    """Size of every installed file; compiled bytecode comes and goes and is left out."""
    return {
        str(path.relative_to(folder)): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(RECORD)
    }


def run(*command, env=None):
    subprocess.run(command, check=True, cwd=ROOT, env=env)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except subprocess.CalledProcessError as error:
        sys.exit(f"installation stopped at: {' '.join(error.cmd)}\nmend what it says above and run make again")
