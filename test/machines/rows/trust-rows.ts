import { deepStrictEqual, ok } from 'node:assert/strict';
import { serveExperts, connectExperts } from 'troupe';
import { Capture } from '../lab/capture.ts';
import { spoken } from '../lab/spoken.ts';
import { Talk } from '../lab/talk.ts';
import { LAYER, question, servedModel, weightsOf } from '../programs/served-model.ts';
import { sharedPair } from '../programs/x25519-pair.ts';
import { nodesOf } from './nodes.ts';
import { milliseconds, type Row } from './row.ts';

/** What is in a packet, in its header, and in the first message of a session. */
const secrets = ['TENSOR-OF-TROUPE', 'trip', 'incarnation'] as const;
const PLAIN_PORT = 7000;

/** How many frames hold each text. */
const sightings = (frames: readonly Buffer[], texts: readonly string[]): readonly number[] =>
  texts.map((text) => frames.filter((frame) => frame.includes(text)).length);

const listener = `require('net').createServer((s) => s.resume()).listen(${PLAIN_PORT}, () => console.log('up'))`;

export const trustRows: readonly Row[] = [
  {
    name: 'what passes between two machines is not read',
    lab: { machines: 2, ssh: false },
    play: async (lab) => {
      const capture = await Capture.open(lab);
      const nodes = await nodesOf(lab);
      nodes.a.tell({ trips: { to: 'b', count: 50, bytes: 100_000, text: secrets[0] } });
      await nodes.a.answer('trips');
      nodes.end();
      // The same text in clear, so that a capture that sees nothing is noticed.
      const plain = lab.at(1).start([process.execPath, '-e', listener]);
      await spoken(plain.stdout, 'up');
      const sentence = secrets.join(' ');
      await lab.at(0).run(['bash', '-c', `echo ${sentence} > /dev/tcp/h1/${PLAIN_PORT}`]);
      ok(await capture.saw(sentence), 'the capture sees what is in clear');
      plain.kill('SIGKILL');
      await capture.end();
      const { frames } = capture;
      const bytes = frames.reduce((sum, frame) => sum + frame.length, 0);
      // Each frame of the plain message passes two cards of the room and its bridge.
      const inClear = frames.filter((frame) => frame.includes(sentence)).length;
      ok(bytes > 2 * 50 * 100_000, `${frames.length} frames of ${bytes} bytes`);
      deepStrictEqual(
        sightings(frames, secrets),
        secrets.map(() => inClear),
      );
      return `${frames.length} frames, ${(bytes / 1e6).toFixed(0)} MB: none holds tensors, headers or hellos in clear (the same text without keys: ${inClear})`;
    },
  },
  {
    name: 'experts on one machine, asked by another',
    lab: { machines: 2, ssh: false },
    play: async (lab) => {
      const curve = sharedPair();
      const [served, asker] = [new Talk(lab.at(0), 'experts'), new Talk(lab.at(1), 'asker')];
      served.tell({ host: lab.at(0).address, curve });
      const { line } = await served.answer('endpoints');
      asker.tell({ endpoints: line['endpoints'], host: lab.at(1).address, curve, questions: 200 });
      const answer = (await asker.answer('outputs', { limitMs: 60_000 })).line;
      const service = await serveExperts({ model: servedModel(), layer: LAYER, weights: weightsOf });
      const client = await connectExperts({ endpoints: service.endpoints });
      const { dim, experts } = service.endpoints;
      const expected = [...(await client.forward(...question(dim, experts)))];
      await client.close();
      await service.close();
      ok(expected.some((value) => Math.abs(value) > 1e-3));
      deepStrictEqual(answer['outputs'], expected);
      for (const talk of [asker, served]) talk.end();
      return `${expected.length} outputs equal those of this process, bit for bit; ${milliseconds(Number(answer['eachMs']))} a question`;
    },
  },
];
