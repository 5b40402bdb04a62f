"""The seam for parallel work: what is refused at the door, and what happens when something dies."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from types import ModuleType

import pytest
from conftest import ROOT
from dask_programs import PATHS, STOPPED, Programs, address, die, fail, kill, refuse, until, work

import ftirlib
from ftirlib.engine import cluster, workers
from ftirlib.engine.cluster import check_worker, difference, library, open_executor
from ftirlib.engine.workers import outcomes, wait_for
from ftirlib.errors import DataError, SettingsError, StoreError

# what is said of a worker that is there when a run begins, and of one that joins later
REFUSED = {
    "other version": [r"the worker at tcp://127.0.0.1:\d+ has ftirlib 0.0.1 and this driver 0.1.0"] * 2,
    "no library": [
        r"the worker at tcp://127.0.0.1:\d+ has no ftirlib; start it in the driver's environment",
        r"the worker at tcp://127.0.0.1:\d+ has no ftirlib, or another version; start it in the driver's environment",
    ],
}


PAGE = (ROOT / "book" / "cluster.md").read_text(encoding="utf-8")


def fenced(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def commands():
    """Commands of the page's shell blocks, as words."""
    return [shlex.split(line) for line in "".join(fenced("bash")).replace("\\\n", " ").splitlines()]


class Finished(dict):
    """Collects results, and what was reported."""

    def __init__(self):
        self.told = []

    def wait(self, executor, calls):
        executor.report = self.told.append
        wait_for(executor, calls, self.__setitem__)


def library_of(folder, kind):
    """A folder with another ftirlib, for PYTHONPATH."""
    package = folder / kind.replace(" ", "-") / "ftirlib"
    if kind == "no library":
        package.mkdir(parents=True)
        text = 'raise ModuleNotFoundError("No module named \'ftirlib\'", name="ftirlib")'
        (package / "__init__.py").write_text(text)
    else:
        shutil.copytree(ROOT / "ftirlib", package, ignore=shutil.ignore_patterns("__pycache__"))
        changed = package / "__init__.py"
        text = changed.read_text(encoding="utf-8")
        changed.write_text(text.replace(f'"{ftirlib.__version__}"', '"0.0.1"'), encoding="utf-8")
    return {"PYTHONPATH": os.pathsep.join((str(package.parent), PATHS))}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """PEM files of one self-signed certificate, its own authority."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make certificates with")
    return make_certificate(tmp_path_factory.mktemp("tls"))


def make_certificate(folder):
    """As the page does it."""
    (line,) = (line for line in commands() if line[0] == "openssl")
    subprocess.run(line, cwd=folder, check=True, capture_output=True)
    return {"ca": folder / "cert.pem", "cert": folder / "cert.pem", "key": folder / "key.pem"}


def tls_options(files):
    names = {"ca": "--tls-ca-file", "cert": "--tls-cert", "key": "--tls-key"}
    return [word for name, option in names.items() for word in (option, str(files[name]))]


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    with Programs(tmp_path_factory.mktemp("programs")) as programs:
        yield programs


@pytest.fixture(scope="module")
def good(programs):
    """A scheduler's program and file, and its two workers."""
    scheduler, file = programs.scheduler()
    return scheduler, file, [programs.worker(file) for _ in range(2)]


@pytest.fixture(scope="module")
def refused(programs, good, tmp_path_factory):
    """Schedulers, in this process, each with the one worker that is to be refused, and executors opened before it came.

    All are started at once.
    """
    from distributed import LocalCluster

    folder = tmp_path_factory.mktemp("libraries")
    with ExitStack() as opened:
        found = {}
        for kind in REFUSED:
            one = opened.enter_context(LocalCluster(n_workers=0, protocol="tcp", dashboard_address=":0"))
            found[kind] = one.scheduler, opened.enter_context(open_executor(one.scheduler_address))
            programs.worker(one.scheduler_address, environment=library_of(folder, kind))
        yield found


