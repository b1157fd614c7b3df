/** Parts of kernel calls as a body sees them whose memory is the process's own: with typed arrays in place of device arrays. */
import type * as set from '@troupe/kernel-set';
import type { HostFloats } from '@troupe/core';
import type { OnHost } from '@troupe/kernel-set';

export type Floats = HostFloats;
export type Halves = Uint16Array;
export type Rows = OnHost<set.Rows>;
export type HalfRows = OnHost<set.HalfRows>;
export type RowsPart = OnHost<set.RowsPart>;
export type ExpertSource = OnHost<set.ExpertSource>;
export type ExactSum = OnHost<set.ExactSum>;
export type StoredGradient = OnHost<set.StoredGradient>;
export type GradientTarget = OnHost<set.GradientTarget>;
