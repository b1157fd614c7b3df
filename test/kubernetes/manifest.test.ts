import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { keySecret } from 'troupe/launch';
import { objectsOf, problemsOf, troupe, type Printed } from './printed.ts';

const topology = `extends: tiny
name: My_run.2
machines: { count: 3, devices: [cpu:0, 'cpu:1/threads=2'] }
parallel: { dp: 6, ep: 1 }
train: { batch: 12, grains: 12 }
launcher: { kind: kubernetes }
`;

async function printed(...args: readonly string[]): Promise<readonly Printed[]> {
  const cwd = mkdtempSync(join(tmpdir(), 'troupe-kubernetes-'));
  try {
    writeFileSync(join(cwd, 'run.yaml'), topology);
    const line = ['launch', 'run.yaml', '--image', 'registry/troupe:1', '--dry-run', ...args];
    const { code, stdout, stderr } = await troupe(line, { cwd });
    if (code !== 0) throw new Error(stderr);
    return objectsOf(stdout);
  } finally {
    rmSync(cwd, { recursive: true });
  }
}

/** Both forms, printed once. */
const plainly = printed('--claim', 'runs');
const asSet = printed('--jobset', '--namespace', 'research');

const only = (objects: readonly Printed[], kind: string): Printed => {
  const found = objects.filter((each) => each.kind === kind);
  if (found.length !== 1 || found[0] === undefined) throw new Error(`${found.length} objects are a ${kind}`);
  return found[0];
};

test('kubernetes: what is printed is what a cluster takes, as a Job and as a JobSet', async (t) => {
  const [plain, set] = await Promise.all([plainly, asSet]);
  t.deepEqual(
    plain.map(({ kind }) => kind),
    ['ConfigMap', 'Service', 'Job'],
  );
  t.deepEqual(
    set.map(({ kind }) => kind),
    ['ConfigMap', 'JobSet'],
  );
  for (const object of [...plain, ...set]) t.deepEqual(problemsOf(object), [], object.kind);
  for (const { metadata } of set) t.is(metadata.namespace, 'research');
  const secret = keySecret({ name: 'my-run-2', namespace: null }, 'troupe-key-1 x\n');
  t.deepEqual(problemsOf(secret as Printed), []);
  // A line each for what the schema finds: a name, a type, a place.
  const job = only(plain, 'Job');
  const wrong: readonly (readonly [object, string])[] = [
    [{ backoffLimitPerIndx: 3 }, 'spec: Unrecognized key: "backoffLimitPerIndx"'],
    [{ completions: '3' }, 'spec.completions: Invalid input: expected number, received string'],
    [{ subdomain: 'x' }, 'spec: Unrecognized key: "subdomain"'],
  ];
  for (const [fields, sentence] of wrong)
    t.deepEqual(problemsOf({ ...job, spec: { ...job.spec, ...fields } } as Printed), [sentence]);
  const [replicated] = only(set, 'JobSet').spec.replicatedJobs;
  const bad = { ...replicated, template: { spec: { ...replicated?.template.spec, template: { spec: {} } } } };
  t.regex(
    problemsOf({ ...only(set, 'JobSet'), spec: { replicatedJobs: [bad] } } as unknown as Printed).join('\n'),
    /^spec\.replicatedJobs\.0\.template\.spec\.template\.spec\.containers: /u,
  );
});

test('kubernetes: the Job has a pod a machine, whose ends mean what they are', async (t) => {
  const [plain, set] = await Promise.all([plainly, asSet]);
  const job = only(plain, 'Job').spec;
  const inSet = only(set, 'JobSet').spec.replicatedJobs[0]?.template.spec;
  for (const each of [job, inSet])
    t.like(each, {
      completionMode: 'Indexed',
      completions: 3,
      parallelism: 3,
      maxFailedIndexes: 0,
      podReplacementPolicy: 'Failed',
      podFailurePolicy: {
        rules: [
          { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
          {
            action: 'FailJob',
            onExitCodes: { containerName: 'agent', operator: 'In', values: [1, 3, 5] },
          },
        ],
      },
    });
  const pod = job.template.spec;
  const [agent] = pod.containers;
  t.is(pod.subdomain, 'my-run-2');
  t.deepEqual(agent.resources, { requests: { cpu: '3' } });
  // What the agent may take to save, and time to end in.
  const grace = Number(agent.args[agent.args.indexOf('--grace') + 1]);
  t.true(pod.terminationGracePeriodSeconds > grace && grace >= 60);
  t.like(pod, {
    restartPolicy: 'Never',
    securityContext: { runAsNonRoot: true, fsGroup: 1000 },
    containers: [
      {
        securityContext: {
          readOnlyRootFilesystem: true,
          allowPrivilegeEscalation: false,
          capabilities: { drop: ['ALL'] },
        },
      },
    ],
  });
  t.false(/livenessProbe|readinessProbe|startupProbe/u.test(JSON.stringify(plain)));
  t.is(inSet?.template.spec.subdomain, undefined);
  t.true(inSet?.template.spec.containers[0].args.includes('my-run-2-machines-0-0.my-run-2'));
  t.true(agent.args.includes('my-run-2-0.my-run-2'));
  t.deepEqual(
    [pod, inSet?.template.spec].map((each) => each?.volumes.find(({ name }) => name === 'runs')),
    [
      { name: 'runs', persistentVolumeClaim: { claimName: 'runs' } },
      { name: 'runs', emptyDir: {} },
    ],
  );
});
