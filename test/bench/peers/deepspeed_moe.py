"""Trains the job with DeepSpeed's MoE layer, in one process.

DeepSpeed gives every expert the same number of slots. Without dropping tokens that is the number of the busiest expert, so
skewed routing costs it several times the arithmetic that is needed; the model of the other engines allows no dropping.
"""

import os
import socket

import deepspeed
import torch
import torch.nn.functional as F
from deepspeed.moe.layer import MoE
from deepspeed.moe.utils import split_params_into_different_moe_groups_for_optimizer
from torch import nn

import job as jobs
from experts import expert_matrices
from model import LanguageModel


class Expert(nn.Module):
    def __init__(self, job):
        super().__init__()
        self.up = nn.Linear(job.dModel, 2 * job.dExpert, bias=False)
        self.down = nn.Linear(job.dExpert, job.dModel, bias=False)

    def forward(self, x):
        gate, value = self.up(x).chunk(2, -1)
        return self.down(F.silu(gate) * value)


class Experts(nn.Module):
    def __init__(self, job):
        super().__init__()
        self.moe = MoE(
            job.dModel,
            Expert(job),
            num_experts=job.experts,
            k=job.topK,
            drop_tokens=False,
            use_rts=False,
            top2_2nd_expert_sampling=False,
        )
        self.counts_E = None

    def load(self, start, prefix):
        moe = self.moe.deepspeed_moe
        moe.gate.wg.weight.copy_(start.read(prefix + "gate.weight"))
        for index, expert in enumerate(moe.experts.deepspeed_experts):
            up, down = expert_matrices(start, prefix, index)
            expert.up.weight.copy_(up)
            expert.down.weight.copy_(down)

    def forward(self, x_TD):
        y_TD, balance, self.counts_E = self.moe(x_TD)
        return y_TD, balance


def alone():
    """The variables of a process group of one; the port is one that is free now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return dict(RANK="0", LOCAL_RANK="0", WORLD_SIZE="1", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))


def main():
    arguments = jobs.read_arguments()
    job = arguments.job
    if arguments.precision != "f32":
        raise SystemExit("DeepSpeed is measured in f32 only")
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(job.seed)
    os.environ.update(alone())
    deepspeed.init_distributed("gloo")
    model = LanguageModel(job, Experts)
    model.load(arguments.start)
    groups = split_params_into_different_moe_groups_for_optimizer({"params": list(model.parameters()), "name": "all"})
    optimizer = torch.optim.AdamW(
        groups, lr=job.learningRate, betas=job.betas, weight_decay=job.weightDecay, fused=True
    )
    engine, *_ = deepspeed.initialize(
        model=model,
        optimizer=optimizer,
        config={
            "train_micro_batch_size_per_gpu": job.batch,
            "gradient_accumulation_steps": 1,
            "gradient_clipping": job.clip,
            "zero_optimization": {"stage": 0},
            "zero_allow_untested_optimizer": True,
            "steps_per_print": 10**9,
        },
    )

    def step(tokens_BS):
        loss, cross_entropy = engine(tokens_BS)
        engine.backward(loss)
        engine.step()
        return cross_entropy.item()

    def measure_loads(tokens_BS):
        with torch.no_grad():
            engine(tokens_BS)
        return [jobs.expert_load(block.experts.counts_E) for block in model.blocks]

    jobs.train(arguments, model, step, measure_loads)
    torch.distributed.destroy_process_group()


main()
