"""The language model around the experts: pre-norm blocks, rotary attention, untied embedding and head, no biases."""

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, job, experts):
        super().__init__()
        self.heads = job.heads
        self.attention_norm = nn.RMSNorm(job.dModel, eps=job.normEps)
        self.experts_norm = nn.RMSNorm(job.dModel, eps=job.normEps)
        self.qkv = nn.Linear(job.dModel, 3 * job.dModel, bias=False)
        self.out = nn.Linear(job.dModel, job.dModel, bias=False)
        self.experts = experts

    def load(self, start, prefix):
        self.attention_norm.weight.copy_(start.read(prefix + "input_layernorm.weight"))
        self.experts_norm.weight.copy_(start.read(prefix + "post_attention_layernorm.weight"))
        self.qkv.weight.copy_(torch.cat([start.read(prefix + f"self_attn.{part}_proj.weight") for part in "qkv"]))
        self.out.weight.copy_(start.read(prefix + "self_attn.o_proj.weight"))
        self.experts.load(start, prefix + "mlp.")

    def forward(self, x_BSD, rotate):
        batch, seq, dim = x_BSD.shape
        qkv = self.qkv(self.attention_norm(x_BSD)).view(batch, seq, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        heads = F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True)
        x_BSD = x_BSD + self.out(heads.transpose(1, 2).reshape(batch, seq, dim))
        y_TD, balance = self.experts(self.experts_norm(x_BSD).reshape(batch * seq, dim))
        return x_BSD + y_TD.view_as(x_BSD), balance


class LanguageModel(nn.Module):
    """`forward` gives the loss to differentiate and the cross entropy alone.

    chunked_head: head and cross entropy in blocks of tokens, without a (T, V) buffer.
    """

    def __init__(self, job, make_experts, chunked_head=False):
        super().__init__()
        self.aux_loss, self.chunked_head = job.auxLoss, chunked_head
        self.embed = nn.Embedding(job.vocab, job.dModel)
        self.blocks = nn.ModuleList(Block(job, make_experts(job)) for _ in range(job.layers))
        self.norm = nn.RMSNorm(job.dModel, eps=job.normEps)
        self.head = nn.Linear(job.dModel, job.vocab, bias=False)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.02)
        width = job.dModel // job.heads
        frequencies = job.ropeTheta ** (-torch.arange(0, width, 2) / width)
        angles = torch.outer(torch.arange(job.seqLen), frequencies)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    @torch.no_grad()
    def load(self, start):
        """Takes every parameter from a file of the bench (`job.Start`)."""
        self.embed.weight.copy_(start.read("model.embed_tokens.weight"))
        for layer, block in enumerate(self.blocks):
            block.load(start, f"model.layers.{layer}.")
        self.norm.weight.copy_(start.read("model.norm.weight"))
        self.head.weight.copy_(start.read("lm_head.weight"))

    def rotate(self, x_BHSd):
        a, b = x_BHSd.chunk(2, -1)
        return torch.cat((a * self.cos - b * self.sin, b * self.cos + a * self.sin), -1).to(x_BHSd.dtype)

    def forward(self, tokens_BS):
        """tokens_BS: one more position than the model sees, the last one only a target."""
        x_BSD, balance = self.embed(tokens_BS[:, :-1]), 0.0
        for block in self.blocks:
            x_BSD, of_block = block(x_BSD, self.rotate)
            balance = balance + of_block
        x_TD, targets_T = self.norm(x_BSD).flatten(0, 1), tokens_BS[:, 1:].flatten()
        if self.chunked_head:
            dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x_TD.dtype
            loss = ChunkedHead.apply(x_TD.to(dtype), self.head.weight.to(dtype), targets_T)
        else:
            loss = F.cross_entropy(self.head(x_TD).float(), targets_T)
        return loss + self.aux_loss * balance / len(self.blocks), loss


class ChunkedHead(torch.autograd.Function):
    """Mean cross entropy of head products, 512 tokens at a time; the gradients come out of the forward pass."""

    @staticmethod
    def forward(ctx, x_TD, head_VD, targets_T):
        dx_TD, dhead_VD = torch.empty_like(x_TD), torch.zeros_like(head_VD)
        total = torch.zeros((), dtype=torch.float32)
        for x, dx, targets in zip(x_TD.split(512), dx_TD.split(512), targets_T.split(512)):
            logits = torch.mm(x, head_VD.t()).float()
            total += F.cross_entropy(logits, targets, reduction="sum")
            dlogits = logits.softmax(-1)
            dlogits[torch.arange(len(targets)), targets] -= 1.0
            dlogits = dlogits.div_(len(targets_T)).to(x.dtype)
            torch.mm(dlogits, head_VD, out=dx)
            dhead_VD.addmm_(dlogits.t(), x)
        ctx.save_for_backward(dx_TD, dhead_VD)
        return total / len(targets_T)

    @staticmethod
    def backward(ctx, scale):
        dx_TD, dhead_VD = ctx.saved_tensors
        return dx_TD.mul_(scale), dhead_VD.mul_(scale), None
