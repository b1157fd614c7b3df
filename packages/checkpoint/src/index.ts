export * from './checkpoint-folders.ts';
export * from './checkpoint-reader.ts';
export * from './checkpoint-run.ts';
export * from './checkpoint-writer.ts';
export * from './errors.ts';
export type { CheckpointTensor } from './file-plan.ts';
export { inlineHasher, workerHasher, type Hasher, type HashStream } from './hasher.ts';
export type { Manifest, ManifestBase, ManifestFile, ManifestTensor, TensorGroup } from './manifest.ts';
export { MANIFEST_FILE, tensorGroups, TOKENIZER_FILE } from './manifest.ts';
export type {
  PlacedTensor,
  SafetensorsDtype,
  SafetensorsHeader,
  SafetensorsTensor,
} from './safetensors-header.ts';
export { openSafetensors, SafetensorsWriter, type SafetensorsFile } from './safetensors.ts';
export { configFromHuggingFace, configToHuggingFace, type HuggingFaceKind } from './hugging-face-config.ts';
export { writeHuggingFace, type HuggingFaceExportOptions } from './hugging-face-export.ts';
export { readHuggingFace, type HuggingFaceModel } from './hugging-face-import.ts';
export { modelParameters, type ExpertLayout } from './hugging-face-names.ts';
