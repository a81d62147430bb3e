"""How asr-serve bears load: uploads, live sessions, overload, idle connections, an hour.

python scripts/bench/serve.py MANIFEST [--files 64] [--parallel 1 8 64] [--live 1 4 8] [--soak 60]

It starts a server with --workers processes on loopback. Each answer is compared with the text that
`asr-transcribe` gives for the recording alone, and the throughput with that of `asr-transcribe`
with as many workers on the same files, run before and after. `--soak` sends recordings for so many
minutes at 90 % of the throughput that was measured, and watches memory and file handles.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from contest import table
from websockets.sync.client import connect

from asr.audio import read_audio
from asr.cli.run import run
from asr.manifest import Utterance, read_manifest
from asr.scoring import score

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "serve"), str(ROOT / "tests")]
from serving import Served, serving  # noqa: E402

RATE_HZ = 16_000
BLOCK_S = 0.1
_MOST_WAITING = 32  # recordings of the soak that wait for their answers
_TIMEOUT_S = 600.0  # for an answer


@dataclass(frozen=True)
class Material:
    """Recordings with their lengths, and the texts that asr-transcribe gives for them."""

    files: list[Path]
    texts: list[str]
    seconds: list[float]


def main() -> int:
    """Run the comparison; return the exit status."""
    parser = argparse.ArgumentParser("serve.py", description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--files", type=int, default=64, help="recordings; default: %(default)s")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--parallel", type=int, nargs="*", default=[1, 2, 4, 8, 16, 32, 64])
    parser.add_argument("--live", type=int, nargs="*", default=[1, 2, 4, 8])
    parser.add_argument("--live-s", type=float, default=60.0, help="seconds of each session")
    parser.add_argument("--idle", type=int, default=0, help="connections that say nothing")
    parser.add_argument("--soak", type=float, default=0.0, metavar="MINUTES")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    return run("serve.py", lambda: compare(arguments))


def compare(arguments: argparse.Namespace) -> int:
    """Measure all; return 1 if an answer was wrong or lost."""
    utterances = read_manifest(arguments.manifest)
    utterances = utterances[:: max(1, len(utterances) // arguments.files)][: arguments.files]
    files = [utterance.audio for utterance in utterances]
    seconds = [len(read_audio(file).waveform) / RATE_HZ for file in files]
    material = Material(files, offline(files, seconds, arguments.workers)[0], seconds)
    found: dict[str, Any] = {}
    options = ("--workers", arguments.workers, "--queue", 64, "--live-sessions", 64)
    with serving(*options) as server:
        server.timeout_s = _TIMEOUT_S
        found["uploads"] = [
            uploads(server, material, count, arguments.workers) for count in arguments.parallel
        ]
        found["live"] = [
            live(server, utterances, count, arguments.live_s) for count in arguments.live
        ]
        if arguments.idle:
            found["idle"] = idle(server, material, arguments.idle)
        if arguments.soak:
            best = max(row["audio_s_per_s"] for row in found["uploads"])
            found["soak"] = soak(server, material, 0.9 * best, 60 * arguments.soak)
        found["deaths"] = server.metric("asr_worker_deaths")
    found["overload"] = overload(material, arguments.workers)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    parts = (*found["uploads"], found["overload"], found.get("idle", {}), found.get("soak", {}))
    wrong = sum(part.get("wrong", 0) for part in parts)
    print(f"{wrong} answers were wrong or lost; {found['deaths']:.0f} processes died")
    return 1 if wrong or found["deaths"] else 0


def offline(
    files: Sequence[Path], seconds: Sequence[float], workers: int
) -> tuple[list[str], float]:
    """Recognise all by asr-transcribe.

    Returns:
        The texts, and the seconds of audio in a second, from the first answer to the last.
    """
    command = [sys.executable, "-m", "asr.cli.transcribe", "--quiet", "--plain"]
    command += ["--workers", str(workers)]
    process = subprocess.Popen([*command, *map(str, files)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    arrived, texts = [], {}
    for line in process.stdout:
        path, _, text = line.rstrip("\n").partition("\t")
        texts[path] = text
        arrived.append(time.monotonic())
    process.wait()
    speed = (sum(seconds) - seconds[0]) / (arrived[-1] - arrived[0])
    return [texts[str(file)] for file in files], speed


def ask(server: Served, file: Path) -> tuple[int, str, float]:
    """Send a recording; return the status, the text and the seconds that it took."""
    began = time.monotonic()
    status, _, answer = server.post(file.read_bytes(), file.name)
    return status, json.loads(answer).get("text", ""), time.monotonic() - began


def uploads(server: Served, material: Material, parallel: int, workers: int) -> dict[str, Any]:
    """Send all recordings, so many at a time; compare with asr-transcribe before and after."""
    before = offline(material.files, material.seconds, workers)[1]
    began = time.monotonic()
    with ThreadPoolExecutor(parallel) as pool:
        answers = list(pool.map(lambda file: ask(server, file), material.files))
    wall_s = time.monotonic() - began
    latencies = [seconds for _, _, seconds in answers]
    wrong = sum(
        (status, text) != (200, expected)
        for (status, text, _), expected in zip(answers, material.texts, strict=True)
    )
    speed = sum(material.seconds) / wall_s
    around = (before + offline(material.files, material.seconds, workers)[1]) / 2
    row = {
        "parallel": parallel,
        "p50_s": float(np.quantile(latencies, 0.5)),
        "p95_s": float(np.quantile(latencies, 0.95)),
        "audio_s_per_s": speed,
        "of_offline": speed / around,
        "memory_mb": memory_mb(server),
        "wrong": wrong,
    }
    show(row)
    return row


@dataclass
class Session:
    """One live session as its client saw it."""

    final: list[tuple[dict[str, Any], float]] = field(default_factory=list)
    partial: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    segments: list[str] = field(default_factory=list)
    reference: str = ""
    sound: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    whole: str = ""  # the text of the same sound as one recording


def live(
    server: Served, utterances: Sequence[Utterance], count: int, seconds: float
) -> dict[str, Any]:
    """Hold so many sessions at once, each at the speed of speech."""
    sessions = [Session() for _ in range(count)]
    threads = []
    for number, session in enumerate(sessions):
        chosen = talk(utterances[number * 3 % len(utterances) :] + list(utterances), seconds)
        session.reference = " ".join(utterance.text for utterance in chosen)
        session.sound = np.concatenate([read_audio(u.audio).waveform for u in chosen])
        threads.append(threading.Thread(target=speak, args=(server, session)))
    for thread in threads:
        thread.start()
        time.sleep(0.13)  # people do not begin at the same moment
    for thread in threads:
        thread.join()
    with tempfile.TemporaryDirectory() as folder:
        for session in sessions:
            file = Path(folder, "talk.wav")
            soundfile.write(file, session.sound, RATE_HZ)
            session.whole = ask(server, file)[1]
    finals = [at - word["end"] for session in sessions for word, at in session.final]
    firsts = [delay for session in sessions for delay in partial_delays(session)]
    references = [session.reference for session in sessions]
    final = [" ".join(word["word"] for word, _ in session.final) for session in sessions]
    row = {
        "sessions": count,
        "partial_p50_s": float(np.quantile(firsts, 0.5)),
        "partial_p95_s": float(np.quantile(firsts, 0.95)),
        "final_p50_s": float(np.quantile(finals, 0.5)),
        "final_p95_s": float(np.quantile(finals, 0.95)),
        "wer_final": 100 * score(references, final).word.rate,
        "wer_whole": 100 * score(references, [s.whole for s in sessions]).word.rate,
        "wer_segments": 100 * score(references, [" ".join(s.segments) for s in sessions]).word.rate,
    }
    show(row)
    return row


def talk(utterances: Sequence[Utterance], seconds: float) -> list[Utterance]:
    """Return the first utterances that last so long together."""
    chosen, length = list[Utterance](), 0.0
    for utterance in utterances:
        if length < seconds:
            chosen.append(utterance)
            length += len(read_audio(utterance.audio).waveform) / RATE_HZ
    return chosen


def speak(server: Served, session: Session) -> None:
    """Say the sound at its own speed; note when words come, in seconds since the start."""
    with connect(f"ws://127.0.0.1:{server.port}/v1/listen", proxy=None) as socket:
        socket.send(json.dumps({"type": "start", "sample_rate": RATE_HZ}))
        json.loads(socket.recv())
        began = time.monotonic()

        def send() -> None:
            block = round(BLOCK_S * RATE_HZ)
            for number, first in enumerate(range(0, len(session.sound), block), 1):
                time.sleep(max(0.0, began + number * BLOCK_S - time.monotonic()))
                samples = session.sound[first : first + block] * 32767
                socket.send(samples.astype("<i2").tobytes())
            socket.send(json.dumps({"type": "stop"}))

        sender = threading.Thread(target=send)
        sender.start()
        for text in socket:
            note(session, json.loads(text), time.monotonic() - began)
        sender.join()


def note(session: Session, message: dict[str, Any], at: float) -> None:
    """Note what a message says, and when it came."""
    if message["type"] == "end_of_speech":
        session.segments.append(message["text"])
    if message["type"] != "words":
        return
    session.final += ((word, at) for word in message["final"])
    for word in (*message["partial"], *message["final"]):
        session.partial.setdefault(word["word"], []).append((word["end"], at))


def partial_delays(session: Session) -> Iterator[float]:
    """Yield, for each final word, the time from its end until it was first shown there."""
    for word, _ in session.final:
        shown = [at for end, at in session.partial[word["word"]] if abs(end - word["end"]) < 0.3]
        if shown:
            yield min(shown) - word["end"]


def overload(material: Material, workers: int) -> dict[str, Any]:
    """Send all at once to a server with a short queue."""
    with serving("--workers", workers, "--queue", 4, "--live-workers", 0) as server:
        server.timeout_s = _TIMEOUT_S
        with ThreadPoolExecutor(len(material.files)) as pool:
            answers = list(pool.map(lambda file: ask(server, file), material.files))
    pairs = list(zip(answers, material.texts, strict=True))
    row = {
        "sent_at_once": len(answers),
        "refused_429": sum(status == 429 for status, _, _ in answers),
        "answered": sum(status == 200 for status, _, _ in answers),
        "wrong": sum(
            status != 429 and (status, text) != (200, e) for (status, text, _), e in pairs
        ),
    }
    show(row)
    return row


def idle(server: Served, material: Material, count: int) -> dict[str, Any]:
    """Recognise a recording while there are so many connections that say nothing."""
    sockets, answers = [], []
    for number in range(count):
        sockets.append(server.connect())
        if number % 1000 == 999 or number == count - 1:
            answers.append(ask(server, material.files[0]))
    row = {
        "idle_connections": count,
        "wrong": sum(answer[:2] != (200, material.texts[0]) for answer in answers),
        "latest_s": max(answer[2] for answer in answers),
        "open_files": server.metric("process_open_fds"),
    }
    for connection in sockets:
        connection.close()
    show(row)
    return row


def soak(server: Served, material: Material, speed: float, seconds: float) -> dict[str, Any]:
    """Send recordings at a speed, in seconds of audio a second; watch memory and file handles."""
    rng, samples = random.Random(0), list[tuple[float, float]]()
    answers = list[tuple[Future[tuple[int, str, float]], str]]()
    began = due = time.monotonic()
    looked = began - 60
    room = threading.Semaphore(_MOST_WAITING)  # a machine with other work falls behind, but not far
    with ThreadPoolExecutor(_MOST_WAITING) as pool:
        while time.monotonic() < began + seconds:
            if time.monotonic() > looked + 10:
                looked = time.monotonic()
                samples.append((memory_mb(server), open_files(server)))
            number = rng.randrange(len(material.files))
            room.acquire()
            answer = pool.submit(ask, server, material.files[number])
            answer.add_done_callback(lambda _: room.release())
            answers.append((answer, material.texts[number]))
            due += material.seconds[number] / speed
            time.sleep(max(0.0, due - time.monotonic()))
    quarter = max(1, len(samples) // 4)
    early, late = (
        np.mean(part, axis=0) for part in (samples[quarter:][:quarter], samples[-quarter:])
    )
    row = {
        "minutes": seconds / 60,
        "sent": len(answers),
        "of_the_speed": (due - began) / seconds,
        "wrong": sum(
            answer.exception() is not None or answer.result()[:2] != (200, text)
            for answer, text in answers
        ),
        "memory_mb_second_quarter": float(early[0]),
        "memory_mb_last_quarter": float(late[0]),
        "files_second_quarter": float(early[1]),
        "files_last_quarter": float(late[1]),
    }
    show(row)
    return row


def processes(server: Served) -> list[Path]:
    """The folders in /proc of the server and its workers."""
    return [Path(f"/proc/{server.process.pid}"), *server.children()]


def memory_mb(server: Served) -> float:
    """The memory of the server and its workers; what they share counts once."""
    pages = [(path / "smaps_rollup").read_text() for path in processes(server)]
    return sum(int(page.split("Pss:")[1].split()[0]) for page in pages) / 1024


def open_files(server: Served) -> int:
    """The file handles of the server and its workers."""
    return sum(len(list((path / "fd").iterdir())) for path in processes(server))


def show(row: dict[str, Any]) -> None:
    """Print a row with the names of its columns."""
    cells = [f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()]
    print("\n".join(table([list(row), cells])), flush=True)


if __name__ == "__main__":
    sys.exit(main())
