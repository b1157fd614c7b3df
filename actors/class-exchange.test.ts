import test from 'ava';
import { exchangeLevels, type FlatLayout } from '@troupe/spec';
import { ClassExchange } from './class-exchange.ts';
import { classPeers, type Job } from './job.ts';

test('class exchange: the others of all levels are holders of the same parameters, by replica', (t) => {
  const [dp, ep] = [16, 4];
  const levels = (count: number) => exchangeLevels(count, { perMachine: 1, fanout: 2 });
  const job = { dp, ep, exchange: { dense: levels(dp), expert: levels(dp / ep) } } as Job;
  for (const parameterClass of ['dense', 'expert'] as const) {
    for (const own of [0, 5, 15]) {
      const among = new ClassExchange(job, own, parameterClass, { length: 65_536 } as FlatLayout);
      const peers = classPeers(job, parameterClass, own);
      const { numLevels } = among.exchange;
      t.is(2 ** numLevels, peers.length);
      for (let level = 0; level < numLevels; level++) {
        const [other, ...more] = among.others(level);
        t.is(more.length, 0);
        t.is(peers.indexOf(other?.dp ?? -1) ^ peers.indexOf(own), 2 ** level);
      }
    }
  }
});
