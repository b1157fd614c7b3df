import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import * as z from 'zod';

const bin = fileURLToPath(new URL('../../../roof/troupe/bin/troupe.js', import.meta.url));

export interface Said {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Given {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs the command as a person does. */
export async function troupe(args: readonly string[], { cwd, env = {} }: Given): Promise<Said> {
  const child = spawn(process.execPath, [bin, ...args], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  const [code, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  return { code, stdout, stderr };
}

/** What a test reads of an object. */
export interface Printed {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly data: Readonly<Record<string, string>>;
  readonly spec: {
    readonly template: { readonly spec: PodSpec };
    readonly replicatedJobs: readonly { readonly template: { readonly spec: Printed['spec'] } }[];
  };
}

export interface PodSpec {
  readonly subdomain?: string;
  readonly terminationGracePeriodSeconds: number;
  readonly volumes: readonly Readonly<Record<string, unknown>>[];
  readonly containers: readonly [
    {
      readonly command: readonly string[];
      readonly args: readonly string[];
      readonly env: readonly { readonly name: string; readonly value: string }[];
      readonly resources: object;
    },
  ];
}

/** The objects of a manifest, as kubectl reads them. */
export const objectsOf = (manifest: string): readonly Printed[] =>
  parseAllDocuments(manifest)
    .map((each) => each.toJS() as Printed | null)
    .filter((each) => each !== null);

const file = fileURLToPath(new URL('../../kubernetes/objects.schema.json', import.meta.url));
const { $defs } = JSON.parse(readFileSync(file, 'utf8')) as { $defs: Record<string, object> };
type JsonSchema = Parameters<typeof z.fromJSONSchema>[0];

/** What a cluster would say of an object: each wrong field with its place. Empty: it takes it. */
export function problemsOf(object: { readonly kind: string }): readonly string[] {
  if ($defs[object.kind] === undefined) return [`kind: ${object.kind} is none of those that are known`];
  const schema = z.fromJSONSchema({ $ref: `#/$defs/${object.kind}`, $defs } as JsonSchema);
  return (schema.safeParse(object).error?.issues ?? []).map(
    ({ path, message }) => `${path.join('.')}: ${message}`,
  );
}
