import test from 'ava';
import { rankFromEnvironment, type Environment, type SaidPlace } from './rank-from-environment.ts';

const slurm = {
  SLURM_JOB_ID: '7',
  SLURM_STEP_ID: '0',
  SLURM_JOB_NODELIST: 'h[0-4]',
  SLURM_STEP_NODELIST: 'h[2-4]',
  SLURM_STEP_NUM_NODES: '3',
  SLURM_NODEID: '1',
  // With two tasks a node; and where srun ran, which is no node of the step.
  SLURM_PROCID: '2',
  SLURM_LOCALID: '0',
  SLURM_LAUNCH_NODE_IPADDR: '10.0.0.99',
};
const mpi = {
  OMPI_COMM_WORLD_RANK: '2',
  OMPI_COMM_WORLD_SIZE: '3',
  OMPI_COMM_WORLD_LOCAL_SIZE: '1',
  OMPI_COMM_WORLD_NODE_RANK: '0',
};
const pet = { PET_NNODES: '4', PET_NODE_RANK: '3', PET_MASTER_ADDR: 'job-0.svc', PET_MASTER_PORT: '29500' };
const torch = { RANK: '1', WORLD_SIZE: '2', MASTER_ADDR: 'gpu-1' };
const torchrun = {
  ...torch,
  RANK: '9',
  WORLD_SIZE: '16',
  LOCAL_RANK: '1',
  LOCAL_WORLD_SIZE: '8',
  GROUP_RANK: '1',
  GROUP_WORLD_SIZE: '2',
};
const sky = { SKYPILOT_NODE_RANK: '1', SKYPILOT_NUM_NODES: '2', SKYPILOT_NODE_IPS: '10.0.0.1\n10.0.0.2\n' };

test('rank: each system is read, and the line says how', (t) => {
  const found = (env: Environment, said?: SaidPlace): readonly unknown[] => {
    const { rank, size, lead, isAgent, says } = rankFromEnvironment({ HOME: '/root', ...env }, said);
    t.is(says.split(' (by ')[0], `machine ${rank} of ${size}, lead on ${lead}`);
    return [rank, size, lead, isAgent, says.split(' (by ')[1]];
  };
  t.deepEqual(found(slurm), [1, 3, 'h2', true, 'SLURM_NODEID, SLURM_STEP_NODELIST)']);
  t.deepEqual(found({ ...slurm, SLURM_PROCID: '3', SLURM_LOCALID: '1' }).slice(0, 4), [1, 3, 'h2', false]);
  t.deepEqual(found({ JOB_COMPLETION_INDEX: '2' }, { size: 3, lead: 'job-0' }), [
    2,
    3,
    'job-0',
    true,
    'JOB_COMPLETION_INDEX, --of, --lead)',
  ]);
  t.deepEqual(found(mpi, { lead: 'gpu-1' }), [
    2,
    3,
    'gpu-1',
    true,
    'OMPI_COMM_WORLD_RANK, OMPI_COMM_WORLD_SIZE, --lead)',
  ]);
  t.deepEqual(found({ ...mpi, MASTER_ADDR: 'gpu-1' }).slice(0, 4), [2, 3, 'gpu-1', true]);
  t.deepEqual(found({ ...pet, JOB_COMPLETION_INDEX: '3' }).slice(0, 4), [3, 4, 'job-0.svc', true]);
  t.deepEqual(found({ ...pet, PET_NNODES: '4:4' }).slice(0, 2), [3, 4]);
  t.deepEqual(found(torch).slice(0, 4), [1, 2, 'gpu-1', true]);
  t.deepEqual(found(torchrun), [1, 2, 'gpu-1', false, 'GROUP_RANK, GROUP_WORLD_SIZE, MASTER_ADDR)']);
  t.deepEqual(found(sky).slice(0, 4), [1, 2, '10.0.0.1', true]);
  // mpirun inside an allocation: what a person says decides.
  t.deepEqual(found({ ...slurm, ...mpi }, { rank: 2, lead: 'gpu-1' }), [
    2,
    3,
    'gpu-1',
    true,
    '--machine, SLURM_STEP_NODELIST, --lead)',
  ]);
});

test('rank: nothing is guessed; what is missing, torn or said twice is an error', (t) => {
  const refused: readonly (readonly [Environment, RegExp])[] = [
    [{}, /^the environment \(Slurm.*\) does not say which machine this is; say it with --machine$/u],
    [
      { SLURM_JOB_ID: '7', SLURM_PROCID: '0', SLURM_NODEID: '0', SLURM_JOB_NODELIST: 'h[0-1]' },
      /no step of it .* start it with srun/u,
    ],
    [{ ...slurm, SLURM_STEP_NUM_NODES: '2' }, /names 3 nodes, and SLURM_STEP_NUM_NODES says 2/u],
    [{ ...slurm, SLURM_NODEID: undefined }, /Slurm does not say which machine this is/u],
    [
      { ...slurm, SLURM_NODEID: '3' },
      /SLURM_NODEID says machine 3, and SLURM_STEP_NODELIST only 3 machines/u,
    ],
    [{ ...slurm, SLURM_STEP_NODELIST: 'h[0-' }, /SLURM_STEP_NODELIST 'h\[0-' is no list of nodes/u],
    [{ JOB_COMPLETION_INDEX: '0' }, /Kubernetes does not say how many machines there are; say it with --of/u],
    [mpi, /Open MPI does not say the host of the lead; say it with --lead/u],
    [
      { ...mpi, OMPI_COMM_WORLD_LOCAL_SIZE: '2' },
      /2 processes on this machine .* mpirun --map-by ppr:1:node/u,
    ],
    [
      { ...slurm, ...mpi },
      /SLURM_NODEID says 1, and OMPI_COMM_WORLD_RANK says 2, of which machine this is; .* --machine/u,
    ],
    [
      { ...sky, MASTER_ADDR: '10.0.0.2' },
      /MASTER_ADDR says 10.0.0.2, and SKYPILOT_NODE_IPS says 10.0.0.1, of the host of the lead/u,
    ],
    [{ ...sky, SKYPILOT_NODE_IPS: '10.0.0.1' }, /names 1 machines, and SKYPILOT_NUM_NODES says 2/u],
    [{ ...pet, PET_NNODES: '2:4' }, /PET_NNODES is '2:4', a range/u],
    [{ ...pet, PET_MASTER_ADDR: '' }, /PET_MASTER_ADDR is empty/u],
    [{ ...torch, WORLD_SIZE: undefined }, /RANK and WORLD_SIZE does not say how many machines there are/u],
    [{ ...torch, RANK: 'first' }, /RANK is 'first', expected a whole number ≥ 0/u],
    [{ ...torchrun, GROUP_RANK: undefined }, /LOCAL_WORLD_SIZE says 8 processes .* GROUP_RANK/u],
    [{ ...torch, WORLD_SIZE: '0' }, /WORLD_SIZE is '0', expected a whole number ≥ 1/u],
  ];
  for (const [env, says] of refused)
    t.regex(t.throws(() => rankFromEnvironment(env), { code: 'TROUPE_LAUNCHER' })?.message ?? '', says);
});
