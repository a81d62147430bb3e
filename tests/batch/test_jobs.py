"""Many recordings: which they are, who does them, what survives a kill."""

import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import unicodedata
from collections import Counter
from contextlib import closing
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import fake_model
import numpy as np
import pytest
import soundfile
from speech import RATE_HZ

from asr._atomic import content_sha256
from asr._cores import usable_cores
from asr._install import install
from asr._progress import RecordingsBar, seconds_bar, waiting
from asr.batch.inputs import read_list
from asr.batch.jobs import Job, Outcome, Transcriber, default_workers, in_order, list_jobs, run_here
from asr.batch.journal import OK, Journal
from asr.batch.outputs import JOURNAL, OutputFolder, Printer
from asr.batch.workers import run_in_processes
from asr.errors import CheckpointError, ConfigError, WorkerError
from asr.formats import FORMATS
from asr.manifest import read_manifest

TESTS = Path(__file__).parents[1]
TXT = [FORMATS["txt"]]


def write_jobs(folder: Path, *texts: str) -> list[Job]:
    """Recordings for the fake model, in order."""
    folder.mkdir(exist_ok=True)
    for number, text in enumerate(texts):
        (folder / f"{number:03}.wav").write_text(text)
    return list_jobs([str(folder)])


def told(outcomes) -> dict[int, str]:
    return {o.job.number: o.transcript.text if o.transcript else str(o.error) for o in outcomes}


# Which they are


