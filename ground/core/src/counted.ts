/** `1 device`, `2 devices`, `1 process`, `2 processes`: a number and its noun, which agree. */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : plural}`;
}
