"""What every script of this folder trains, and how it tells the bench about it.

The sizes come from the bench as JSON, out of the resolved topology, so that they stand in one place. Each script prints one
JSON line when it is about to begin step 1, one after every step, and the load of the busiest expert at the end; the bench
takes the times from when the lines arrive, as it does for `troupe launch --json`.
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


def read_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--job", required=True, help="JSON with the fields of Job")
    parser.add_argument("--engine", default="best")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    return Arguments(Job(**json.loads(given.job)), given.engine, given.precision, given.steps, given.threads)


NUM_BATCHES = 8


def draw_batches(job):
    """Eight batches in turn, (B, S + 1): independent tokens with p ~ 1/rank, ranks dealt to ids at random."""
    draws = torch.Generator().manual_seed(job.seed)
    share_V = 1.0 / torch.arange(1, job.vocab + 1, dtype=torch.float64)
    id_of_rank_V = torch.randperm(job.vocab, generator=draws)
    shape = (NUM_BATCHES, job.batch, job.seqLen + 1)
    ranks = torch.multinomial(share_V, NUM_BATCHES * job.batch * (job.seqLen + 1), replacement=True, generator=draws)
    return id_of_rank_V[ranks].view(shape).unbind()


def tell(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def expert_load(counts_E):
    """Rows of the busiest expert over the mean."""
    counts_E = counts_E.float()
    return float(counts_E.max() / counts_E.mean())


def train(arguments, model, step, measure_loads):
    """Runs the steps; `measure_loads(batch)` gives the load of the busiest expert in each layer afterwards."""
    batches = draw_batches(arguments.job)
    num_params = sum(parameter.numel() for parameter in model.parameters())
    if num_params != arguments.job.numParams:
        raise SystemExit(f"the model has {num_params} parameters, the job {arguments.job.numParams}")
    tell("start", device=f"PyTorch {torch.__version__}, {arguments.threads} threads")
    for index in range(arguments.steps):
        loss = step(batches[index % NUM_BATCHES])
        tell("step", step=index + 1, loss=loss)
    tell("load", maxExpertLoad=max(measure_loads(batches[0])))
