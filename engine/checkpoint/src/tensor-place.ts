/** Layer and expert that a parameter's global name speaks of; null where it speaks of none. */
export function tensorPlace(name: string): { readonly layer: number | null; readonly expert: number | null } {
  const layer = /^model\.layers\.(\d+)\./u.exec(name)?.[1];
  const expert = /^model\.layers\.\d+\.mlp\.experts\.(\d+)\./u.exec(name)?.[1];
  return {
    layer: layer === undefined ? null : Number(layer),
    expert: expert === undefined ? null : Number(expert),
  };
}
