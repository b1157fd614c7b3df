import test from 'ava';
import { prng } from '@troupe/core';
import { withoutQueue, type Device } from '@troupe/kernel-set';
import { loadDevice, openReferenceDevice } from '@troupe/kernels';
import { expertShape, expertsForward } from '@troupe/model';
import { expertUnit, flatLayout } from '@troupe/spec';
import { connectExperts, serveExperts, type ServeExpertsOptions } from 'troupe';
import { tinyTopology } from './tiny-cluster.ts';

const { model } = tinyTopology({ dp: 1, ep: 1 });
const LAYER = 1;
const dim = model.dModel;

const weightsOf = (name: string): Float32Array => {
  const draws = prng({ seed: 3, purpose: name });
  const size = model.dModel * (model.moe?.dExpert ?? 0);
  return Float32Array.from({ length: size }, (_, index) => draws.uniform(index) - 0.5);
};
const serve = (more: Partial<ServeExpertsOptions> = {}) =>
  serveExperts({ model, layer: LAYER, weights: weightsOf, ...more });

const rows = (count: number, seed: number): Float32Array => {
  const draws = prng({ seed, purpose: 'rows' });
  return Float32Array.from({ length: count * dim }, (_, index) => 2 * draws.uniform(index) - 1);
};

/** One row by one expert, by a call of its own. */
async function alone(device: Device, expert: number, x_D: Float32Array): Promise<Float32Array> {
  const { paddedSize, parameters } = expertUnit(model, LAYER, expert);
  const weights = device.floats(flatLayout([expertUnit(model, LAYER, expert)]).length);
  let at = 0;
  for (const { name, size } of parameters) {
    device.write(weights.subarray(at), weightsOf(name));
    at += size;
  }
  const shape = {
    ...expertShape(model, { layer: LAYER, experts: 1, precision: 'f32' }),
    expertStride: paddedSize,
  };
  const y_ND = device.floats(dim);
  const [x_UD, slots_N, counts_EG] = [
    device.upload(x_D),
    device.upload(Int32Array.of(0)),
    device.upload(Int32Array.of(1)),
  ];
  const source = { x_UD, slots_N, counts_EG, numGrains: 1, y_ND };
  await new Promise<void>((resolve, reject) =>
    device.submit(expertsForward(shape, weights, [source], null), ({ error }) =>
      error === null ? resolve() : reject(error),
    ),
  );
  return Float32Array.from(device.read(y_ND));
}

test('expert service: rows of another program, in any order of experts, give what each gives alone, bit for bit', async (t) => {
  const device = await loadDevice({ threads: 1 });
  const service = await serve({ device, experts: { first: 1, count: 3 } });
  t.deepEqual(
    service.actors().map(({ address, state }) => `${address} ${state}`),
    ['expert/L1/ep0/edp0 loading', 'gate/L1/pp0/dp0 idle'],
  );
  const [one, two] = [
    await connectExperts({ endpoints: service.endpoints }),
    await connectExperts({ endpoints: JSON.parse(JSON.stringify(service.endpoints)) as never }),
  ];
  const questions = [
    { client: one, experts_N: Int32Array.of(2, 0, 2, 1, 0, 0, 2) },
    { client: two, experts_N: Int32Array.of(1) },
    { client: one, experts_N: Int32Array.of() },
    { client: two, experts_N: Int32Array.of(0, 1, 2) },
  ].map((question, index) => ({ ...question, x_ND: rows(question.experts_N.length, index) }));
  const answers = await Promise.all(
    questions.map(({ client, x_ND, experts_N }) => client.forward(x_ND, experts_N)),
  );
  for (const [index, { x_ND, experts_N }] of questions.entries()) {
    t.is(answers[index]?.length, x_ND.length);
    for (const [row, expert] of experts_N.entries()) {
      const at = (from: Float32Array | undefined) => from?.slice(row * dim, (row + 1) * dim);
      const expected = await alone(device, 1 + expert, at(x_ND) ?? new Float32Array());
      t.true(expected.some((value) => Math.abs(value) > 1e-3));
      t.deepEqual(at(answers[index]), expected, `question ${index}, row ${row}`);
    }
  }
  await Promise.all([one.close(), two.close()]);
  await service.close();
  t.is(await service.ended, null);
  await device.close();
});