def test_names_are_paths_below_what_was_given(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("in/a/x.wav", "in/b/x.wav", "in/b/y.flac", "z.wav"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"1234")

    def names(*inputs: str, listed: tuple[Path, ...] = ()) -> list[tuple[str, str]]:
        jobs = list_jobs(inputs, listed)
        assert [job.number for job in jobs] == list(range(len(jobs)))
        return [(str(job.source), job.name) for job in jobs]

    folder = [("in/a/x.wav", "a/x"), ("in/b/x.wav", "b/x"), ("in/b/y.flac", "b/y")]
    assert names("in") == folder
    assert names(f"{tmp_path}/in/b/*.flac") == [(f"{tmp_path}/in/b/y.flac", "y")]
    assert names("in/*/x.wav", "in") == folder
    assert names("z.wav", "in/b/y.flac", "-") == [
        ("z.wav", "z"),
        ("in/b/y.flac", "y"),
        ("-", "stdin"),
    ]
    listed = (Path("in/a/x.wav"), Path("../up.wav"), tmp_path / "z.wav")
    below_root = str(tmp_path / "z").lstrip("/")
    assert [name for _, name in names(listed=listed)] == ["in/a/x", "up", below_root]
    assert names("missing.wav", "no/*.wav") == [("missing.wav", "missing"), ("no/*.wav", "*")]
    assert [job.num_bytes for job in list_jobs(["z.wav", "missing.wav", "-"])] == [4, 0, 0]


def test_a_list_of_paths_is_taken_literally(tmp_path: Path):
    (tmp_path / "list").write_bytes(b"a [1].wav\r\n\n caf\xe9*.wav\n")
    paths = read_list(str(tmp_path / "list"))
    assert [os.fsencode(path) for path in paths] == [b"a [1].wav", b" caf\xe9*.wav"]
    (tmp_path / "list").write_bytes(b"\n")
    with pytest.raises(ConfigError, match="list: no paths in it"):
        read_list(str(tmp_path / "list"))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_list(str(tmp_path))


def test_processes_only_where_they_pay():
    def jobs(*sizes: int) -> list[Job]:
        return [Job(number, Path("a"), "a", size) for number, size in enumerate(sizes)]

    cores = min(8, usable_cores())
    assert default_workers(jobs(1000, 1000, 1000)) == 1
    assert default_workers(jobs(10**9)) == 1
    assert default_workers(jobs(*[10**8] * 100)) == cores


# Who does them


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_outcomes_in_order(order: tuple[int, ...]):
    outcomes = (Outcome(Job(number, Path("a"), "a")) for number in order)
    assert [outcome.job.number for outcome in in_order(outcomes)] == [0, 1, 2]


def test_errors_of_recordings_are_outcomes_and_those_of_the_model_are_raised(tmp_path: Path):
    jobs = write_jobs(tmp_path, "ONE", "bad")
    good, bad = run_here(fake_model.transcriber(words=True, hashed=True), jobs)
    assert good.transcript.text == "ONE with words"
    assert good.audio_s == 1.0
    assert (str(bad.error), bad.audio_s) == (f"{tmp_path}/001.wav: is bad", 0.0)
    with pytest.raises(CheckpointError, match="is damaged"):
        list(run_here(fake_model.transcriber("damaged"), jobs))


def test_processes_leave_no_semaphore_behind(tmp_path: Path):
    jobs = write_jobs(tmp_path, "lock", "lock", "ONE")
    done = subprocess.run(
        [sys.executable, str(TESTS / "fake_model.py"), *(str(job.source) for job in jobs)],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert sorted(done.stdout.split()) == ["ONE", "lock", "lock"]
    assert done.stderr == ""


def test_processes_do_all_and_one_that_dies_fails_alone(tmp_path: Path):
    jobs = write_jobs(tmp_path, "die", "ONE", "bad", "TWO", "bug", "THREE")
    outcomes = list(run_in_processes(fake_model.transcriber(words=True), jobs, 2))
    died = "the process that worked on it"
    memory = "if memory is short, use fewer --workers"
    assert told(outcomes) == {
        0: f"{tmp_path}/000.wav: {died} was killed by SIGKILL; {memory}",
        1: "ONE with words",
        2: f"{tmp_path}/002.wav: is bad",
        3: "TWO with words",
        4: f"{tmp_path}/004.wav: {died} ended: 1; {memory}",
        5: "THREE with words",
    }
    assert isinstance({o.job.number: o for o in outcomes}[0].error, WorkerError)


def test_jobs_are_shared_and_taken_only_when_a_process_is_free(tmp_path: Path):
    taken = []

    def jobs():
        for job in write_jobs(tmp_path, *["pid"] * 12):
            taken.append(job)
            yield job

    outcomes = run_in_processes(fake_model.transcriber(), jobs(), 2)
    pids = set()
    for done, outcome in enumerate(outcomes, 1):
        pids.add(outcome.transcript.text)
        assert len(taken) <= done + 2
    assert done == 12
    assert len(pids) <= 2
    assert str(os.getpid()) not in pids


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [("damaged", CheckpointError, "is damaged"), ("large", WorkerError, "killed by SIGKILL")],
)
def test_a_model_that_cannot_be_loaded_ends_the_work(kind, error, message, tmp_path: Path):
    with pytest.raises(error, match=message):
        list(run_in_processes(fake_model.transcriber(kind), write_jobs(tmp_path, *"ABC"), 2))


def test_a_process_that_dies_while_it_loads_ends_its_recording_alone(tmp_path: Path):
    jobs = write_jobs(tmp_path, "ONE", "TWO", "THREE", "FOUR")
    (tmp_path / "deaths").write_text("1")
    load = partial(fake_model.load_after, tmp_path / "deaths")
    said = told(run_in_processes(Transcriber(load), jobs, 2))
    dead = [number for number, text in said.items() if "was killed by SIGKILL" in text]
    assert len(dead) == 1
    texts = {0: "ONE", 1: "TWO", 2: "THREE", 3: "FOUR"}
    assert {n: said[n] for n in said if n not in dead} == {
        n: texts[n] for n in texts if n not in dead
    }


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"  # a zombie waits for its new parent only


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_one_that_started_it(how: signal.Signals, tmp_path: Path):
    write_jobs(tmp_path, "pid", "pid", "slow", "slow")
    driver = subprocess.Popen(
        [sys.executable, TESTS / "fake_model.py", tmp_path],
        env=os.environ | {"PYTHONPATH": str(TESTS.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    pids = {int(driver.stdout.readline()) for _ in range(2)}
    if how == signal.SIGINT:  # Ctrl-C goes to all processes of a terminal
        os.killpg(driver.pid, how)
    else:
        driver.send_signal(how)
    _, said = driver.communicate(timeout=60)
    interrupted = how == signal.SIGINT
    assert driver.returncode == (130 if interrupted else -how)
    assert said.startswith("fake: error: interrupted\n" if interrupted else "")
    assert "Traceback" not in said
    patience = time.monotonic() + 30
    while any(map(is_alive, pids)):
        assert time.monotonic() < patience
        time.sleep(0.05)


# What is kept


def test_journal_knows_what_was_written_last(tmp_path: Path):
    written = Journal(tmp_path / "new" / "j.jsonl")
    written.add(OK, ["a.txt", "a.srt"], sha256="1", settings="s", path="a.wav")
    written.add("failed", ["b.txt"], error="bad")
    written.add(OK, ["c.txt"], sha256="1", settings="s", path="a.wav")
    written.add("replacing", ["c.txt"])
    written.close()
    with closing(Journal(tmp_path / "new" / "j.jsonl")) as read:
        for journal in (written, read):
            assert journal.is_done(["a.txt", "a.srt"], "1", "s")
            assert not journal.is_done(["a.txt", "a.srt"], "2", "s")
            assert not journal.is_done(["a.txt"], "1", "other")
            assert not journal.is_done(["a.txt", "a.vtt"], "1", "s")
            known = [journal.knows([name]) for name in ("a.txt", "b.txt", "c.txt")]
            assert known == [True, False, False]


def test_journal_knows_names_that_are_not_utf_8(tmp_path: Path):
    name = os.fsdecode(b"\xff.txt")
    journal = Journal(tmp_path / "j.jsonl")
    journal.add(OK, [name], sha256="1", settings="s", path=os.fsdecode(b"\xff.wav"))
    journal.close()
    with closing(Journal(tmp_path / "j.jsonl")) as journal:
        assert journal.is_done([name], "1", "s")


def test_journal_knows_that_a_file_was_of_another_recording(tmp_path: Path):
    with closing(Journal(tmp_path / "j.jsonl")) as journal:
        journal.add(OK, ["x.txt"], sha256="1", settings="s", path="a/x.wav")
        assert journal.other_recording(["x.txt", "x.srt"], "2", "b/x.wav") == "a/x.wav"
        assert journal.other_recording(["x.txt"], "1", "moved/x.wav") is None
        assert journal.other_recording(["x.txt"], "2", "a/x.wav") is None  # it was changed
        assert journal.other_recording(["y.txt"], "2", "b/y.wav") is None


@pytest.mark.parametrize("torn", [b"{", b'{"status": "ok", "outputs": ["b.txt"], "sha', b"\0\0\0"])
def test_half_a_line_is_cut_off(torn: bytes, tmp_path: Path):
    path = tmp_path / "j.jsonl"
    journal = Journal(path)
    journal.add(OK, ["a.txt"], sha256="1", settings="s", path="a.wav")
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    journal = Journal(path)
    assert path.read_bytes() == whole
    assert journal.is_done(["a.txt"], "1", "s")
    journal.add(OK, ["b.txt"], sha256="2", settings="s", path="b.wav")
    journal.close()
    assert [json.loads(line)["sha256"] for line in path.read_text().splitlines()] == ["1", "2"]


@pytest.mark.parametrize("line", ["hello", "[]", "{}", "1", '{"status": "ok", "outputs": ["a"]}'])
def test_a_file_that_is_no_journal_is_left_alone(line: str, tmp_path: Path):
    path = tmp_path / "j.jsonl"
    path.write_text(f"{line}\n")
    with pytest.raises(ConfigError, match=r"j\.jsonl: line 1 is not of a journal"):
        Journal(path)
    assert path.read_text() == f"{line}\n"


def test_one_run_at_a_time_writes_to_a_folder(tmp_path: Path):
    journal = Journal(tmp_path / "j")
    with pytest.raises(ConfigError, match="another asr-transcribe writes to this folder"):
        Journal(tmp_path / "j")
    journal.close()
    Journal(tmp_path / "j").close()


def test_a_folder_that_cannot_be_made(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="file/j: cannot be written"):
        Journal(tmp_path / "file" / "j")


def test_a_full_disk_leaves_no_half_line(tmp_path: Path):
    """The limit on the size of a file stands for a disk that takes a part of a line."""
    path = tmp_path / "j.jsonl"
    child = (
        "import resource, sys; from pathlib import Path\n"
        "from asr.batch.journal import OK, Journal; from asr.errors import ConfigError\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "journal.add(OK, ['a.txt'], sha256='1', settings='s', path='a')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "try: journal.add(OK, ['b.txt'], sha256='2', settings='s', path='b')\n"
        "except ConfigError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", child, path], capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r".*j\.jsonl: cannot be written \(.*\); make room, or .*\n", done.stdout)
    whole = path.read_bytes()
    assert whole.endswith(b"\n") and whole.count(b"\n") == 1
    with closing(Journal(path)) as journal:
        assert journal.is_done(["a.txt"], "1", "s")
        assert not journal.knows(["b.txt"])


def test_content_is_known_by_its_sha256(tmp_path: Path):
    (tmp_path / "abc").write_bytes(b"abc")  # the example of FIPS 180-2
    assert content_sha256(tmp_path / "abc") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    assert content_sha256(tmp_path) is None
    assert content_sha256(tmp_path / "missing") is None


def bulk(folder: Path, jobs: list[Job], settings: str = "s", formats=TXT) -> dict[int, str]:
    """Do what has not been done; return what was."""
    with closing(OutputFolder(folder, formats, settings, jobs, skips=True)) as out:
        remaining = [job for job in jobs if not out.is_done(job)]
        outcomes = list(run_here(fake_model.transcriber(hashed=True), remaining))
        for outcome in outcomes:
            out.take(outcome)
    return told(outcomes)


def test_only_what_changed_is_done_again(tmp_path: Path):
    out = tmp_path / "out"
    jobs = write_jobs(tmp_path / "in", "ONE", "bad", "THREE")
    failure = f"{jobs[1].source}: is bad"
    assert bulk(out, jobs) == {0: "ONE", 1: failure, 2: "THREE"}
    assert (out / "000.txt").read_text() == "ONE\n"
    assert not (out / "001.txt").exists()
    assert bulk(out, jobs) == {1: failure}
    (out / "000.txt").unlink()
    jobs[2].source.write_text("OTHER")
    assert bulk(out, jobs) == {0: "ONE", 1: failure, 2: "OTHER"}
    assert bulk(out, jobs, settings="other") == {0: "ONE", 1: failure, 2: "OTHER"}
    assert set(bulk(out, jobs)) == {0, 1, 2}
    assert set(bulk(out, jobs, formats=[FORMATS["srt"], *TXT])) == {0, 1, 2}
    assert bulk(out, jobs) == {1: failure}
    records = [json.loads(line) for line in (out / JOURNAL).read_text().splitlines()]
    assert records[0]["status"] == "ok"
    assert records[0]["path"] == str(jobs[0].source)
    assert records[1]["error"] == failure


def test_a_kill_between_files_and_journal_is_noticed(tmp_path: Path, monkeypatch):
    """Files of other settings, whose line is missing, are not taken for those of the last line."""
    out = tmp_path / "out"
    jobs = write_jobs(tmp_path / "in", "ONE")
    bulk(out, jobs)
    add = Journal.add

    def killed(journal: Journal, status: str, *rest: object, **facts: object) -> None:
        if status == OK:
            raise KeyboardInterrupt
        add(journal, status, *rest, **facts)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Journal, "add", killed)
        bulk(out, jobs, settings="other")
    assert bulk(out, jobs) == {0: "ONE"}


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["a/x.wav", "b/y.wav"], ["x", "y"]),
        (["a/x.wav", "a/x.mp3"], ["x.wav", "x.mp3"]),
        (["a/x.wav", "b/x.wav"], ["a/x", "b/x"]),
        (["a/x.wav", "a/x.mp3", "b/x.wav"], ["a/x", "x.mp3", "b/x"]),
        (["x.wav", "x.wav.wav"], ["x", "x.wav"]),
    ],
)
def test_no_two_recordings_are_written_to_one_file(
    sources: list[str], expected: list[str], tmp_path: Path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    texts = {name: f"TEXT {number}" for number, name in enumerate(sources)}
    for name, text in texts.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text)
    formats = [FORMATS["textgrid"], FORMATS["srt"], FORMATS["jsonl"]]
    for order in (sources, sources[::-1]):
        jobs = list_jobs(order)
        bulk(Path("out"), jobs, formats=formats)
        for name, written in zip(sources, expected, strict=True):
            record = json.loads(Path(f"out/{written}.jsonl").read_text())
            assert (record["path"], record["text"]) == (name, texts[name])
            assert Path(f"out/{written}.TextGrid").exists()
            assert Path(f"out/{written}.srt").exists()
        assert len(list(Path("out").rglob("*.*"))) == 3 * len(sources) + 1
        assert bulk(Path("out"), jobs, formats=formats) == {}


