/** Devices whose figures are known: peak of the tensor cores in bf16 without sparsity, as their data sheets say. */
export const speedPresets = {
  'a100-40gb': { tflops: 312, memoryGBps: 1555, memoryGB: 40 },
  h100: { tflops: 989, memoryGBps: 3350, memoryGB: 80 },
  h200: { tflops: 989, memoryGBps: 4800, memoryGB: 141 },
} as const;
