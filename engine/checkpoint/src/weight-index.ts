/** The index that Hugging Face libraries read when weights lie in several files: tensor → file. */
export function weightIndex(
  files: readonly {
    readonly name: string;
    readonly tensors: readonly { readonly key: string; readonly size: number }[];
  }[],
): Uint8Array {
  const entries = files.flatMap((file) => file.tensors.map((tensor) => [tensor.key, file.name] as const));
  const totalBytes = files.flatMap((file) => file.tensors).reduce((sum, tensor) => sum + 4 * tensor.size, 0);
  const index = { metadata: { total_size: totalBytes }, weight_map: Object.fromEntries(entries) };
  return new TextEncoder().encode(`${JSON.stringify(index, null, 1)}\n`);
}
