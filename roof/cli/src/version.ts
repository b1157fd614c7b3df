export { VERSION } from '@troupe/core';