def test_names_of_files_that_differ_in_case_get_a_digest(tmp_path: Path, monkeypatch):
    """Disks of other systems would take x.txt and X.txt for one file."""
    monkeypatch.chdir(tmp_path)
    for name in ("x.wav", "X.wav", "caf\u00e9.wav", "cafe\u0301.wav"):
        Path(name).write_text(name)
    bulk(Path("out"), list_jobs(["."]))
    written = {path.name: path.read_text() for path in Path("out").glob("*.txt")}
    assert len({unicodedata.normalize("NFC", name.lower()) for name in written}) == 4
    for name, text in written.items():
        assert re.fullmatch(rf"{re.escape(text[:-5])}-[0-9a-f]{{8}}\.txt", name)


def test_a_recording_does_not_overwrite_the_journal(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = Path(JOURNAL).with_suffix(".wav")
    source.write_text("ONE")
    bulk(Path("out"), list_jobs([str(source)]), formats=[FORMATS["jsonl"]])
    assert json.loads((Path("out") / f"{source}.jsonl").read_text())["text"] == "ONE"
    assert json.loads((Path("out") / JOURNAL).read_text())["outputs"] == [f"{source}.jsonl"]


def test_a_file_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "out" / "000.txt").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"000\.txt: cannot be written"):
        bulk(tmp_path / "out", write_jobs(tmp_path / "in", "ONE"))


