export { DeviceUnavailableError, KernelFailedError, KernelRangeError, KernelShapeError } from './errors.ts';
export { kernelFingerprint, type KernelFingerprint } from './fingerprint/kernel-fingerprint.ts';
export { loadDevice, type LoadDeviceOptions } from './load-device.ts';
export { addonPath, HOW_TO_BUILD } from './native/addon-file.ts';
export {
  freeLargeFrames,
  measureBandwidth,
  measurePeak,
  nativeCrc32,
  nativeIsas,
  openNativeDevice,
  releaseArrays,
  type NativeIsa,
} from './native/native-device.ts';
export { openReferenceDevice } from './reference/reference-device.ts';
export type { LayerTensor, Tensorflow } from './tfjs/layer-types.ts';
export {
  tfjsExpert,
  type ExpertLayerSize,
  type LayerForward,
  type LayerParameter,
  type TfjsExpert,
  type TfjsExpertOptions,
} from './tfjs/tfjs-expert.ts';
