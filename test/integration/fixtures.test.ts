import test, { type ExecutionContext } from 'ava';
import type { HostFloats } from '@troupe/core';
import type { Device, Floats } from '@troupe/kernel-set';
import { loadDevice, openReferenceDevice } from '@troupe/kernels';
import { LocalModel } from '@troupe/model';
import { openFixture, type FixtureName, type ModelFixture } from './model-fixture.ts';

interface Body {
  readonly open: () => Device | Promise<Device>;
  /** Of a tensor's largest value; see test/fixtures/README.md. */
  readonly logits: number;
  /** Fixture tensors other than logits_f64 are float32 themselves. */
  readonly hidden: number;
  readonly gradients: number;
  /** Relative. */
  readonly losses: number;
  /** Absolute, after three steps of AdamW. */
  readonly after3: number;
}

const float32 = { logits: 1e-5, hidden: 1e-5, gradients: 5e-5, losses: 2e-6, after3: 1e-4 };

const bodies: Readonly<Record<string, Body>> = {
  'reference f64': {
    open: () => openReferenceDevice({ dtype: 'f64' }),
    logits: 1e-9,
    hidden: 2e-6,
    gradients: 5e-6,
    losses: 1e-9,
    after3: 2e-5,
  },
  'reference f32': { open: () => openReferenceDevice({ dtype: 'f32' }), ...float32 },
  // The native body, or TensorFlow.js where it is not built.
  "this machine's device": { open: () => loadDevice({ threads: 2 }), ...float32 },
};

function openModel(fixture: ModelFixture, device: Device): LocalModel {
  const { config, sequences } = fixture;
  const model = new LocalModel(device, { config, sequences, grains: sequences });
  for (const name of parametersOf(model)) device.write(model.weights.parameter(name), fixture.weight(name));
  return model;
}

function parametersOf(model: LocalModel): readonly string[] {
  return model.weights.layout.units.flatMap((unit) => unit.parameters.map(({ name }) => name));
}

/** Largest difference, as a share of the largest expected value. */
function difference(found: HostFloats, expected: HostFloats): number {
  const scale = Array.from(expected).reduce((largest, each) => Math.max(largest, Math.abs(each)), 0);
  return apart(found, expected) / (scale === 0 ? 1 : scale);
}

function apart(found: HostFloats, expected: HostFloats): number {
  if (found.length !== expected.length) return Number.POSITIVE_INFINITY;
  return Array.from(found).reduce(
    (largest, each, i) => Math.max(largest, Math.abs(each - (expected[i] ?? Number.NaN))),
    0,
  );
}

function close(t: ExecutionContext, what: string, found: number, tolerance: number): void {
  t.true(found <= tolerance, `${what} differs by ${found}, at most ${tolerance}`);
}

const relative = (found: number, expected: number): number => Math.abs(found - expected) / Math.abs(expected);

for (const name of ['mixtral', 'olmoe', 'qwen3_moe'] as const satisfies readonly FixtureName[]) {
  for (const [bodyName, body] of Object.entries(bodies)) {
    test(`${name} on ${bodyName}: logits, losses, routing and hidden states are those of PyTorch`, async (t) => {
      const fixture = openFixture(name);
      const { expected, config } = fixture;
      const model = openModel(fixture, await body.open());
      const logits = difference(await model.logits(fixture.batch), fixture.tensor('logits_f64'));
      const { loss, auxLoss, total } = await model.lossAndGradients(fixture.batch);
      const aux = expected.coefficients.router_aux_loss_coef * expected.float64.aux_loss;
      t.log(
        `logits ${logits.toExponential(1)}, loss ${relative(total, expected.float64.loss).toExponential(1)}`,
      );
      close(t, 'logits', logits, body.logits);
      close(t, 'cross entropy', relative(loss, expected.float64.cross_entropy), body.losses);
      close(t, 'balance loss', relative(auxLoss, aux), body.losses);
      close(t, 'loss', relative(total, expected.float64.loss), body.losses);

      const act = model.trainingActivations;
      const read: Device['read'] = (array) => model.device.read(array);
      for (let layer = 0; layer < config.layers; layer++) {
        const moe = act.moe(layer);
        t.deepEqual(read(moe.choices_TK), fixture.ints(`router_index.layers.${layer}`));
        t.deepEqual(
          [...read(model.statistics.of(layer).counts_E)],
          expected.rows_per_expert[`layers.${layer}`],
        );
        const at = (kind: string): HostFloats => fixture.tensor(`${kind}.layers.${layer}`);
        close(t, 'router weights', difference(read(moe.weights_TK), at('router_weight')), body.hidden);
        close(t, 'router logits', difference(read(moe.logits_TE), at('router_logits')), body.hidden);
        close(t, 'hidden state', difference(read(act.hidden(layer + 1)), at('hidden')), body.hidden);
      }
      close(
        t,
        'last norm',
        difference(read(act.finalNormed_TD as Floats), fixture.tensor('hidden.norm')),
        body.hidden,
      );
    });

    test(`${name} on ${bodyName}: every gradient is that of PyTorch`, async (t) => {
      const fixture = openFixture(name);
      const model = openModel(fixture, await body.open());
      const { gradients, norm } = await model.lossAndGradients(fixture.batch);
      let largest = 0;
      for (const parameter of parametersOf(model)) {
        const expected = fixture.tensor(`grad.${fixture.savedName(parameter)}`);
        const found = difference(model.device.read(gradients.parameter(parameter)), expected);
        close(t, parameter, found, body.gradients);
        largest = Math.max(largest, found);
      }
      t.log(`${parametersOf(model).length} gradients, largest difference ${largest.toExponential(1)}`);
      close(
        t,
        'norm',
        relative(norm, fixture.expected.grad_norms_before_clip_float64[0] ?? 0),
        body.losses * 10,
      );
    });

    test(`${name} on ${bodyName}: three steps of AdamW end where PyTorch's do`, async (t) => {
      const fixture = openFixture(name);
      const { expected } = fixture;
      const model = openModel(fixture, await body.open());
      for (let step = 0; step < 3; step++) {
        const { total, norm } = await model.lossAndGradients(fixture.batch);
        close(
          t,
          `loss before step ${step + 1}`,
          relative(total, expected.losses_float64[step] ?? 0),
          body.losses * 10,
        );
        // PyTorch divides by norm + 1e-6.
        const clip = norm / (norm + 1e-6);
        const betas = { beta1: 0.9, beta2: 0.999 };
        await model.adamwStep({ learningRate: 1e-3, ...betas, eps: 1e-8, weightDecay: 0.1, clip });
      }
      const last = await model.forward(fixture.batch);
      close(t, 'last loss', relative(last.total, expected.losses_float64[3] ?? 0), body.losses * 10);
      const saved = parametersOf(model).filter((each) => fixture.has(`after3.${fixture.savedName(each)}`));
      let largest = 0;
      for (const parameter of saved) {
        const found = apart(
          model.device.read(model.weights.parameter(parameter)),
          fixture.tensor(`after3.${fixture.savedName(parameter)}`),
        );
        close(t, parameter, found, body.after3);
        largest = Math.max(largest, found);
      }
      t.log(`${saved.length} parameters, largest difference ${largest.toExponential(1)}`);
      t.true(saved.length >= 7);
    });
  }
}
