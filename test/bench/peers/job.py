"""What every script of this folder trains, and how it tells the bench about it.

The sizes come from the bench as JSON, out of the resolved topology, so that they stand in one place. Each script prints one
JSON line when it is about to begin step 1, one after every step, and the load of the busiest expert at the end; the bench
takes the times from when the lines arrive, as it does for `troupe launch --json`. Parameters and tokens come from a file that
the bench writes, so that all engines compute the same losses.
"""

import argparse
import json
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Job:
    vocab: int
    layers: int
    dModel: int
    heads: int
    seqLen: int
    experts: int
    topK: int
    dExpert: int
    normEps: float
    ropeTheta: float
    batch: int
    numParams: int
    learningRate: float
    betas: tuple
    weightDecay: float
    clip: float
    # Of the mean over the layers.
    auxLoss: float
    seed: int


@dataclass(frozen=True)
class Arguments:
    job: Job
    engine: str
    precision: str
    steps: int
    threads: int
    start: "Start"


def read_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--job", required=True, help="JSON with the fields of Job")
    parser.add_argument("--engine", default="best")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--start", required=True, help="safetensors with every parameter, and the tokens of each batch")
    given = parser.parse_args()
    job = Job(**json.loads(given.job))
    return Arguments(job, given.engine, given.precision, given.steps, given.threads, Start(given.start))


class Start:
    """Tensors of a safetensors file, read one at a time, so that the peak of memory is the engine's own."""

    DTYPES = {"F32": torch.float32, "I32": torch.int32}

    def __init__(self, path):
        self.file = open(path, "rb")
        length = int.from_bytes(self.file.read(8), "little")
        self.entries = json.loads(self.file.read(length))
        self.data = 8 + length
        self.unread = set(self.entries)

    def read(self, name):
        entry = self.entries[name]
        first, end = entry["data_offsets"]
        self.file.seek(self.data + first)
        self.unread.discard(name)
        return torch.frombuffer(bytearray(self.file.read(end - first)), dtype=self.DTYPES[entry["dtype"]]).view(entry["shape"])


def tell(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def expert_load(counts_E):
    """Rows of the busiest expert over the mean."""
    counts_E = counts_E.float()
    return float(counts_E.max() / counts_E.mean())


def train(arguments, model, step, measure_loads):
    """Runs the steps; `measure_loads(batch)` gives the load of the busiest expert in each layer afterwards."""
    batches = arguments.start.read("tokens").long().unbind()
    if arguments.start.unread:
        raise SystemExit(f"the model takes no {sorted(arguments.start.unread)[0]}")
    num_params = sum(parameter.numel() for parameter in model.parameters())
    if num_params != arguments.job.numParams:
        raise SystemExit(f"the model has {num_params} parameters, the job {arguments.job.numParams}")
    tell("start", device=f"PyTorch {torch.__version__}, {arguments.threads} threads")
    for index in range(arguments.steps):
        loss = step(batches[index % len(batches)])
        tell("step", step=index + 1, loss=loss)
    tell("load", maxExpertLoad=max(measure_loads(batches[0])))