@pytest.fixture(scope="module")
def secured(programs, good, refused, certificate):
    """File of a scheduler with TLS and one worker."""
    options = tls_options(certificate)
    _, file = programs.scheduler(*options, protocol="tls")
    programs.worker(file, *options)
    return file


@pytest.fixture(scope="module")
def bare_scheduler(programs, tmp_path_factory):
    _, file = programs.scheduler(environment=library_of(tmp_path_factory.mktemp("bare"), "no library"))
    return file


@pytest.fixture
def quickly(monkeypatch):
    import distributed  # noqa: F401  # so that its loading is not timed

    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)


@pytest.mark.parametrize("kind", REFUSED)
def test_a_worker_with_another_library_is_refused(refused, secured, bare_scheduler, kind, tmp_path):
    scheduler, executor = refused[kind]
    at_the_door, later = REFUSED[kind]
    until(lambda: scheduler.workers)
    with pytest.raises(SettingsError, match=at_the_door):
        with open_executor(scheduler.address):
            pass
    with pytest.raises(SettingsError, match=later):
        Finished().wait(executor, {"a": (work, str(tmp_path / "log"), 0)})
    with pytest.raises(SettingsError, match=later):
        (result,) = outcomes(work, [(str(tmp_path / "log"), 0)], executor)
        result()
    assert not (tmp_path / "log").exists()


def test_a_scheduler_without_the_library_is_refused(bare_scheduler):
    with pytest.raises(SettingsError, match=r"the scheduler at tcp://127.0.0.1:\d+ has no ftirlib"):
        with open_executor(address(bare_scheduler)):
            pass


def test_certificates_are_shown_and_asked_for(secured, certificate, tmp_path, monkeypatch):
    import dask

    where = address(secured)
    assert where.startswith("tls://")
    finished = Finished()
    with open_executor(where, tls=certificate) as executor:
        finished.wait(executor, {"a": (work, str(tmp_path / "log"), 0)})
    assert list(finished) == ["a"]
    names = {"ca-file": certificate["ca"], "client.cert": certificate["cert"], "client.key": certificate["key"]}
    with dask.config.set({f"distributed.comm.tls.{name}": str(file) for name, file in names.items()}):
        with open_executor(where):  # as the page says of Dask's own configuration
            pass
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    for files, other in ((None, where), (make_certificate(tmp_path), where), (None, where.replace("tls:", "tcp:"))):
        started = time.monotonic()
        with pytest.raises(SettingsError, match="no Dask scheduler answers at"):
            with open_executor(other, tls=files):
                pass
        assert time.monotonic() - started < cluster.CONNECT_SECONDS + 3


def test_a_frozen_scheduler_is_waited_for_as_long_as_dask_is_told_to(good, tmp_path, monkeypatch):
    import dask

    scheduler, file, _ = good
    where, finished = address(file), Finished()
    monkeypatch.setattr(workers, "ASK_SECONDS", 0.2)
    monkeypatch.setattr(cluster, "ANSWER_SECONDS", 0.5)
    waiting = f"the scheduler at {where} does not answer; waiting for it, "
    with open_executor(where) as executor:
        finished.wait(executor, {"warm": (work, str(tmp_path / "log"), 0)})
        try:
            scheduler.send_signal(signal.SIGSTOP)
            wakes = after(2, scheduler.send_signal, signal.SIGCONT)
            finished.wait(executor, {"a": (work, str(tmp_path / "log"), 0)})
            assert finished["a"] and finished.told == [waiting + "5 minutes"]
            wakes.join()
            with dask.config.set({cluster.PATIENCE: "2s"}):
                for wait in (finished.wait, waited_by_an_import):
                    scheduler.send_signal(signal.SIGSTOP)
                    started = time.monotonic()
                    with pytest.raises(StoreError, match=rf"{where} is there but has not answered for \d s; .*, 2s\)"):
                        wait(executor, {"b": (work, str(tmp_path / "log"), 0)})
                    assert 2 <= time.monotonic() - started < 10
                    scheduler.send_signal(signal.SIGCONT)
            assert finished.told[1:] == [waiting + "2s"] * 2
        finally:
            scheduler.send_signal(signal.SIGCONT)
        finished.wait(executor, {"c": (work, str(tmp_path / "log"), 0)})
        assert finished["c"]


