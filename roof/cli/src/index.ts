export { createProgram } from './program.ts';
export { notBuilt } from './not-built.ts';
