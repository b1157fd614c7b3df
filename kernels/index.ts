export { DeviceUnavailableError, KernelFailedError, KernelRangeError, KernelShapeError } from './errors.ts';
export { openReferenceDevice } from './reference/reference-device.ts';
