import { LIBTENSORFLOW_VERSION } from '../tensorflow-environment.ts';

/** A wheel of PyPI and what is taken out of it. */
export interface WheelPin {
  readonly requirement: string;
  /** pip's name of the platform, and any Python that the wheel was built for: only its C library is used. */
  readonly platform: string;
  readonly python: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** Libtensorflow by platform and architecture; others have no wheel of this version that holds the C library. */
export const wheels: Readonly<Record<string, WheelPin>> = {
  'linux-x64': {
    requirement: `tensorflow-cpu==${LIBTENSORFLOW_VERSION}`,
    platform: 'manylinux2014_x86_64',
    python: '3.11',
    bytes: 207_208_420,
    sha256: '54660c074d7241a503e81edfd9f5ef5af88f64051b72e2945f26318c790f2d26',
  },
};

/** Members of the wheel that are kept: the library in its two parts, and the headers that the binding includes. */
export const wheelMembers = [
  'tensorflow/libtensorflow_cc.so.2',
  'tensorflow/libtensorflow_framework.so.2',
  'tensorflow/include/tensorflow/c/',
  'tensorflow/include/tensorflow/core/platform/',
  'tensorflow/include/tensorflow/tsl/platform/',
  'tensorflow/include/tensorflow/tsl/c/',
  'tensorflow/include/tsl/platform/',
  'tensorflow/include/tsl/c/',
] as const;

/** Names under which the package and the linker look for what the wheel calls libtensorflow_cc.so.2. */
export const libraryNames: Readonly<Record<string, string>> = {
  'libtensorflow_cc.so.2': 'libtensorflow_cc.so.2',
  'libtensorflow.so': 'libtensorflow_cc.so.2',
  'libtensorflow.so.2': 'libtensorflow_cc.so.2',
  // The package's own install script downloads nothing where this one lies.
  'libtensorflow.so.2.9.1': 'libtensorflow_cc.so.2',
  'libtensorflow_framework.so.2': 'libtensorflow_framework.so.2',
  'libtensorflow_framework.so': 'libtensorflow_framework.so.2',
};
