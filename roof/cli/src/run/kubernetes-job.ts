import { posix } from 'node:path';
import { formatYaml, type ResolvedTopology } from '@troupe/topology';
import { newRunKey } from 'troupe/dial';
import { keySecret, kubernetesManifest, kubernetesName, runsFolder, type KubernetesRun } from 'troupe/launch';
import { UsageError } from '../errors.ts';
import { print, printJson } from '../output.ts';
import { checkpointBytes, mostThreads, runWords, type BatchOptions } from './batch-job.ts';
import { kubectl } from './kubectl.ts';
import type { PodOptions } from './machine-options.ts';

/** Options of `launch` that pods have no use for: `troupe agent` takes none of them. */
function refuseForeign({ from, pods }: BatchOptions): void {
  if (from !== null) throw new UsageError('--from is not built for launcher kubernetes: pods begin anew');
  const foreign = Object.entries({ '--no-checkpoint': !pods.checkpoint, '--profile': pods.profile })
    .filter(([, isThere]) => isThere)
    .map(([flag]) => flag);
  if (foreign.length > 0)
    throw new UsageError(`${foreign.join(', ')} is for runs that start from here, not for pods`);
}

/** The run folder in the pods, on their volume. */
function runFolderOf({ runDir }: PodOptions, name: string): string {
  const folder = posix.resolve(runsFolder, runDir ?? name);
  if (folder.startsWith(`${runsFolder}/`)) return folder;
  throw new UsageError(`--run-dir '${runDir}': pods have their volume at ${runsFolder}; name a folder in it`);
}

/** @throws {UsageError} what pods need and nobody said, or what they do not take */
export function kubernetesRun(topology: ResolvedTopology, batch: BatchOptions): KubernetesRun {
  refuseForeign(batch);
  const { pods } = batch;
  if (pods.image === undefined)
    throw new UsageError('launcher kubernetes needs --image, one with troupe on its PATH');
  const name = kubernetesName(topology.name);
  return {
    name,
    namespace: pods.namespace ?? null,
    image: pods.image,
    machines: topology.machines.length,
    cpus: mostThreads(topology),
    checkpointBytes: checkpointBytes(topology),
    topology: formatYaml(topology.file),
    claim: pods.claim ?? null,
    runFolder: runFolderOf(pods, name),
    further: runWords(batch),
    isJobSet: pods.jobset === true,
  };
}

const comment = (line: string): string => `# ${line}`;

/** The manifest as a file for `kubectl`, with the reasons. */
export function manifestText(run: KubernetesRun): string {
  const namespace = run.namespace === null ? '' : ` --namespace ${run.namespace}`;
  const head = [
    'A run of Troupe in pods. Its key first, once, which is in no file but the Secret:',
    `  npx troupe key new run.key && kubectl${namespace} create secret generic ${run.name}-key --from-file=run.key && rm run.key`,
    `then kubectl apply -f THIS; everything but the claim is removed with`,
    `  kubectl${namespace} delete ${allKinds(run)} -l app.kubernetes.io/instance=${run.name}; kubectl${namespace} delete secret ${run.name}-key`,
  ];
  const objects = kubernetesManifest(run).map(({ about, object }) =>
    [...about.map(comment), formatYaml(object)].join('\n'),
  );
  return `${head.map(comment).join('\n')}\n---\n${objects.join('---\n')}`;
}

const allKinds = ({ isJobSet }: KubernetesRun): string =>
  isJobSet ? 'jobset,configmap' : 'job,service,configmap';

/** Prints the manifest of a run, or hands it with a new key to the cluster. */
export async function runInPods(
  topology: ResolvedTopology,
  batch: BatchOptions,
  { apply, json }: { readonly apply: boolean; readonly json: boolean },
): Promise<void> {
  const run = kubernetesRun(topology, batch);
  const manifest = manifestText(run);
  if (!apply) {
    if (json) printJson({ event: 'job', launcher: 'kubernetes', manifest });
    else print(manifest.trimEnd());
    return;
  }
  // Made, not applied: kubectl would note what it applied in an annotation, and a key that is in use is never replaced.
  const secret = formatYaml(keySecret(run, newRunKey()));
  const said = [...(await kubectl(['create', '-f', '-'], secret)), ...(await applied(run, manifest))];
  if (json) printJson({ event: 'applied', launcher: 'kubernetes', name: run.name, objects: said });
  else print(...said, `kubectl logs -f -l app.kubernetes.io/instance=${run.name} shows what its agents say`);
}

/** A manifest that is refused leaves no key behind. */
async function applied(run: KubernetesRun, manifest: string): Promise<readonly string[]> {
  try {
    return await kubectl(['apply', '-f', '-'], manifest);
  } catch (error) {
    const secret = formatYaml(keySecret(run, ''));
    await kubectl(['delete', '--ignore-not-found', '-f', '-'], secret).catch(() => []);
    throw error;
  }
}
