"""Our programs and llama.cpp's on one device: how each is started, and what it says.

Both run through scripts/peer: in the same system with the same driver, or with PEER_LLAMA=DIR both
on this one.
"""

import dataclasses
import json
import os
import re
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


@dataclasses.dataclass
class Said:
    """What a program wrote to standard output, whether it was done, and, where it was not, whether
    the work that is timed had begun."""

    output: str
    done: bool = True
    began: bool = True


def run(model, *command, limit_s, marks=()):
    """Runs a program until it is done or stopped at the limit, which counts anew from each line that
    holds one of `marks`; the last of them stands where the work that is timed begins."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as said:
        process = start(model, *command, stdout=output, stderr=said)
        n_seen, end = 0, time.monotonic() + limit_s
        try:
            while process.poll() is None:
                seen = text_of(output) + text_of(said) if marks else ""
                n = sum(seen.count(mark) for mark in marks)
                if n > n_seen:
                    n_seen, end = n, time.monotonic() + limit_s
                if time.monotonic() > end:
                    stop(process)
                    return Said(text_of(output), done=False, began=bool(marks) and marks[-1] in seen)
                time.sleep(0.1)
        except BaseException:
            stop(process)
            raise
        if process.returncode != 0:
            raise Failed(f"{' '.join(map(str, command))}\n{text_of(said)[-2000:]}")
        return Said(text_of(output))


def text_of(file):
    """All that was written so far, by a process that shares the file's position: read beside it."""
    size = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), size, 0).decode(errors="replace")


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


def ours(programs, model, device, arguments, limit_s):
    """One figure of bench-model, and its device and driver."""
    with tempfile.TemporaryDirectory(dir=programs) as folder:
        written = Path(folder) / "figures.json"
        said = run(
            model,
            *(Path(programs) / "bench-model", "--model", Path(model).resolve(), "--repeats", 1),
            *(("--device", device) if device else ()),
            *("--json", written, *arguments),
            limit_s=limit_s,
        )
        if not said.done:
            raise Failed(f"bench-model was not done in {limit_s:g} s: give it more by --limit")
        report = json.loads(written.read_text(encoding="utf-8"))
    rates = [f["median"] for f in report["figures"] if f["unit"] == "tokens/s"]
    return rates[0], report["device"], report["driver"]


def without_width(name):
    """A CPU device is named with its vectors' width, which each side chooses for itself."""
    return re.sub(r", \d+ bits\)", ")", name)


def same_device(model, name):
    """llama.cpp's id of the device that ours names, and its name there."""
    said = run(model, "llama-bench", "--list-devices", limit_s=120)
    devices = re.findall(r"^ *(Vulkan\d+): (.*) \(\d+ MiB,", said.output, re.MULTILINE)
    for number, theirs in devices:
        if without_width(theirs) == without_width(name):
            return number, theirs
    there = ", ".join(theirs for _, theirs in devices) or "no Vulkan device"
    raise Failed(f"ours runs on {name}, where llama.cpp sees {there}: two devices are no comparison")


def add_device_options(parser):
    parser.add_argument("--device", default="", help="part of its name, in any letter case")
    parser.add_argument(
        "--cpu-driver", action="store_true", help="on Mesa's CPU driver, where there is a GPU too"
    )


def take_device_options(options):
    if options.cpu_driver:
        os.environ["PEER_LAVAPIPE"] = "1"


def backend_arguments(device):
    """llama.cpp on one device: an id of same_device, or "none" for its CPU backend."""
    return ("-dev", device) if device == "none" else ("-dev", device, "-ngl", 99)


def llama_bench(model, arguments, device, limit_s):
    """Tokens per second of llama-bench; None past the limit. It warms up with the whole prompt, or
    one token of an answer, as ours does; each of these runs has the limit for itself, so that a run
    that is stopped was slower than its tokens in that time."""
    phases = ("warmup prompt run", "warmup generation run", "depth run")
    timed = "generation run 1/1" if arguments["-n"] else "prompt run 1/1"
    said = run(
        model,
        *("llama-bench", "-m", Path(model).resolve(), "-r", 1, "-o", "json", "--progress"),
        *(word for pair in arguments.items() for word in pair),
        *backend_arguments(device),
        limit_s=limit_s,
        marks=(*phases, timed),
    )
    if said.done:
        return json.loads(said.output)[0]["avg_ts"]
    # A warm-up of the whole prompt that is stopped says as much as the run itself.
    if not said.began and arguments["-n"]:
        raise Failed(f"llama-bench did not come to its answer in {limit_s:g} s: give it more by --limit")
    return None


def llama_batched_bench(model, rows, tokens, device, limit_s):
    """Tokens per second of all rows together, after prompts of one token; None past the limit,
    which counts from behind its load and warm-up."""
    said = run(
        model,
        *("llama-batched-bench", "-m", Path(model).resolve()),
        # Behind what is wanted one more token: the last line may be lost when the program ends.
        *("-npp", 1, "-ntg", f"{tokens},1", "-npl", rows, "-c", rows * (tokens + 8)),
        *backend_arguments(device),
        limit_s=limit_s,
        marks=("T_PP s",),
    )
    table = [
        [cell.strip() for cell in line.split("|")]
        for line in said.output.splitlines()
        if line.startswith("|") and line.endswith("|")
    ]
    for cells in table[2:3]:
        return float(cells[table[0].index("S_TG t/s")])
    if said.done:
        raise Failed(f"llama-batched-bench has written no rates\n{said.output[-2000:]}")
    if not said.began:
        raise Failed(f"llama-batched-bench did not begin in {limit_s:g} s: give it more by --limit")
    return None


def wait_until_ready(process, ready, limit_s):
    """Calls `ready` until it is true. False: the process ended, or the limit passed."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end and process.poll() is None:
        if ready():
            return True
        time.sleep(0.3)
    return False
