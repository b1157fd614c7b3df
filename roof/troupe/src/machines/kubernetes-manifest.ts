import {
  configOf,
  containerName,
  keyFile,
  labelsOf,
  machinePod,
  secretOf,
  topologyFile,
  type MachinePod,
} from './kubernetes-pod.ts';
import { leadPort } from './lead-address.ts';

/** A run as objects of Kubernetes. */
export interface KubernetesRun extends MachinePod {
  /** Null: that of who applies it. */
  readonly namespace: string | null;
  /** The topology as a file, with nothing left to look up elsewhere. */
  readonly topology: string;
  /** A JobSet in place of a Job and its Service. */
  readonly isJobSet: boolean;
}

/** An object of a manifest, and why it is as it is. */
export interface KubernetesObject {
  readonly about: readonly string[];
  readonly object: object;
}

/** Lives of a machine that failed in a way that may pass, apart from those that the cluster took. */
const MOST_LIVES = 20;

/** Longest name: a JobSet's pods add `-machines-0-` and a number, and labels have 63 characters. */
const NAME_MAX = 40;

/** A name of objects: small letters, digits and hyphens, a letter first. */
export function kubernetesName(name: string): string {
  const plain = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/gu, '-')
    .replaceAll(/^-+|-+$/gu, '');
  const named = /^[a-z]/u.test(plain) ? plain : `troupe-${plain}`;
  return named.slice(0, NAME_MAX).replace(/-+$/u, '');
}

const metadata = (
  { name, namespace }: Pick<KubernetesRun, 'name' | 'namespace'>,
  own = name,
): Readonly<Record<string, unknown>> => ({
  name: own,
  ...(namespace === null ? {} : { namespace }),
  labels: labelsOf(name),
});

/** The key of a run, as `troupe key new` writes it; the only object that is secret. */
export const keySecret = (run: Pick<KubernetesRun, 'name' | 'namespace'>, key: string): object => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: metadata(run, secretOf(run.name)),
  immutable: true,
  stringData: { [keyFile]: key },
});

const configMap = (run: KubernetesRun): KubernetesObject => ({
  about: [
    'The topology with every key written out. Files that it names under data have to be in the image, or on the claim.',
  ],
  object: {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: metadata(run, configOf(run.name)),
    immutable: true,
    data: { [topologyFile]: run.topology },
  },
});

/**
 * KUB-1: what the cluster takes away is not counted; ends that the same again would not help (1 failed, 3 topology, 5 devices or memory)
 * end the job at once; all others, 75 and 76 among them, begin that machine anew, on any node. A run needs all of its machines, so one
 * that has failed too often ends the job too.
 */
const lives = {
  backoffLimitPerIndex: MOST_LIVES,
  maxFailedIndexes: 0,
  podReplacementPolicy: 'Failed',
  podFailurePolicy: {
    rules: [
      { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
      { action: 'FailJob', onExitCodes: { containerName, operator: 'In', values: [1, 3, 5] } },
    ],
  },
};

/** @param subdomain - the Service under whose name pods are found; null: whoever makes the Service says it */
const jobSpec = (run: KubernetesRun, lead: string, subdomain: string | null): object => ({
  completionMode: 'Indexed',
  completions: run.machines,
  parallelism: run.machines,
  ...lives,
  template: {
    metadata: { labels: labelsOf(run.name) },
    spec: { ...(subdomain === null ? {} : { subdomain }), ...machinePod(run, lead) },
  },
});

const whyNoClaim = (run: KubernetesRun): readonly string[] =>
  run.claim === null
    ? [
        'WARNING: no --claim, so the run folder ends with the pod of machine 0; one that comes back there begins with the first step.',
      ]
    : [`The claim ${run.claim} is mounted by all pods: ReadWriteMany where they are on several nodes.`];

const whyPods = (run: KubernetesRun): readonly string[] => [
  ...whyNoClaim(run),
  'No probes: an agent that waits for a machine, or saves, is well. No limit of processor time: it would slow all machines down.',
  'The grace period is that of a step and a checkpoint. The key is a file (kubelet: 0440, root and fsGroup); no variable holds it.',
];

function job(run: KubernetesRun): readonly KubernetesObject[] {
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadata(run),
    spec: {
      clusterIP: 'None',
      publishNotReadyAddresses: true,
      selector: { 'batch.kubernetes.io/job-name': run.name },
      ports: [{ name: 'lead', port: leadPort }],
    },
  };
  const pods = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: metadata(run),
    spec: jobSpec(run, `${run.name}-0.${run.name}`, run.name),
  };
  return [
    { about: ['Names of the pods, from their first moment on: machine 0 has to be found.'], object: service },
    { about: whyPods(run), object: pods },
  ];
}

const REPLICATED = 'machines';

/** Its controller makes the Service. Machines begin anew by the Job's rules, so the whole set never does. */
const jobSet = (run: KubernetesRun): KubernetesObject => ({
  about: whyPods(run),
  object: {
    apiVersion: 'jobset.x-k8s.io/v1alpha2',
    kind: 'JobSet',
    metadata: metadata(run),
    spec: {
      network: { enableDNSHostnames: true, publishNotReadyAddresses: true },
      failurePolicy: { maxRestarts: 0 },
      coordinator: { replicatedJob: REPLICATED, jobIndex: 0, podIndex: 0 },
      replicatedJobs: [
        {
          name: REPLICATED,
          replicas: 1,
          template: { spec: jobSpec(run, `${run.name}-${REPLICATED}-0-0.${run.name}`, null) },
        },
      ],
    },
  },
});

/**
 * The objects that run a topology in pods, a machine each, in the order in which they are to be made.
 *
 * KUB-2: they refer to the Secret with the key, and none of them holds it.
 */
export const kubernetesManifest = (run: KubernetesRun): readonly KubernetesObject[] => [
  configMap(run),
  ...(run.isJobSet ? [jobSet(run)] : job(run)),
];
