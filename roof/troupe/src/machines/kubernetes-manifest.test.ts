import test from 'ava';
import { keySecret, kubernetesManifest, kubernetesName, type KubernetesRun } from './kubernetes-manifest.ts';

const run: KubernetesRun = {
  name: 'small',
  namespace: null,
  image: 'troupe:1',
  machines: 2,
  cpus: 4,
  checkpointBytes: 1e9,
  claim: null,
  runFolder: '/troupe/small',
  further: ['--stop-after', '4'],
  topology: 'name: small\n',
  isJobSet: false,
};

test('kubernetes: names are those that objects may have', (t) => {
  for (const [name, expected] of [
    ['quickstart', 'quickstart'],
    ['My_run.2', 'my-run-2'],
    ['7b', 'troupe-7b'],
    ['a..', 'a'],
    [`${'x'.repeat(39)}.y`, 'x'.repeat(39)],
  ] as const)
    t.is(kubernetesName(name), expected);
});

test('kubernetes: without a claim the manifest warns, and a checkpoint decides how long a pod may take to end', (t) => {
  const text = (over: Partial<KubernetesRun>): string =>
    JSON.stringify(kubernetesManifest({ ...run, ...over }));
  t.regex(text({}), /WARNING: no --claim, so the run folder ends with the pod of machine 0/u);
  t.notRegex(text({ claim: 'runs' }), /WARNING/u);
  t.regex(text({}), /"terminationGracePeriodSeconds":130/u);
  t.regex(text({ checkpointBytes: 100e9 }), /"terminationGracePeriodSeconds":1120/u);
  t.regex(text({}), /"--grace","70","--stop-after","4"/u);
});

test('kubernetes: the Secret alone holds the key, and the rest names its file', (t) => {
  const key = 'troupe-key-1 abc\n';
  t.like(keySecret(run, key), { metadata: { name: 'small-key' }, stringData: { 'run.key': key } });
  const objects = JSON.stringify(kubernetesManifest(run));
  t.notRegex(objects, /troupe-key-1/u);
  t.regex(objects, /"name":"TROUPE_KEY_FILE","value":"\/etc\/troupe-key\/run.key"/u);
  t.regex(objects, /"secretName":"small-key","defaultMode":256/u);
});