def test_several_as_json_are_an_array(tmp_path: Path, capsys):
    for texts in ([], ["bad"], ["ONE"], ["ONE", "bad", "TWO"]):
        folder = tmp_path / "".join(texts)
        folder.mkdir(exist_ok=True)
        printer = Printer(FORMATS["json"], several=True)
        jobs = write_jobs(folder, *texts) if texts else []
        for outcome in run_here(fake_model.transcriber(), jobs):
            printer.take(outcome)
        printer.close()
        records = json.loads(capsys.readouterr().out)
        assert [record["text"] for record in records] == [text for text in texts if text != "bad"]


def test_formats_with_a_file_each_are_not_printed_of_several():
    with pytest.raises(ConfigError, match=r"several recordings as \.srt need a file for each"):
        Printer(FORMATS["srt"], several=True)


# What survives


def write_noises(folder: Path, count: int) -> None:
    """Recordings of a second that all differ."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        noise = 0.1 * rng.standard_normal(RATE_HZ)
        soundfile.write(folder / f"{number:03}.wav", noise, RATE_HZ)


@pytest.mark.parametrize(
    ("count", "kills"), [(20, 2), pytest.param(200, 10, marks=pytest.mark.slow)]
)
def test_kills_lose_nothing_and_nothing_is_done_twice(
    count: int, kills: int, smoke: Path, tmp_path: Path
):
    write_noises(tmp_path / "in", count)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "asr.cli.transcribe", "--model", smoke / "exp", "--quiet"]
    command += ["--output-dir", out, "--skip-existing", "--workers", "2", tmp_path / "in"]
    rng = random.Random(0)
    for kill in range(1, kills + 1):
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        enough = rng.uniform(kill - 1, kill) * count / (kills + 1)
        while process.poll() is None and len(journal_lines(out)) < enough:
            time.sleep(0.001)
        process.kill()
        assert process.communicate()[1] == ""
    done_before = len(journal_lines(out))
    assert subprocess.run(command, check=False).returncode == 0
    lines = journal_lines(out)
    assert done_before < len(lines) == count
    assert {json.loads(line)["status"] for line in lines} == {"ok"}
    outputs = Counter(name for line in lines for name in json.loads(line)["outputs"])
    assert outputs == {f"{number:03}.txt": 1 for number in range(count)}
    assert {path.name for path in out.glob("*.txt")} == outputs.keys()
    assert all(path.read_text().endswith("\n") for path in out.glob("*.txt"))


def journal_lines(folder: Path) -> list[str]:
    """The whole lines."""
    path = folder / JOURNAL
    content = path.read_text() if path.exists() else ""
    return content[: content.rfind("\n") + 1].splitlines()


# On a cluster


def test_ray_does_all_and_retries_what_died(tmp_path: Path, monkeypatch):
    pytest.importorskip("ray")
    from asr.batch.ray import run_on_ray

    monkeypatch.setenv("PYTHONPATH", f"{TESTS}{os.pathsep}{TESTS.parent}")
    monkeypatch.chdir(tmp_path)
    write_jobs(tmp_path / "in", "ONE", "die once", "bad", "die", "bug", *["MORE"] * 5)
    jobs = list_jobs(["in"])
    outcomes = list(run_on_ray(fake_model.transcriber(hashed=True), jobs, "local", 2))
    said = told(outcomes)
    assert sorted(said) == list(range(10))
    assert [said[number] for number in (0, 1, *range(5, 10))] == ["ONE", "die once", *["MORE"] * 5]
    assert "is bad" in said[2]
    assert "in/003.wav: its actor died" in said[3]
    assert "in/004.wav: failed in an actor (ZeroDivisionError" in said[4]
    for outcome in outcomes:
        assert outcome.job == jobs[outcome.job.number]
        if outcome.transcript:
            assert outcome.transcript.path == str(outcome.job.source)
            assert outcome.sha256 == content_sha256(outcome.job.source)
    with pytest.raises(CheckpointError, match="is damaged"):
        list(run_on_ray(fake_model.transcriber("damaged"), jobs, "local", 2))


def test_an_address_that_is_none():
    from asr.batch.ray import run_on_ray

    with pytest.raises(ConfigError, match="--ray talks: no address of a cluster; allowed: local"):
        list(run_on_ray(fake_model.transcriber(), [], "talks"))


def test_ray_is_imported_with_its_usage_reports_off(tmp_path: Path, monkeypatch):
    from asr.batch.ray import run_on_ray

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "ray.py").write_text(
        "import os\nFOUND = os.environ.get('RAY_USAGE_STATS_ENABLED')\n"
        "def init(*_, **__): raise RuntimeError(f'reports: {FOUND}')\n"
    )
    with pytest.raises(ConfigError, match=r"no cluster answers there \(reports: 0\)"):
        list(run_on_ray(fake_model.transcriber(), [], "local"))
    sys.modules.pop("ray")


def test_without_ray_its_install_is_named(monkeypatch):
    from asr.batch.ray import run_on_ray

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=re.escape(install("ray"))):
        list(run_on_ray(fake_model.transcriber(), [], "local"))


def test_a_bar_tells_of_speed_where_a_person_watches(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        clock = iter([0.0, 2.0, 4.0, 4.0, 4.0])
        fake_time = SimpleNamespace(monotonic=lambda clock=clock: next(clock))
        monkeypatch.setattr("asr._progress.time", fake_time)
        with RecordingsBar("transcribing", 3, 1000) as bar:
            bar.advance(250, audio_s=200.0)
            time.sleep(0.15)  # more often, a bar is not drawn
            bar.advance(250)
            assert bar.speed() == "50 times real time"
        said = stream.getvalue()
        assert ("transcribing:  50%" in said) == shown
        assert ("2/3, 50 times real time" in said) == shown


class Terminal(io.StringIO):
    """Standard error that somebody watches."""

    def isatty(self) -> bool:
        return True


def test_the_bar_of_a_single_recording_moves_with_its_seconds(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    fake_time = SimpleNamespace(monotonic=iter(map(float, range(9))).__next__)
    monkeypatch.setattr("asr._progress.time", fake_time)
    with RecordingsBar("transcribing", 2, 1000) as bar:
        shown = bar._bar
        bar.within(0, 800, 150.0, 600.0)
        assert shown.n == 200
        assert "150 times real time" in shown.postfix
        bar.within(0, 800, 300.0, 600.0)
        bar.within(1, 200, 60.0, None)  # of unknown length: it counts when it is done
        assert shown.n == 400
        bar.advance(800, 600.0, 0)
        bar.advance(200, 70.0, 1)
        assert shown.n == 1000
        assert shown.postfix.startswith("2/2, ")


def test_jobs_say_how_far_they_are(smoke: Path):
    import asr

    utterance = read_manifest(smoke / "data" / "test.jsonl")[0]
    (job,) = list_jobs([str(utterance.audio)])
    seen = list[tuple[int, float, float | None]]()

    def watch(job: Job, done_s: float, total_s: float | None) -> None:
        seen.append((job.number, done_s, total_s))

    transcriber = Transcriber(partial(asr.load_model, smoke / "exp"))
    for run in (run_here, partial(run_in_processes, count=1)):
        seen.clear()
        (outcome,) = run(transcriber, [job], watch=watch)
        assert outcome.transcript and outcome.transcript.text == utterance.text
        whole = pytest.approx(utterance.duration, abs=0.02)
        assert seen[-1] == (0, whole, whole)


@pytest.mark.parametrize("watched", [True, False])
def test_work_that_cannot_tell_shows_the_time_that_passed(monkeypatch, watched: bool):
    stream = Terminal() if watched else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr("asr._progress._TICK_S", 0.01)
    with waiting("exporting"):
        time.sleep(0.15)
    with seconds_bar("aligning", 10.0) as done:
        done(4.0)
        time.sleep(0.15)
        done(60.0)  # rounding must not go beyond the end
    said = stream.getvalue()
    assert ("exporting 00:00" in said) == watched
    assert ("aligning:  40%" in said or "aligning: 100%" in said) == watched
    assert not [thread for thread in threading.enumerate() if "tick" in thread.name]
