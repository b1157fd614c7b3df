export { loadDevice } from '@troupe/kernels';
