"""Times single operations in PyTorch, at the sizes of kernel-cases.ts, one whenever its name comes on standard input.

Every operation is run as often as it is asked for, so that the bench can take turns between this process and its own.
"""

import argparse
import sys
import time

import torch
import torch.nn.functional as F

B, S, D, HIDDEN, EXPERTS, TOPK, VOCAB, HEADS = 32, 128, 256, 512, 16, 2, 8192, 4
T, N = B * S, B * S * TOPK
WEIGHTS = 8 * 2**20


def backward_of(forward, *inputs):
    """Runs the forward pass untimed, and gives what is timed: its backward pass to all inputs."""
    out = forward(*inputs)
    grad = torch.randn_like(out)
    return lambda: torch.autograd.grad(out, inputs, grad)


def operations(dtype):
    """name: what makes ready, untimed, and returns what is timed."""

    def draw(*shape, grad=False):
        return torch.randn(*shape).to(dtype).mul_(0.1).requires_grad_(grad)

    x, weight, wide = draw(T, D), draw(2 * HIDDEN, D), draw(T, 2 * HIDDEN)
    q, k, v = (draw(B, HEADS, S, D // HEADS, grad=True) for _ in range(3))
    rows, up, down = draw(N, D, grad=True), draw(EXPERTS, D, 2 * HIDDEN, grad=True), draw(EXPERTS, HIDDEN, D, grad=True)
    ends = torch.arange(1, EXPERTS + 1, dtype=torch.int32) * (N // EXPERTS)
    head_x, head, targets = draw(T, D, grad=True), draw(VOCAB, D, grad=True), torch.randint(VOCAB, (T,))

    def attention(q, k, v):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)

    def experts(rows, up, down):
        gate, value = F.grouped_mm(rows, up, offs=ends).chunk(2, -1)
        return F.grouped_mm(F.silu(gate) * value, down, offs=ends)

    def head_loss():
        loss = F.cross_entropy(F.linear(head_x, head).float(), targets)
        torch.autograd.grad(loss, (head_x, head))

    def without_grad(run):
        return lambda: torch.no_grad()(run)

    ready = {
        "linear.forward": without_grad(lambda: F.linear(x, weight)),
        "linear.backward.weight": without_grad(lambda: wide.t() @ x),
        "attention.forward": without_grad(lambda: attention(q, k, v)),
        "attention.backward": lambda: backward_of(attention, q, k, v),
        "experts.forward": without_grad(lambda: experts(rows, up, down)),
        "experts.backward": lambda: backward_of(experts, rows, up, down),
        "head.loss": lambda: head_loss,
    }
    if dtype == torch.float32:
        parameter = torch.nn.Parameter(draw(WEIGHTS))
        parameter.grad = draw(WEIGHTS)
        optimizer = torch.optim.AdamW([parameter], lr=3e-4, fused=True)
        ready["adamw"] = lambda: optimizer.step
    return ready


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    ready = operations(torch.float32 if arguments.precision == "f32" else torch.bfloat16)
    for line in sys.stdin:
        run = ready[line.strip()]()
        start = time.perf_counter()
        run()
        print((time.perf_counter() - start) * 1000, flush=True)


main()