def waited_by_an_import(executor, _):
    (result,) = outcomes(int, [("1",)], executor)
    return result()


def test_one_who_takes_results_in_order_is_told_of_errors_in_a_sentence(good, tmp_path):
    _, file, _ = good
    with open_executor(address(file)) as executor:
        results = list(outcomes(work, [(str(tmp_path / "log"), 0)] * 3, executor))
        assert all(result() > 0 for result in results)
        for function, error, sentence in (
            (refuse, DataError, "^spectrum 3 is not finite.$"),
            (fail, StoreError, r"^'fail' failed \(MemoryError: big\); what was finished is kept"),
        ):
            (result,) = outcomes(function, [("big",) * (function is fail)], executor)
            with pytest.raises(error, match=sentence):
                result()
        waiting = outcomes(work, [(str(tmp_path / "late"), 0.5)] * 20, executor)
        next(waiting)()
        waiting.close()
        time.sleep(1.5)
        assert len((tmp_path / "late").read_text().splitlines()) < 10


@pytest.mark.parametrize("where", ["local workers", "a cluster"])
def test_a_call_that_a_worker_cannot_read_ends_in_a_sentence(where, good, monkeypatch):
    absent = ModuleType("absent")
    exec("def lost(): pass", vars(absent))
    monkeypatch.setitem(sys.modules, "absent", absent)
    finished = Finished()
    with open_executor(address(good[1]) if where == "a cluster" else None) as executor:
        with pytest.raises(StoreError, match=r"'x' failed \(ModuleNotFoundError: No module named 'absent'\)"):
            finished.wait(executor, {"x": (absent.lost,)})
        finished.wait(executor, {"y": (int,)})
    assert finished == {"y": 0} and finished.told == []


def test_when_workers_and_then_the_scheduler_are_killed(good, programs, tmp_path):
    scheduler, file, started = good
    where, log, finished = address(file), tmp_path / "log", Finished()
    with open_executor(where) as executor:
        until(lambda: len(executor._client.nthreads()) == 2)
        executor.check()
        finished.wait(executor, {"check": (check_worker, library())})
        with pytest.raises(SettingsError, match=r"the worker at tcp://.* has ftirlib 0.1.0 and this driver 9"):
            finished.wait(executor, {"check": (check_worker, library() | {"version": "9"})})
        with pytest.raises(DataError, match="spectrum 3"):
            finished.wait(executor, {"x": (refuse,)})

        def kill_at_work():
            number = int(until(log.read_text).split()[0])
            kill(next(program for program in started if program.pid == number))

        finished.wait(executor, {"a": (work, str(log), 0.1)} | {"killer": (int,)})
        log.unlink()
        killer = after(0, kill_at_work)
        finished.wait(executor, {"b": (work, str(log), 1), "c": (work, str(log), 1)})
        killer.join()
        assert len(log.read_text().split()) == 3  # one of the two was done again
        assert finished["b"] == finished["c"] and finished.told == []

        for program in started:
            kill(program)

        def start_anew():
            kill(scheduler)
            programs.scheduler(port=int(where.rpartition(":")[2]))  # it knows nothing of what the last one was given

        anew = after(workers.ASK_SECONDS + 2, start_anew)
        with pytest.raises(StoreError, match=f"the scheduler at {where} is gone; what was finished is kept"):
            finished.wait(executor, {"d": (work, str(log), 0)})
        assert finished.told == [
            f"no worker is connected to {where}; waiting for one: start it with 'dask worker {where} --nthreads 1'"
        ]
        with pytest.raises(StoreError, match="is gone"):
            executor.submit(work, str(log), 0)
        anew.join()


def after(seconds, function, *arguments):
    from threading import Timer

    timer = Timer(seconds, function, arguments)
    timer.start()
    return timer


