import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { createServer } from 'node:net';
import { availableParallelism, cpus, freemem, networkInterfaces, totalmem } from 'node:os';
import { addonPath, HOW_TO_BUILD } from '@troupe/kernels/addon-file';
import { addressesToOffer } from '@troupe/transport';
import { loadDevice, measuredPeakFlops } from 'troupe';
import { isSupported } from '../hosts/judge.ts';

/** One device body as it was found here. */
export interface DeviceFinding {
  readonly body: string;
  readonly available: boolean;
  /** Name of the opened device; null when it cannot be opened. */
  readonly name: string | null;
  readonly reason: string;
}

/** What `troupe doctor` found; bytes, FLOP/s. */
export interface Findings {
  readonly node: { readonly version: string; readonly supported: boolean };
  readonly platform: string;
  readonly cpu: {
    readonly model: string;
    readonly cores: number;
    readonly instructionSets: readonly string[];
  };
  readonly devices: readonly DeviceFinding[];
  /** The body that `device: auto` takes. */
  readonly chosen: DeviceFinding;
  readonly peakFlops: number | null;
  readonly compiler: { readonly command: string | null; readonly version: string | null };
  readonly addon: { readonly built: boolean; readonly path: string; readonly build: string };
  readonly freePort: { readonly ok: boolean; readonly reason: string };
  /** Hosts under which other machines would try to find this one, in that order. */
  readonly addresses: readonly string[];
  readonly memory: {
    readonly totalBytes: number;
    readonly freeBytes: number;
    readonly limitBytes: number | null;
  };
  readonly disk: { readonly folder: string; readonly freeBytes: number | null };
}

/** Instruction sets that decide how fast the native kernels are, by the names of /proc/cpuinfo. */
const interesting = [
  'avx2',
  'fma',
  'avx512f',
  'avx512bw',
  'avx512vl',
  'avx512_bf16',
  'amx_bf16',
  'asimd',
  'sve',
];

function instructionSets(): readonly string[] {
  try {
    const flags = new Set(
      /^(?:flags|Features)\s*:\s*(.*)$/mu.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.split(/\s+/u),
    );
    return interesting.filter((name) => flags.has(name));
  } catch {
    return [];
  }
}

/** The loader's reasons begin with the body's name, which stands beside them here. */
const withoutBody = (body: string, reason: string): string =>
  reason.startsWith(`${body}: `) ? reason.slice(body.length + 2) : reason;

async function tryDevice(body: 'auto' | 'native' | 'tfjs' | 'reference'): Promise<DeviceFinding> {
  try {
    const device = await loadDevice({ body, threads: 1 });
    const { info } = device;
    await device.close();
    return { body: info.body, available: true, name: info.name, reason: withoutBody(info.body, info.reason) };
  } catch (error) {
    return {
      body,
      available: false,
      name: null,
      reason: error instanceof Error ? error.message : String(error),
    };
  }
}

function run(command: string, argument: string): Promise<string | null> {
  return new Promise((resolve) =>
    execFile(command, [argument], { timeout: 5000 }, (error, stdout) =>
      resolve(error === null ? stdout : null),
    ),
  );
}

/** The first compiler that answers, in the order in which the build tries them. */
async function findCompiler(): Promise<Findings['compiler']> {
  const asked = process.env['CXX'];
  for (const command of asked === undefined ? ['c++', 'g++', 'clang++'] : [asked]) {
    const version = await run(command, '--version');
    if (version !== null) return { command, version: version.split('\n', 1)[0] ?? '' };
  }
  return { command: null, version: null };
}

/** Machines of a run reach each other over TCP ports that the system hands out. */
function findPort(): Promise<Findings['freePort']> {
  return new Promise((resolve) => {
    const server = createServer();
    server.on('error', (error) => resolve({ ok: false, reason: error.message }));
    server.listen(0, '127.0.0.1', () =>
      server.close(() => resolve({ ok: true, reason: 'the system hands out free ports on 127.0.0.1' })),
    );
  });
}

function findAddresses(): readonly string[] {
  try {
    return addressesToOffer(networkInterfaces());
  } catch {
    return [];
  }
}

async function diskOf(folder: string): Promise<Findings['disk']> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return { folder, freeBytes: bavail * bsize };
  } catch {
    return { folder, freeBytes: null };
  }
}

/** Looks at this machine; takes about a second. */
export async function examine(): Promise<Findings> {
  const path = addonPath();
  const cores = availableParallelism();
  const limit = process.constrainedMemory();
  return {
    node: { version: process.version, supported: isSupported(process.version) },
    platform: `${process.platform} ${process.arch}`,
    cpu: { model: cpus()[0]?.model ?? 'unknown', cores, instructionSets: instructionSets() },
    devices: [await tryDevice('native'), await tryDevice('tfjs'), await tryDevice('reference')],
    chosen: await tryDevice('auto'),
    peakFlops: measuredPeakFlops(cores),
    compiler: await findCompiler(),
    addon: { built: existsSync(path), path, build: HOW_TO_BUILD },
    freePort: await findPort(),
    addresses: findAddresses(),
    // Without a limit the system reports a number larger than any memory.
    memory: {
      totalBytes: totalmem(),
      freeBytes: freemem(),
      limitBytes: limit > 0 && limit < totalmem() ? limit : null,
    },
    disk: await diskOf('.'),
  };
}