test('expert service: what is no question is refused, with what is wrong, and the next one is answered', async (t) => {
  const service = await serve();
  const client = await connectExperts({ endpoints: service.endpoints });
  const refused = async (x: unknown, experts: unknown, message: RegExp): Promise<void> => {
    await t.throwsAsync(client.forward(x as Float32Array, experts as Int32Array), {
      code: 'TROUPE_OPTION',
      message,
    });
  };
  await refused(rows(1, 1), Int32Array.of(4), /experts_N\[0\] is 4, expected 0 to 3/);
  await refused(rows(1, 1), Int32Array.of(-1), /experts_N\[0\] is -1/);
  await refused(
    rows(2, 1),
    Int32Array.of(1),
    /x_ND is Float32Array of 32, expected a Float32Array of 16 \(1 rows of 16\)/,
  );
  await refused([1, 2], Int32Array.of(1), /x_ND is a list of 2, expected a Float32Array/);
  await refused(rows(1, 1), [0], /experts_N is a list of 1, expected an Int32Array/);
  t.is((await client.forward(rows(1, 1), Int32Array.of(3))).length, dim);
  await client.close();
  await t.throwsAsync(client.forward(rows(1, 1), Int32Array.of(0)), { code: 'TROUPE_TRANSPORT_CLOSED' });
  await service.close();
});

/** A device that computes nothing before it is told to. */
function heldDevice(): { readonly device: Device; readonly release: () => void } {
  const body = openReferenceDevice({ dtype: 'f32' });
  const held: (() => void)[] = [];
  let isHeld = true;
  return {
    device: {
      ...withoutQueue(body),
      submit: (calls, done) => {
        const run = (): void => body.submit(calls, done);
        if (isHeld) held.push(run);
        else run();
      },
    },
    release: () => {
      isHeld = false;
      for (const run of held.splice(0)) run();
    },
  };
}

test('expert service: SVC-2, one question more than it keeps is refused; ASK-1, the others and those of a service that closes end', async (t) => {
  const { device, release } = heldDevice();
  const service = await serve({ device, capacity: 2 });
  const client = await connectExperts({ endpoints: service.endpoints });
  const asked = [1, 2, 3].map((seed) => client.forward(rows(1, seed), Int32Array.of(0)));
  await t.throwsAsync(client.forward(rows(1, 4), Int32Array.of(0)), {
    code: 'TROUPE_SERVICE_BUSY',
    message: /2 questions wait already/,
  });
  release();
  t.deepEqual(
    (await Promise.all(asked)).map(({ length }) => length),
    [dim, dim, dim],
  );
  await client.close();
  await service.close();

  const again = heldDevice();
  const closing = await serve({ device: again.device });
  const left = await connectExperts({ endpoints: closing.endpoints });
  const open = left.forward(rows(1, 1), Int32Array.of(0));
  const second = await connectExperts({ endpoints: closing.endpoints, deadlineMs: 50 });
  await t.throwsAsync(second.forward(rows(1, 1), Int32Array.of(0)), { code: 'TROUPE_DEADLINE' });
  await Promise.all([
    t.throwsAsync(open, {
      code: 'TROUPE_TRANSPORT_PEER_LOST',
      message: /the service at tcp:.* was (?:closed|lost)/,
    }),
    closing.close(),
  ]);
  await Promise.all([left.close(), second.close()]);
  again.release();
});

test('expert service: what cannot be served is refused before anything is opened', async (t) => {
  const refused = (more: object, message: RegExp) =>
    t.throwsAsync(serve(more), { code: 'TROUPE_OPTION', message });
  await refused({ layer: 7 }, /layer is 7, layers with experts are 0, 1/);
  await refused({ layer: 0.5, capacity: 0 }, /layer is 0\.5.*capacity is 0/);
  await refused({ experts: { first: 2, count: 3 } }, /experts 2 to 4 of 4/);
  await refused(
    { weights: () => new Float32Array(3) },
    /weights gave 3 elements of model\.layers\.1\.mlp\.experts\.0\./,
  );
  await refused({ weights: () => undefined }, /weights gave no elements of/);
  await refused({ layr: 1 }, /there is no option layr; did you mean layer\?/);
  await t.throwsAsync(connectExperts({ endpoints: 'tcp://127.0.0.1:1' } as never), { code: 'TROUPE_OPTION' });
  const elsewhere = { kind: 'tcp', host: '0.0.0.0' } as const;
  await t.throwsAsync(serve({ listen: elsewhere }), { code: 'TROUPE_TRANSPORT_INSECURE' });
});