def test_a_worker_of_two_threads_is_refused():
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, protocol="tcp", dashboard_address=None
    ) as two:
        with pytest.raises(SettingsError, match="has 2 threads, .* start it with --nthreads 1"):
            with open_executor(two.scheduler_address):
                pass
        with two.get_client() as client, pytest.raises(SettingsError, match="has 2 threads"):
            client.submit(check_worker, library()).result()


@pytest.mark.parametrize("listening", [False, True], ids=["nothing", "something mute"])
def test_who_does_not_answer_is_named_in_time(quickly, listening):
    assert cluster.CONNECT_SECONDS == 1
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        if listening:
            door.listen()
        where = f"tcp://127.0.0.1:{door.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(SettingsError, match=f"no Dask scheduler answers at '{where}'"):
            with open_executor(where):
                pass
        assert time.monotonic() - started < 3


def test_an_answer_is_waited_for_less_than_ten_seconds():
    assert cluster.CONNECT_SECONDS < 10


@pytest.mark.parametrize(
    "scheduler, tls, sentence",
    [
        ("tcp://h:1", {"ca": __file__, "cert": __file__, "key": __file__}, r"do nothing for 'tcp://h:1'; .* tls://"),
        ("tls://h:1", {"ca": __file__, "cert": __file__}, "key is not given"),
        ("tls://h:1", {}, "ca, cert, key is not given"),
        ("tls://h:1", {"ca": "no.pem", "cert": __file__, "key": __file__}, r"no TLS file 'no.pem' \(ca\)"),
        ("tls://h:1", {"ca": __file__, "cert": __file__, "key": __file__, "pass": "x"}, "knows no 'pass'"),
        (None, {"ca": __file__}, "TLS files are for a cluster"),
        ("nowhere://h:1", None, "no Dask scheduler answers at 'nowhere://h:1'"),
        ("tls://127.0.0.1:1", {"ca": __file__, "cert": __file__, "key": __file__}, "certificates"),
    ],
)
def test_what_cannot_be_connected_with_is_refused(scheduler, tls, sentence, quickly):
    with pytest.raises(SettingsError, match=sentence):
        with open_executor(scheduler, tls=tls):
            pass


@pytest.mark.parametrize(
    "found, sentence",
    [
        (None, "has no ftirlib;"),
        ({"version": "1"}, "has ftirlib 1 and this driver 2;"),
        ({"version": "2"}, "same version of ftirlib, 2, with other source"),
        ({"version": "2", "code": "b", "packages": {"torch": "2.1"}}, "with other source"),
        ({"version": "2", "code": "a", "packages": {"torch": "2.2"}}, "has torch 2.2 and this driver 2.1;"),
        ({"version": "2", "code": "a", "packages": {}}, "has torch missing and this driver 2.1;"),
        ({"version": "2", "code": "a", "packages": {"torch": "2.1", "kymatio": "1"}}, "has kymatio 1 and this driver"),
    ],
)
def test_what_differs_is_named(found, sentence):
    expected = {"version": "2", "code": "a", "packages": {"torch": "2.1"}}
    assert sentence in difference(expected, found)
    assert difference(expected, dict(expected)) is None
    assert difference({"version": "2"}, expected) is None


def test_the_check_of_the_same_library_is_cheap():
    check_worker(library())
    started = time.perf_counter()
    for _ in range(1000):
        check_worker(library())
    assert time.perf_counter() - started < 1
    with pytest.raises(SettingsError, match=rf"process {os.getpid()} has ftirlib"):
        check_worker({"version": "9"})


def test_examples_are_true():
    import doctest

    assert doctest.testmod(cluster).attempted >= 2
    assert doctest.testmod(cluster).failed == 0


def test_local_workers_that_are_killed_are_started_again_a_few_times(tmp_path):
    finished = Finished()
    with open_executor(workers=2) as executor:
        finished.wait(executor, {"a": (die, str(tmp_path / "a"), 1), "b": (work, str(tmp_path / "b"), 0)})
        assert finished["a"] == "made" and finished["b"] > 0
        assert [line for line in finished.told if "was killed, most often for want of memory" in line]
        with pytest.raises(StoreError, match=r"were killed 4 times with 1 tasks left \('c'\)"):
            finished.wait(executor, {"c": (die, str(tmp_path / "c"), 99)})
        assert len((tmp_path / "c").read_text().splitlines()) == 1 + workers.RESTARTS
        finished.wait(executor, {"d": (work, str(tmp_path / "b"), 0)})
        assert "d" in finished


