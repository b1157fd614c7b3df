/**
 * Runs every rival once a round, so that a machine that grows slower does so for all of them. Each round begins one
 * rival later, because the first of a round may find the machine in another state than the rest.
 *
 * @returns per rival, in their order, what its rounds gave
 */
export async function interleave<Rival, Result>(
  rivals: readonly Rival[],
  numRounds: number,
  run: (rival: Rival, round: number) => Promise<Result>,
): Promise<readonly { readonly rival: Rival; readonly results: readonly Result[] }[]> {
  const results = rivals.map((): Result[] => []);
  for (let round = 0; round < numRounds; round++) {
    for (let turn = 0; turn < rivals.length; turn++) {
      const index = (turn + round) % rivals.length;
      results[index]?.push(await run(rivals[index] as Rival, round));
    }
  }
  return rivals.map((rival, index) => ({ rival, results: results[index] ?? [] }));
}
