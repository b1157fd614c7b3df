import { LOSS_QUANTUM_LOG2, type Floats, type KernelCall } from '@troupe/kernel-set';
import { wideNumber } from '@troupe/core';
import { compute, type ConformanceBody, type Test } from './body.ts';
import { floatsOf, intsOf } from './device-values.ts';

/** Of one token with these logits, target 0 and smoothing 0.1, as PyTorch has it; fairseq's loss would be 0.64019. */
const LOGITS = [2, 1, 0, -1];
const EXPECTED = { loss: 0.5901897, nll: 0.4401897, gradient: [-0.281086, 0.211883, 0.062144, 0.007059] };
const TOLERANCE = 1e-6;

/** A smoothed loss by `head.loss` and by parts of the vocabulary. */
export function conformHead(test: Test, body: ConformanceBody): void {
  test(`${body.name} head: a smoothed loss, its gradient and the plain loss beside it are those of PyTorch, whole and by parts`, async (t) => {
    const device = await body.open();
    const vocab = LOGITS.length;
    const head_VD = floatsOf(device, LOGITS);
    // Twice the token, so that the sums are over two of them, and one that is ignored.
    const rows = {
      tokens: 3,
      dim: 1,
      x_TD: floatsOf(device, [1, 1, 1]),
      targets_T: intsOf(device, [0, -1, 0]),
      grainStarts: intsOf(device, [0, 3]),
    };
    const check = (
      name: string,
      loss_T: Floats,
      sums: readonly number[],
      gradient: readonly number[],
    ): void => {
      const { loss, nll } = EXPECTED;
      const near = (what: string, found: ArrayLike<number>, expected: readonly number[]): void =>
        expected.forEach((value, i) =>
          t.true(
            Math.abs(found[i]! - value) < TOLERANCE,
            `${name} ${what} ${i}: ${found[i]}, expected ${value}`,
          ),
        );
      near('loss', device.read(loss_T), [loss, 0, loss]);
      near('sums', sums, [2 * loss, 2 * nll]);
      near('gradient', gradient, EXPECTED.gradient);
    };
    const sums = () => ({ loss_T: device.floats(3), lossSum: device.int64s(2), nllSum: device.int64s(2) });
    const read = ({ lossSum, nllSum }: ReturnType<typeof sums>): number[] =>
      [lossSum, nllSum].map((sum) => wideNumber(device.read(sum), LOSS_QUANTUM_LOG2));
    const gradients = (count: number) => ({
      dx_TD: device.floats(3),
      headSum: { gradient: device.floats(count), overflow: device.ints(1) },
    });
    const smoothed = { smoothing: 0.1, gradScale: 0.5 };
    const [whole, wholeGradients] = [sums(), gradients(vocab)];
    await compute(device, [
      { op: 'head.loss', ...rows, vocab, head_VD, ...whole, ...smoothed, ...wholeGradients },
    ]);
    check('whole', whole.loss_T, read(whole), [...device.read(wholeGradients.headSum.gradient)]);
    for (const count of [1, 2, 4]) {
      const words = vocab / count;
      const parts = Array.from({ length: count }, (_, part) => ({
        firstVocab: part * words,
        vocab: words,
        head_VD: head_VD.subarray(part * words, (part + 1) * words),
        sums: {
          max_T: device.floats(3),
          sum_T: device.floats(3),
          logit_T: device.floats(3),
          logitSum_T: device.floats(3),
        },
        gradients: gradients(words),
      }));
      const [joined, lse_T] = [sums(), device.floats(3)];
      const { tokens, targets_T, grainStarts } = rows;
      await compute(device, [
        ...parts.map((part): KernelCall => ({ op: 'head.partial', ...rows, ...of(part), ...part.sums })),
        {
          op: 'head.join',
          tokens,
          targets_T,
          grainStarts,
          parts: parts.map((part) => ({ firstVocab: part.firstVocab, vocab: words, ...part.sums })),
          smoothing: 0.1,
          lse_T,
          ...joined,
        },
        ...parts.map((part): KernelCall => ({
          op: 'head.finish',
          ...rows,
          ...of(part),
          lse_T,
          ...smoothed,
          fullVocab: vocab,
          ...part.gradients,
        })),
      ]);
      const gradient = parts.flatMap((part) => [...device.read(part.gradients.headSum.gradient)]);
      check(`${count} parts`, joined.loss_T, read(joined), gradient);
    }
    await device.close();
  });
}

interface Words {
  readonly firstVocab: number;
  readonly vocab: number;
  readonly head_VD: Floats;
}
const of = ({ firstVocab, vocab, head_VD }: Words): Words => ({ firstVocab, vocab, head_VD });