def test_a_call_that_fails_names_itself_and_the_rest_is_not_begun(tmp_path):
    finished = Finished()
    calls = {"bad": (fail, "no room")} | {f"n{k}": (work, str(tmp_path / "log"), 0.2) for k in range(20)}
    with open_executor(workers=1) as executor:
        with pytest.raises(StoreError, match=r"'bad' failed \(MemoryError: no room\); what was finished is kept"):
            finished.wait(executor, calls)
        with pytest.raises(DataError, match="spectrum 3"):
            finished.wait(executor, {"x": (refuse,)})
    assert len((tmp_path / "log").read_text().splitlines()) < 10


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_being_stopped_stops_at_once_and_workers_say_nothing(told, tmp_path):
    log = tmp_path / "log"
    (tmp_path / "driver.py").write_text(f"""
import sys
from dask_programs import work
from ftirlib.engine.cluster import open_executor
from ftirlib.engine.workers import wait_for
if __name__ == "__main__":
    with open_executor(workers=2) as executor:
        try:
            wait_for(executor, {{k: (work, {str(log)!r}, 120) for k in "ab"}}, print)
        except KeyboardInterrupt:
            print("stopped")
            sys.exit(130)
""")
    driver = subprocess.Popen(
        [sys.executable, tmp_path / "driver.py"],
        env=os.environ | {"PYTHONPATH": PATHS},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # the signal goes to the workers too, as in a terminal
    )
    try:
        numbers = until(lambda: len(found := log.read_text().split()) == 2 and found)
        os.killpg(driver.pid, told)
        out, err = driver.communicate(timeout=20)
    finally:
        driver.kill()
    assert (driver.returncode, out, err) == (130, "stopped\n", "")
    for number in numbers:
        with pytest.raises(ProcessLookupError):
            os.kill(int(number), 0)


