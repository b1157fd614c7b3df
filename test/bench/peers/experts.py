"""Two ways to compute the experts of a layer in PyTorch; both drop no token.

Shapes: T tokens, D model, F hidden of an expert, E experts, K choices of a token, N = T·K rows sorted by expert.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import job as jobs


class Router(nn.Module):
    """Softmax over all experts, the top k, their weights divided by their sum; always float32."""

    def __init__(self, job):
        super().__init__()
        self.topk = job.topK
        self.weight = nn.Parameter(torch.randn(job.experts, job.dModel) * 0.02)

    def forward(self, x_TD):
        with torch.autocast("cpu", enabled=False):
            scores_TE = F.linear(x_TD.float(), self.weight).softmax(-1)
        weights_TK, experts_TK = scores_TE.topk(self.topk, dim=-1)
        # Not bincount, whose result has a size that torch.compile cannot know.
        chosen_N = experts_TK.flatten()
        counts_E = chosen_N.new_zeros(scores_TE.shape[1]).scatter_add_(0, chosen_N, torch.ones_like(chosen_N))
        return weights_TK / weights_TK.sum(-1, keepdim=True), experts_TK, counts_E, balance_loss(scores_TE, counts_E)


def expert_matrices(start, prefix, expert):
    """Gate above up (2F, D), and down (D, F), of one expert."""
    gate, up, down = (start.read(f"{prefix}experts.{expert}.{part}_proj.weight") for part in ("gate", "up", "down"))
    return torch.cat((gate, up)), down


def balance_loss(scores_TE, counts_E):
    """1 at perfect balance (Fedus et al. 2021, arXiv:2101.03961, eq. 4)."""
    return scores_TE.shape[1] * (counts_E / counts_E.sum() * scores_TE.mean(0)).sum()


def load_experts(experts, start, prefix):
    experts.router.weight.copy_(start.read(prefix + "gate.weight"))
    for expert in range(len(experts.up)):
        up, down = expert_matrices(start, prefix, expert)
        experts.up[expert].copy_(up)
        experts.down[expert].copy_(down)


class LoopExperts(nn.Module):
    """As one would write it first: a parameter per matrix of an expert, a loop, autograd does the rest."""

    def __init__(self, job):
        super().__init__()
        self.router = Router(job)
        self.up = nn.ParameterList(torch.randn(2 * job.dExpert, job.dModel) * 0.02 for _ in range(job.experts))
        self.down = nn.ParameterList(torch.randn(job.dModel, job.dExpert) * 0.02 for _ in range(job.experts))

    def load(self, start, prefix):
        load_experts(self, start, prefix)

    def forward(self, x_TD):
        weights_TK, experts_TK, counts_E, balance = self.router(x_TD)
        order_N = experts_TK.flatten().argsort(stable=True)
        rows = x_TD[order_N // experts_TK.shape[1]].split(counts_E.tolist())
        outputs = []
        for x, up, down in zip(rows, self.up, self.down):
            gate, value = F.linear(x, up).chunk(2, -1)
            outputs.append(F.linear(F.silu(gate) * value, down))
        y_TKD = torch.cat(outputs)[order_N.argsort()].view(*experts_TK.shape, -1)
        return torch.bmm(weights_TK.to(y_TKD.dtype).unsqueeze(1), y_TKD).squeeze(1), balance


class SortedExperts(nn.Module):
    """The fastest that we know: forward and backward by hand over sorted rows, every product written in place."""

    def __init__(self, job):
        super().__init__()
        self.router = Router(job)
        self.up = nn.Parameter(torch.randn(job.experts, 2 * job.dExpert, job.dModel) * 0.02)
        self.down = nn.Parameter(torch.randn(job.experts, job.dModel, job.dExpert) * 0.02)

    def load(self, start, prefix):
        load_experts(self, start, prefix)

    def forward(self, x_TD):
        weights_TK, experts_TK, counts_E, balance = self.router(x_TD)
        order_N = experts_TK.flatten().argsort(stable=True)
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x_TD.dtype
        y_TD, *_ = experts_forward(
            x_TD.to(dtype), self.up.to(dtype), self.down.to(dtype), weights_TK, order_N, order_N.argsort(), counts_E
        )
        return y_TD, balance


def spans(counts_E):
    """(expert, its rows) of every expert that has some."""
    start = 0
    for expert, count in enumerate(counts_E.tolist()):
        if count > 0:
            yield expert, slice(start, start + count)
        start += count


# Opaque operators, so that torch.compile keeps one graph around sizes that depend on the data.
@torch.library.custom_op("bench::experts", mutates_args=())
def experts_forward(
    x_TD: Tensor, up: Tensor, down: Tensor, weights_TK: Tensor, order_N: Tensor, place_N: Tensor, counts_E: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    num_rows, hidden = order_N.numel(), down.shape[2]
    x_ND = x_TD.index_select(0, order_N // weights_TK.shape[1])
    up_N2F = x_TD.new_empty(num_rows, 2 * hidden)
    y_ND = torch.empty_like(x_ND)
    for expert, rows in spans(counts_E):
        torch.mm(x_ND[rows], up[expert].t(), out=up_N2F[rows])
    hidden_NF = F.silu(up_N2F[:, :hidden]).mul_(up_N2F[:, hidden:])
    for expert, rows in spans(counts_E):
        torch.mm(hidden_NF[rows], down[expert].t(), out=y_ND[rows])
    y_TKD = y_ND.index_select(0, place_N).view(*weights_TK.shape, -1)
    out_TD = torch.bmm(weights_TK.to(y_ND.dtype).unsqueeze(1), y_TKD).squeeze(1)
    return out_TD, x_ND, up_N2F, hidden_NF, y_ND


@torch.library.custom_op("bench::experts_backward", mutates_args=())
def experts_backward(
    dout_TD: Tensor, up: Tensor, down: Tensor, weights_TK: Tensor, order_N: Tensor, place_N: Tensor, counts_E: Tensor,
    x_ND: Tensor, up_N2F: Tensor, hidden_NF: Tensor, y_ND: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    hidden = hidden_NF.shape[1]
    dy_ND = dout_TD.index_select(0, order_N // weights_TK.shape[1])
    dweights_TK = torch.linalg.vecdot(dy_ND, y_ND).float().index_select(0, place_N).view_as(weights_TK)
    dy_ND *= weights_TK.flatten().index_select(0, order_N).to(dy_ND.dtype).unsqueeze(1)

    dhidden_NF, ddown = torch.empty_like(hidden_NF), torch.zeros_like(down)
    for expert, rows in spans(counts_E):
        torch.mm(dy_ND[rows], down[expert], out=dhidden_NF[rows])
        torch.mm(dy_ND[rows].t(), hidden_NF[rows], out=ddown[expert])

    gate_NF, value_NF = up_N2F.chunk(2, 1)
    dup_N2F = torch.empty_like(up_N2F)
    torch.mul(dhidden_NF, F.silu(gate_NF), out=dup_N2F[:, hidden:])
    dup_N2F[:, :hidden] = torch.ops.aten.silu_backward(dhidden_NF.mul_(value_NF), gate_NF)

    dx_ND, dup = torch.empty_like(x_ND), torch.zeros_like(up)
    for expert, rows in spans(counts_E):
        torch.mm(dup_N2F[rows], up[expert], out=dx_ND[rows])
        torch.mm(dup_N2F[rows].t(), x_ND[rows], out=dup[expert])
    dx_TD = dx_ND.index_select(0, place_N).view(*weights_TK.shape, -1).sum(1)
    return dx_TD, dup, ddown, dweights_TK


@experts_forward.register_fake
def _(x_TD, up, down, weights_TK, order_N, place_N, counts_E):
    x_ND = x_TD.new_empty(order_N.numel(), x_TD.shape[1])
    hidden_NF = x_TD.new_empty(order_N.numel(), down.shape[2])
    up_N2F = x_TD.new_empty(order_N.numel(), up.shape[1])
    return torch.empty_like(x_TD), x_ND, up_N2F, hidden_NF, torch.empty_like(x_ND)


@experts_backward.register_fake
def _(dout_TD, up, down, weights_TK, *_):
    return torch.empty_like(dout_TD), torch.empty_like(up), torch.empty_like(down), torch.empty_like(weights_TK)


def keep_for_backward(ctx, inputs, output):
    ctx.save_for_backward(*inputs[1:], *output[1:])


def backward(ctx, dout_TD, *_):
    return *experts_backward(dout_TD.contiguous(), *ctx.saved_tensors), None, None, None


experts_forward.register_autograd(backward, setup_context=keep_for_backward)


def loads_of(model, run):
    """Load of the busiest expert in each layer of one forward pass."""
    loads = []
    hooks = [
        each.register_forward_hook(lambda _module, _inputs, out: loads.append(jobs.expert_load(out[2])))
        for each in model.modules()
        if isinstance(each, Router)
    ]
    with torch.no_grad():
        run()
    for hook in hooks:
        hook.remove()
    return loads
