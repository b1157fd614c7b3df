import { openReferenceDevice } from '@troupe/kernels';
export const loadDevice = async (_: unknown) => openReferenceDevice({ dtype: 'f32' });