def test_the_last_word_of_a_command_that_is_stopped_is_that_it_goes_on(monkeypatch, capsys):
    from ftirlib.command import cli, status

    def interrupted(root):
        raise KeyboardInterrupt

    monkeypatch.setattr(status, "status_text", interrupted)
    monkeypatch.setattr(sys, "argv", ["ftirlib", "status", "somewhere"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 130 and capsys.readouterr().err.strip() == STOPPED


def test_sigterm_is_left_to_who_has_said_what_it_does():
    from threading import Thread

    def of_sigterm():
        with workers.terminated_like_interrupted():
            return signal.getsignal(signal.SIGTERM)

    seen, before = [], signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        assert of_sigterm() is signal.default_int_handler
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        other = Thread(target=lambda: seen.append(of_sigterm()))
        other.start()
        other.join()
        assert seen == [signal.SIG_DFL]
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        assert of_sigterm() is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_page_has_options_that_exist():
    import dask
    import typer
    from distributed.cli import dask_scheduler, dask_worker

    from ftirlib.command.cli import app

    known = {("dask", "scheduler"): dask_scheduler.main, ("dask", "worker"): dask_worker.main}
    known |= {("ftirlib", name): command for name, command in typer.main.get_command(app).commands.items()}
    seen = set()
    for words in commands():
        if words[0] == "export":  # a setting that Dask knows
            said = dask.config.collect_env(dict([words[1].split("=")]))
            assert said == {"distributed": {"worker": {"profile": {"enabled": False}}}}
            assert dask.config.get("distributed.worker.profile.enabled") is True
        elif words[0] != "openssl":
            program = (Path(words[0]).name, words[1])
            options = {option for parameter in known[program].params for option in parameter.opts}
            assert {word for word in words if word.startswith("--")} <= options, words
            seen.add(program)
    assert seen == {("dask", "scheduler"), ("dask", "worker"), ("ftirlib", "run"), ("ftirlib", "status")}


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A queue of jobs that starts each at once on this machine, with the commands of SLURM's."""
    job = f"{tmp_path}/job$$.sh"  # the script is gone as soon as it is submitted
    start = f'cp "$1" {job}\nsetsid bash {job} >> {tmp_path}/jobs.log 2>&1 &\necho $! >> {tmp_path}/pids'
    start += "\necho Submitted batch job 1"
    for name, text in {"sbatch": start, "scancel": "true"}.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", PATHS)
    monkeypatch.chdir(tmp_path)
    yield
    for number in (tmp_path / "pids").read_text().split() if (tmp_path / "pids").exists() else ():
        with suppress(ProcessLookupError):
            os.killpg(int(number), signal.SIGKILL)


def test_the_job_of_the_page_is_a_worker_that_is_taken(slurm, tmp_path, capsys):
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed")
    import dask

    first, second = fenced("python")
    known = {}
    here = {"host": "127.0.0.1", "dashboard_address": ":0"}
    with dask.config.set({"jobqueue.slurm.scheduler-options": here}):
        exec(first.replace("/shared/ftirlib/.venv/bin/python", sys.executable), known)
    script = capsys.readouterr().out
    directives = re.findall(r"^#SBATCH (.*)$", script, flags=re.MULTILINE)
    assert {"-p normal", "-A pathology", "-n 1", "--cpus-per-task=1", "--mem=4G", "-t 08:00:00"} <= set(directives)
    assert "\nexport OMP_NUM_THREADS=1\nexport DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=False\n" in script
    (start,) = (line for line in script.splitlines() if "dask_worker" in line)
    assert start.startswith(f"{sys.executable} -m distributed.cli.dask_worker {known['cluster'].scheduler_address} ")
    assert "--nthreads 1 " in start and "--memory-limit 3.73GiB" in start and "--lifetime 7h" in start
    finished, ran = Finished(), []
    try:
        known["cluster"].scale(jobs=1)
        with open_executor(known["cluster"].scheduler_address) as executor:
            finished.wait(executor, {"a": (work, str(tmp_path / "log"), 0)})
        assert finished["a"] > 0
    finally:
        second = second.replace("import subprocess\n", "")
        exec(second, known | {"subprocess": Recorder(ran)})
    assert ran[0][:2] == ["/shared/ftirlib/.venv/bin/ftirlib", "run"] and ran[0][-1].startswith("tcp://127.0.0.1:")


class Recorder:
    """In the place of the module subprocess: what would be run."""

    def __init__(self, ran):
        self._ran = ran

    def run(self, words, *, check):
        self._ran.append(words)


def test_the_resources_of_the_page_fit_together():
    import yaml
    from dask.utils import parse_bytes

    cluster_, job = (yaml.safe_load(text) for text in fenced("yaml"))
    workers = cluster_["spec"]["worker"]["spec"]
    (container,) = workers["containers"]
    options = dict(zip(container["args"], container["args"][1:]))
    assert options["--nthreads"] == "1" and container["resources"]["limits"]["cpu"] == "1"
    limit = container["resources"]["limits"]["memory"]
    assert parse_bytes(options["--memory-limit"]) < parse_bytes(f"{limit}B")
    (driver,) = job["spec"]["template"]["spec"]["containers"]
    assert driver["image"] == container["image"] and driver["volumeMounts"] == container["volumeMounts"]
    assert job["spec"]["template"]["spec"]["volumes"] == workers["volumes"]
    name = cluster_["metadata"]["name"]
    assert driver["args"][-1] == f"tcp://{name}-scheduler:8786"
    service = cluster_["spec"]["scheduler"]["service"]
    assert service["selector"]["dask.org/cluster-name"] == name
    (scheduler,) = cluster_["spec"]["scheduler"]["spec"]["containers"]
    assert {p["targetPort"] for p in service["ports"]} == {p["name"] for p in scheduler["ports"]}
    assert f":{ftirlib.__version__}" in container["image"]
