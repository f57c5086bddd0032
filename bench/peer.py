"""Our programs and llama.cpp's on one device: how each is started, and what it says.

Both run through scripts/peer: in the same system with the same driver, or with PEER_LLAMA=DIR both
on this one.
"""

import json
import os
import signal
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
SCRIPT = REPOSITORY / "scripts" / "peer"


class Failed(Exception):
    """A program that ended with an error; the message holds the end of what it said."""


def environment(model):
    """The folder of the model is seen where the programs run."""
    folders = f"{os.environ.get('PEER_BIND', '')} {Path(model).resolve().parent}".strip()
    return dict(os.environ, PEER_BIND=folders)


def start(model, *command, **options):
    """A program as a process group of its own, so that all of it can be ended."""
    return subprocess.Popen(
        [str(SCRIPT), "run", *map(str, command)],
        env=environment(model),
        start_new_session=True,
        **options,
    )


def stop(process, patience_s=20):
    """Ends a process group that `start` made, and waits for all of it: the shell in front may be gone
    before the program behind it."""
    for name in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            process.poll()
            try:
                os.killpg(process.pid, name)
            except ProcessLookupError:
                process.wait()
                return
            time.sleep(0.2)


def run(model, *command, limit_s):
    """What a program writes to standard output; None when it was not done within the limit."""
    with tempfile.TemporaryFile("w+") as said:
        process = start(model, *command, stdout=subprocess.PIPE, stderr=said, text=True)
        try:
            output, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            stop(process)
            return None
        except BaseException:
            stop(process)
            raise
        if process.returncode != 0:
            said.seek(0)
            raise Failed(f"{' '.join(map(str, command))}\n{said.read()[-2000:]}")
        return output


def version():
    """What is compared with, in one line."""
    said = subprocess.run([str(SCRIPT), "version"], capture_output=True, text=True, check=True)
    return ", ".join(said.stdout.split("\n")).strip(", ")


def commit():
    """The commit that is measured, with a mark where files were changed since."""
    said = subprocess.run(
        ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"],
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout.strip() or "unknown"


def spread(values):
    """Median, least and most."""
    return statistics.median(values), min(values), max(values)


def ours(programs, model, arguments, limit_s):
    """One figure of bench-model, and the device it names; None past the limit."""
    with tempfile.TemporaryDirectory(dir=programs) as folder:
        written = Path(folder) / "figures.json"
        done = run(
            model,
            Path(programs) / "bench-model",
            *("--model", Path(model).resolve(), "--repeats", 1, "--json", written, *arguments),
            limit_s=limit_s,
        )
        if done is None:
            return None
        said = json.loads(written.read_text(encoding="utf-8"))
    rates = [f["median"] for f in said["figures"] if f["unit"] == "tokens/s"]
    return rates[0], f"{said['device']}, {said['driver']}"


def llama_bench(model, arguments, backend, limit_s):
    """Tokens per second of llama-bench; None past the limit."""
    device = ("-dev", "none") if backend == "cpu" else ("-ngl", 99)
    said = run(
        model,
        *("llama-bench", "-m", Path(model).resolve(), "-r", 1, "-o", "json", *device, *arguments),
        limit_s=limit_s,
    )
    return None if said is None else json.loads(said)[0]["avg_ts"]


def llama_batched_bench(model, rows, tokens, backend, limit_s):
    """Tokens per second of all rows together, after prompts of one token; None past the limit."""
    device = ("-dev", "none") if backend == "cpu" else ("-ngl", 99)
    said = run(
        model,
        *("llama-batched-bench", "-m", Path(model).resolve(), "--output-format", "jsonl"),
        *("-npp", 1, "-ntg", tokens, "-npl", rows, "-c", rows * (tokens + 8), *device),
        limit_s=limit_s,
    )
    if said is None:
        return None
    lines = [line for line in said.splitlines() if line.startswith("{")]
    return json.loads(lines[-1])["speed_tg"]


def wait_until_ready(process, ready, limit_s):
    """Calls `ready` until it is true. False: the process ended, or the limit passed."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end and process.poll() is None:
        if ready():
            return True
        time.sleep(0.3)
    return False
