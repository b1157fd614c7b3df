"""Trains the job in PyTorch. Engines:

loop      a parameter per expert matrix, a loop over the experts
best      forward and backward of the experts by hand, head and cross entropy in blocks
compile   the experts of `best` inside torch.compile
mixtral   MixtralForCausalLM of Transformers with grouped products

The bench adds glibc settings that keep freed memory in the process to all but `loop`; they make PyTorch a tenth faster here.
"""

import torch
import torch.nn.functional as F

import experts
import job as jobs
from model import LanguageModel


def mixtral(job):
    import transformers

    transformers.logging.set_verbosity_error()
    return transformers.MixtralForCausalLM(
        transformers.MixtralConfig(
            vocab_size=job.vocab,
            hidden_size=job.dModel,
            intermediate_size=job.dExpert,
            num_hidden_layers=job.layers,
            num_attention_heads=job.heads,
            num_key_value_heads=job.heads,
            max_position_embeddings=job.seqLen,
            num_local_experts=job.experts,
            num_experts_per_tok=job.topK,
            output_router_logits=True,
            use_cache=False,
            bos_token_id=None,
            eos_token_id=None,
            attn_implementation="sdpa",
            experts_implementation="grouped_mm",
        )
    )


@torch.no_grad()
def load_mixtral(model, job, start):
    """Takes every parameter from a file of the bench; Transformers keeps the experts of a layer in two tensors."""
    for name, parameter in model.named_parameters():
        if name.endswith("experts.gate_up_proj"):
            prefix = name.removesuffix("experts.gate_up_proj")
            down = model.get_parameter(prefix + "experts.down_proj")
            for expert in range(job.experts):
                up_E, down_E = experts.expert_matrices(start, prefix, expert)
                parameter[expert].copy_(up_E)
                down[expert].copy_(down_E)
        elif not name.endswith("experts.down_proj"):
            parameter.copy_(start.read(name))


def mixtral_loss(model, job, tokens_BS):
    """Its own loss takes no target for the last position; its balance loss counts every choice, ours their share, and pools the layers."""
    out = model(input_ids=tokens_BS[:, :-1])
    loss = F.cross_entropy(out.logits.flatten(0, 1).float(), tokens_BS[:, 1:].flatten())
    return loss + job.auxLoss / job.topK * out.aux_loss, loss


def mixtral_loads(model, job, tokens_BS):
    with torch.no_grad():
        out = model(input_ids=tokens_BS[:, :-1])
    for logits in out.router_logits:
        chosen = logits.view(-1, job.experts).topk(job.topK, dim=-1).indices
        yield jobs.expert_load(torch.bincount(chosen.flatten(), minlength=job.experts))


def main():
    arguments = jobs.read_arguments()
    job, engine = arguments.job, arguments.engine
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(job.seed)
    if engine == "mixtral":
        model = mixtral(job).train()
        load_mixtral(model, job, arguments.start)
        loss_of = lambda tokens_BS: mixtral_loss(model, job, tokens_BS)
        measure_loads = lambda tokens_BS: mixtral_loads(model, job, tokens_BS)
    else:
        kind = experts.LoopExperts if engine == "loop" else experts.SortedExperts
        model = LanguageModel(job, kind, chunked_head=engine == "best")
        model.load(arguments.start)
        loss_of = torch.compile(model) if engine == "compile" else model
        measure_loads = lambda tokens_BS: experts.loads_of(model, lambda: model(tokens_BS))

    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(
        parameters, lr=job.learningRate, betas=job.betas, weight_decay=job.weightDecay, fused=True
    )

    def step(tokens_BS):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=arguments.precision == "bf16"):
            loss, cross_entropy = loss_of(tokens_BS)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, job.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return cross_entropy.item()

    jobs.train(arguments, model, step, measure_loads)


main()
