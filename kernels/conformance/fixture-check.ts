import type { Device } from '@troupe/kernel-set';
import type { Fixture } from './fixtures.ts';

/** Compares one array with PyTorch's. */
export type Expect = (
  name: string,
  kind: 'forward' | 'gradient',
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
) => void;

/** Computes one fixture's operation on the device and compares every result. */
export type FixtureCheck = (fixture: Fixture, device: Device, expect: Expect) => Promise<void>;
