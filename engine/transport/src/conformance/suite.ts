import type { ExecutionContext, TestFn } from 'ava';
import { nodeId, type Packet } from '@troupe/core';
import { packetBytes } from '../index.ts';
import type { MakeNetwork, TestNetwork, TestNetworkOptions } from './network.ts';
import { ManualClock, Probe } from './probe.ts';

const mebibyte = 1024 * 1024;

/**
 * What every transport does, whatever carries the bytes: the one suite that each body of the port passes.
 *
 * @param test - ava's test function; titles start with `name`
 * @param make - builds an empty network of the body
 */
export function transportConformance(test: TestFn, name: string, make: MakeNetwork): void {
  const check = (
    title: string,
    run: (t: ExecutionContext, network: TestNetwork) => Promise<void>,
    options?: TestNetworkOptions,
  ): void => {
    test.serial(`${name}: ${title}`, async (t) => {
      const network = await make(options);
      try {
        await run(t, network);
      } finally {
        await network.end();
      }
    });
  };
  const pair = async (network: TestNetwork): Promise<[Probe, Probe]> => [
    new Probe(await network.connect('a')),
    new Probe(await network.connect('b')),
  ];

  check('packets arrive whole and in order on each lane', async (t, network) => {
    const [a, b] = await pair(network);
    const frame = (index: number, length: number): Uint8Array => new Uint8Array(length).fill(index);
    for (let index = 0; index < 200; index++) {
      a.send('b', 'data', `data ${index}`, [frame(index, index * 300), frame(index, 0), frame(index + 1, 7)]);
      a.send('b', 'control', `control ${index}`);
    }
    await b.until(() => b.arrivals.length === 400);
    for (const lane of ['data', 'control'] as const) {
      t.deepEqual(
        b.texts(lane),
        Array.from({ length: 200 }, (_, index) => `${lane} ${index}`),
      );
    }
    b.arrivals
      .filter(({ lane }) => lane === 'data')
      .forEach(({ packet, from }, index) => {
        t.is(from, nodeId('a'));
        t.deepEqual(
          packet.frames.map((bytes) => bytes.byteLength),
          [index * 300, 0, 7],
        );
        t.true(packet.frames[0]!.every((byte) => byte === index % 256));
      });
    await a.until(() => a.outcomes.length === 400);
    t.true(a.outcomes.every(({ code }) => code === null));
    t.is(a.transport.queuedBytes(nodeId('b')), 0);
    t.is(a.transport.stats().messagesSent, 400);
    t.is(b.transport.stats().messagesReceived, 400);
    t.is(a.transport.stats().bytesSent, b.transport.stats().bytesReceived);
    t.deepEqual([a.eventLines(), b.eventLines()], [['peer.up b 1'], ['peer.up a 1']]);
  });

  check('both sides that call each other at once get one link', async (t, network) => {
    const [a, b] = await pair(network);
    a.send('b', 'control', 'from a');
    b.send('a', 'control', 'from b');
    await Promise.all([a.until(() => a.arrivals.length === 1), b.until(() => b.arrivals.length === 1)]);
    t.deepEqual([a.texts(), b.texts()], [['from b'], ['from a']]);
    t.deepEqual([a.eventLines(), b.eventLines()], [['peer.up b 1'], ['peer.up a 1']]);
  });

  check('100,000 small messages arrive in order', async (t, network) => {
    const [a, b] = await pair(network);
    let numArrived = 0;
    let numWrong = 0;
    b.take = ({ packet, release }) => {
      const view = new DataView(packet.header.buffer, packet.header.byteOffset);
      if (view.getUint32(0) !== numArrived++) numWrong++;
      release();
    };
    for (let index = 0; index < 100_000; index++) {
      const header = new Uint8Array(64);
      new DataView(header.buffer).setUint32(0, index);
      a.transport.send(nodeId('b'), 'data', { header, frames: [] });
    }
    await b.until(() => numArrived === 100_000);
    t.is(numWrong, 0);
  });

  check('frames of 64 MiB pass through a window of 64 MiB', async (t, network) => {
    const [a, b] = await pair(network);
    const frames = [1, 2, 3].map((fill) => new Uint8Array(64 * mebibyte).fill(fill));
    for (const frame of frames) a.send('b', 'data', 'large', [frame]);
    const seen: boolean[] = [];
    b.take = ({ packet, release }) => {
      seen.push(Buffer.compare(packet.frames[0]!, frames[seen.length]!) === 0);
      release();
    };
    await a.until(() => a.outcomes.length === 3);
    t.deepEqual(seen, [true, true, true]);
  });

  check(
    'a slow receiver bounds what is on the way, and control still passes',
    async (t, network) => {
      const [a, b] = await pair(network);
      const windowBytes = 4 * mebibyte;
      const numFrames = 192;
      const packet: Packet = { header: new Uint8Array(100), frames: [new Uint8Array(2 * mebibyte)] };
      const held: (() => void)[] = [];
      let numTaken = 0;
      b.take = ({ lane, release }) => {
        if (lane === 'data') held.push(release);
        else {
          b.transport.send(nodeId('a'), 'control', { header: new Uint8Array(1), frames: [] });
          release();
        }
      };
      const before = process.memoryUsage().rss;
      for (let index = 0; index < numFrames; index++) {
        a.transport.send(nodeId('b'), 'data', packet, (error) => {
          t.is(error, null);
          numTaken++;
          a.notice();
        });
      }
      for (let trip = 1; trip <= 200; trip++) {
        a.send('b', 'control', 'are you there');
        await a.until(() => a.arrivals.length === trip);
      }
      // 384 MiB were sent; while nothing is released only what the window admits has left the sender.
      const grownBytes = process.memoryUsage().rss - before;
      t.true(
        held.length >= 1 && held.length * packetBytes(packet) <= windowBytes,
        `${held.length} packets held`,
      );
      t.is(numTaken, 0);
      t.is(a.transport.queuedBytes(nodeId('b')), numFrames * packetBytes(packet));
      t.true(grownBytes < 128 * mebibyte, `grew by ${grownBytes} bytes`);
      t.log(`grew by ${(grownBytes / mebibyte).toFixed(1)} MiB`);
      let numReleased = 0;
      while (numReleased < numFrames) {
        await b.until(() => held.length > 0);
        t.true(held.length * packetBytes(packet) <= windowBytes);
        t.true(numTaken <= numReleased);
        held.shift()!();
        numReleased++;
      }
      await a.until(() => numTaken === numFrames);
      t.is(a.transport.queuedBytes(nodeId('b')), 0);
    },
    { creditBytes: { control: mebibyte, data: 4 * mebibyte } },
  );

  check(
    'a packet larger than the window enters an empty one',
    async (t, network) => {
      const [a, b] = await pair(network);
      for (const text of ['1', '2', '3']) a.send('b', 'data', text, [new Uint8Array(50_000)]);
      await a.until(() => a.outcomes.length === 3);
      t.deepEqual(b.texts(), ['1', '2', '3']);
    },
    { creditBytes: { control: 1000, data: 1000 } },
  );

  check('packets may be released in any order, once', async (t, network) => {
    const [a, b] = await pair(network);
    const held: (() => void)[] = [];
    b.take = ({ release }) => held.push(release);
    for (let index = 0; index < 6; index++) a.send('b', 'data', `${index}`);
    await b.until(() => held.length === 6);
    for (const index of [4, 2, 2, 5]) held[index]!();
    await a.until(() => a.outcomes.length === 3);
    for (const index of [0, 4, 1, 3]) held[index]!();
    await a.until(() => a.outcomes.length === 6);
    t.deepEqual(
      a.outcomes.map(({ index }) => index).sort((x, y) => x - y),
      [0, 1, 2, 3, 4, 5],
    );
    t.true(a.outcomes.every(({ code }) => code === null));
  });

  check('what arrives before the receiver is set is kept', async (t, network) => {
    const a = new Probe(await network.connect('a'));
    const late = await network.connect('b');
    a.send('b', 'control', 'early');
    await a.until(() => a.events.length === 1);
    const b = new Probe(late);
    await b.until(() => b.arrivals.length === 1);
    t.deepEqual(b.texts(), ['early']);
    t.deepEqual(b.eventLines(), ['peer.up a 1']);
  });

  check('a peer that dies is lost, and what it had not taken fails', async (t, network) => {
    const a = new Probe(await network.connect('a'));
    const b = await network.spawn('b', 1);
    a.send('b', 'data', 'echo');
    await a.until(() => a.arrivals.length === 1 && a.outcomes.length === 1);
    b.kill();
    for (let index = 0; index < 5; index++) a.send('b', 'data', 'too late', [new Uint8Array(20_000)]);
    await a.until(() => a.outcomes.length === 6);
    t.deepEqual(a.eventLines(), ['peer.up b 1', 'peer.lost b 1']);
    t.deepEqual(
      new Set(a.outcomes.slice(1).map(({ code }) => code)),
      new Set(['TROUPE_TRANSPORT_PEER_LOST']),
    );
    t.is(a.transport.queuedBytes(nodeId('b')), 0);
  });

  check(
    'a peer that comes back under a higher incarnation gets what was queued for it',
    async (t, network) => {
      const a = new Probe(await network.connect('a'));
      const first = await network.spawn('b', 1);
      a.send('b', 'control', 'to the first life');
      await a.until(() => a.arrivals.length === 1);
      first.kill();
      await a.until(() => a.events.length === 2);
      a.send('b', 'control', 'to the second life');
      await network.spawn('b', 2);
      await a.until(() => a.texts().includes('to the second life'));
      t.deepEqual(a.eventLines(), ['peer.up b 1', 'peer.lost b 1', 'peer.up b 2']);
    },
  );

  check('a higher incarnation replaces a lower one, which is heard no more', async (t, network) => {
    const a = new Probe(await network.connect('a'));
    const zombie = new Probe(await network.connect('b', 1));
    zombie.send('a', 'data', 'alive');
    await a.until(() => a.arrivals.length === 1);
    const b = new Probe(await network.connect('b', 2));
    b.send('a', 'data', 'new life');
    await a.until(() => a.arrivals.length === 2);
    const refusedBefore = a.transport.stats().packetsRefused;
    zombie.send('a', 'data', 'I am not dead');
    for (let trip = 0; a.transport.stats().packetsRefused === refusedBefore; trip++) {
      b.send('a', 'control', 'trip');
      await a.until(() => a.texts('control').length > trip);
    }
    t.deepEqual(a.texts('data'), ['alive', 'new life']);
    t.deepEqual(a.eventLines(), ['peer.up b 1', 'peer.lost b 1', 'peer.up b 2']);
    t.true(
      a.events.some((event) => event.type === 'peer.lost' && event.reason === 'replaced by incarnation 2'),
    );
  });

  check('a life that begins below the known incarnation is never heard', async (t, network) => {
    const a = new Probe(await network.connect('a'));
    const b = new Probe(await network.connect('b', 5));
    b.send('a', 'data', 'five');
    await a.until(() => a.arrivals.length === 1);
    const stale = new Probe(await network.connect('b', 4));
    stale.send('a', 'data', 'four');
    for (let trip = 0; a.transport.stats().packetsRefused === 0; trip++) {
      b.send('a', 'control', 'trip');
      await a.until(() => a.texts('control').length > trip);
    }
    t.deepEqual(a.texts('data'), ['five']);
    t.deepEqual(a.eventLines(), ['peer.up b 5']);
  });

  check(
    'what exceeds a limit is refused before it is queued',
    async (t, network) => {
      const [a, b] = await pair(network);
      const refused = (packet: Packet): void => {
        t.throws(() => a.transport.send(nodeId('b'), 'data', packet), { code: 'TROUPE_TRANSPORT_OVERSIZE' });
      };
      refused({ header: new Uint8Array(1), frames: [new Uint8Array(10_001)] });
      refused({ header: new Uint8Array(64 * 1024 + 1), frames: [] });
      refused({ header: new Uint8Array(1), frames: Array.from({ length: 257 }, () => new Uint8Array(1)) });
      a.send('b', 'data', 'fits', [new Uint8Array(10_000)]);
      await b.until(() => b.arrivals.length === 1);
      t.is(b.transport.stats().packetsRefused, 0);
    },
    { maxFrameBytes: 10_000 },
  );

  check('a node that nobody knows is refused', async (t, network) => {
    const a = await network.connect('a');
    const packet: Packet = { header: new Uint8Array(1), frames: [] };
    t.throws(() => a.send(nodeId('nobody'), 'data', packet), { code: 'TROUPE_TRANSPORT_UNKNOWN_PEER' });
    t.is(a.queuedBytes(nodeId('nobody')), 0);
  });

  check('a close lets what is queued leave, then says goodbye', async (t, network) => {
    const [a, b] = await pair(network);
    for (let index = 0; index < 1000; index++) a.send('b', 'data', `${index}`, [new Uint8Array(5000)]);
    await a.transport.close(60_000);
    await b.until(() => b.events.length === 2);
    t.is(b.arrivals.length, 1000);
    t.deepEqual(b.eventLines(), ['peer.up a 1', 'peer.goodbye a 1']);
    t.is(a.outcomes.length, 1000);
    t.throws(() => a.send('b', 'data', 'after'), { code: 'TROUPE_TRANSPORT_CLOSED' });
    await a.transport.close(0);
  });

  const clock = new ManualClock();
  check(
    'a close with a receiver that takes nothing ends at its deadline',
    async (t, network) => {
      const [a, b] = await pair(network);
      const held: (() => void)[] = [];
      b.take = ({ lane, release }) => (lane === 'data' ? held.push(release) : release());
      for (let index = 0; index < 10; index++) a.send('b', 'data', `${index}`, [new Uint8Array(60_000)]);
      await b.until(() => held.length === 1);
      let closed = false;
      const closing = (async () => {
        await a.transport.close(1000);
        closed = true;
      })();
      for (let trip = 1; trip <= 20; trip++) {
        b.send('a', 'control', 'trip');
        await a.until(() => a.arrivals.length === trip);
      }
      clock.advance(999);
      t.false(closed);
      clock.advance(1);
      await closing;
      t.is(held.length, 1);
      t.is(a.outcomes.length, 10);
      t.true(a.outcomes.every(({ code }) => code === 'TROUPE_TRANSPORT_CLOSED'));
    },
    { clock, creditBytes: { control: 100_000, data: 100_000 } },
  );

  check('both may close at once', async (t, network) => {
    const [a, b] = await pair(network);
    a.send('b', 'data', 'one');
    b.send('a', 'data', 'two');
    await Promise.all([a.until(() => a.arrivals.length === 1), b.until(() => b.arrivals.length === 1)]);
    await Promise.all([a.transport.close(60_000), b.transport.close(60_000)]);
    t.pass();
  });
}
