import { fileURLToPath } from 'node:url';
import { jobForPython, type BenchJob, type Precision } from './bench-job.ts';
import type { Engine } from './engine-run.ts';
import type { Python } from './python.ts';

/** Threads of every engine together. */
export const NUM_THREADS = 2;

export const peerScript = (name: string): string =>
  fileURLToPath(new URL(`../../../test/bench/peers/${name}.py`, import.meta.url));

/** What every Python runs with. */
export const pythonEnvironment: Readonly<Record<string, string>> = {
  OMP_NUM_THREADS: String(NUM_THREADS),
  MKL_NUM_THREADS: String(NUM_THREADS),
  CUDA_VISIBLE_DEVICES: '',
  DS_ACCELERATOR: 'cpu',
  HF_HUB_OFFLINE: '1',
  PYTHONWARNINGS: 'ignore',
  // One compiler, inside the process: a pool of forked ones would count its shared pages several times.
  TORCHINDUCTOR_COMPILE_THREADS: '1',
  PYTHONDONTWRITEBYTECODE: '1',
};

/** Settings of glibc that keep freed memory in the process and use huge pages; they help PyTorch, so its best rows have them. */
export const tunedAllocator: Readonly<Record<string, string>> = {
  MALLOC_MMAP_MAX_: '0',
  MALLOC_TRIM_THRESHOLD_: String(2 ** 34),
  MALLOC_TOP_PAD_: String(2 ** 26),
  GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1',
};

interface Variant {
  readonly name: string;
  readonly script: 'torch_moe' | 'deepspeed_moe';
  /** A package that it needs beside torch. */
  readonly needs?: 'transformers' | 'deepspeed';
  readonly engine: string;
  readonly tuned: boolean;
  readonly precisions: readonly Precision[];
}

const both: readonly Precision[] = ['f32', 'bf16'];
const variants: readonly Variant[] = [
  { name: 'PyTorch, loop', script: 'torch_moe', engine: 'loop', tuned: false, precisions: ['f32'] },
  { name: 'PyTorch, best', script: 'torch_moe', engine: 'best', tuned: true, precisions: both },
  { name: 'PyTorch, compiled', script: 'torch_moe', engine: 'compile', tuned: true, precisions: both },
  {
    name: 'Transformers, Mixtral',
    script: 'torch_moe',
    needs: 'transformers',
    engine: 'mixtral',
    tuned: true,
    precisions: both,
  },
  {
    name: 'DeepSpeed MoE',
    script: 'deepspeed_moe',
    needs: 'deepspeed',
    engine: 'deepspeed',
    tuned: false,
    precisions: ['f32'],
  },
];

/**
 * The scripts of `peers/` as engines; those whose packages are not installed are named in `missing`.
 *
 * @param start - file that {@link writeStart} wrote for this job
 */
export function pythonEngines(
  python: Python,
  job: BenchJob,
  precision: Precision,
  numSteps: number,
  start: string,
): { readonly engines: readonly Engine[]; readonly missing: readonly string[] } {
  const wanted = variants.filter(({ precisions }) => precisions.includes(precision));
  const runs = ({ needs }: Variant): boolean => needs === undefined || python.packages.has(needs);
  const engines = wanted.filter(runs).map(({ name, script, engine, tuned }): Engine => ({
    name,
    ours: false,
    command: [
      python.path,
      peerScript(script),
      `--job=${jobForPython(job)}`,
      `--engine=${engine}`,
      `--precision=${precision}`,
      `--steps=${numSteps}`,
      `--threads=${NUM_THREADS}`,
      `--start=${start}`,
    ],
    environment: {
      ...pythonEnvironment,
      ...(tuned ? tunedAllocator : {}),
    },
  }));
  return { engines, missing: wanted.filter((variant) => !runs(variant)).map(({ name }) => name) };
}
