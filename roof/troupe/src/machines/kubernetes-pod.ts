import { ENDING_SECONDS, secondsToSave } from './slurm-batch-script.ts';
import { leadPort } from './lead-address.ts';

/** A machine of a run as a pod. */
export interface MachinePod {
  /** Of the job; what belongs to it is called after it. */
  readonly name: string;
  readonly image: string;
  /** Machines of the run. */
  readonly machines: number;
  /** Threads of all devices of a machine. */
  readonly cpus: number;
  /** Bytes of a checkpoint. */
  readonly checkpointBytes: number;
  /** PersistentVolumeClaim with the run folder, mounted in all pods; null: each has a disk that ends with it. */
  readonly claim: string | null;
  /** Of the run, below {@link runsFolder}. */
  readonly runFolder: string;
  /** Further arguments of `troupe agent`. */
  readonly further: readonly string[];
}

/** Where pods have the volume with the run folder. */
export const runsFolder = '/troupe';

/** Any one but root's: files of the claim belong to it. */
const USER = 1000;

const configFolder = '/etc/troupe';
const keyFolder = '/etc/troupe-key';
export const topologyFile = 'topology.yaml';
export const keyFile = 'run.key';

export const configOf = (name: string): string => `${name}-topology`;
export const secretOf = (name: string): string => `${name}-key`;

/** Mode 0400. Of a Secret the kubelet makes it 0440, root's and the pod's group's, since `fsGroup` is set. */
const OWNER_READS = 0o400;

/**
 * What the Secret's file is to Troupe: root owns it, so that the program, another user, reads it as a member of `fsGroup`. DIL-3 takes a
 * group-readable file where the file is another's. Without `fsGroup` it would be root's alone, and nobody could read it.
 */
const podSecurity = {
  runAsNonRoot: true,
  runAsUser: USER,
  runAsGroup: USER,
  fsGroup: USER,
  fsGroupChangePolicy: 'OnRootMismatch',
  seccompProfile: { type: 'RuntimeDefault' },
};

const containerSecurity = {
  readOnlyRootFilesystem: true,
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
};

const volumes = ({ name, claim }: MachinePod): readonly object[] => [
  { name: 'topology', configMap: { name: configOf(name) } },
  {
    name: 'key',
    secret: {
      secretName: secretOf(name),
      defaultMode: OWNER_READS,
      items: [{ key: keyFile, path: keyFile }],
    },
  },
  {
    name: 'runs',
    ...(claim === null ? { emptyDir: {} } : { persistentVolumeClaim: { claimName: claim } }),
  },
  { name: 'scratch', emptyDir: {} },
  { name: 'tmp', emptyDir: {} },
];

const volumeMounts = [
  { name: 'topology', mountPath: configFolder, readOnly: true },
  { name: 'key', mountPath: keyFolder, readOnly: true },
  { name: 'runs', mountPath: runsFolder },
  { name: 'scratch', mountPath: '/scratch' },
  { name: 'tmp', mountPath: '/tmp' },
];

/** All that is written lies on volumes, since the root of the container is read-only. */
const variables = {
  TROUPE_KEY_FILE: `${keyFolder}/${keyFile}`,
  HOME: '/scratch',
  XDG_CACHE_HOME: '/scratch/cache',
};

export const containerName = 'agent';

/** What `troupe agent` is told beside its topology; which machine it is says the environment. */
function argumentsOf(pod: MachinePod, lead: string, grace: number): readonly string[] {
  const told = { of: pod.machines, lead, 'run-dir': pod.runFolder, grace };
  return [...Object.entries(told).flatMap(([name, value]) => [`--${name}`, String(value)]), ...pod.further];
}

/**
 * The pod of a machine.
 *
 * It has no probes: one that is live restarts what answers late, and an agent that waits for another machine, or saves, is well. Nothing
 * is sent to a pod because it is ready.
 *
 * @param lead - name of machine 0, as the others resolve it
 */
export function machinePod(pod: MachinePod, lead: string): object {
  const grace = secondsToSave(pod.checkpointBytes);
  return {
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: grace + ENDING_SECONDS,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    securityContext: podSecurity,
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: 'kubernetes.io/hostname',
        whenUnsatisfiable: 'ScheduleAnyway',
        labelSelector: { matchLabels: labelsOf(pod.name) },
      },
    ],
    containers: [
      {
        name: containerName,
        image: pod.image,
        command: ['troupe', 'agent', `${configFolder}/${topologyFile}`],
        args: argumentsOf(pod, lead, grace),
        workingDir: '/scratch',
        env: Object.entries(variables).map(([name, value]) => ({ name, value })),
        ports: [{ name: 'lead', containerPort: leadPort }],
        resources: { requests: { cpu: String(pod.cpus) } },
        securityContext: containerSecurity,
        volumeMounts,
      },
    ],
    volumes: volumes(pod),
  };
}

/** What all objects of a run have, by which they are found again. */
export const labelsOf = (name: string): Readonly<Record<string, string>> => ({
  'app.kubernetes.io/name': 'troupe',
  'app.kubernetes.io/instance': name,
});
