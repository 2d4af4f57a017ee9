/** One way to do the work that is measured. */
export interface Candidate {
  readonly name: string;
  /** Prepares a measurement, outside the clock, and returns what is measured. */
  prepare(): MaybePromise<() => MaybePromise<unknown>>;
}

type MaybePromise<T> = T | Promise<T>;

/** What a candidate cost. */
export interface Result {
  readonly name: string;
  /** Median time of one run, in microseconds. Only for orientation: machines differ, ratios less. */
  readonly microseconds: number;
  /** Median over the rounds of this candidate's time in units of the first one's time of the same round. */
  readonly ratio: number;
  /** Tenth and ninetieth percentile of that ratio. */
  readonly spread: readonly [number, number];
  /** Its least time of all rounds in units of the first one's: what is left when nothing else ran. */
  readonly least: number;
}

/**
 * Measures candidates side by side: every round runs each of them once, beginning with another one each time, and a
 * ratio is taken inside a round. What else the machine does then meets all of them alike.
 *
 * @param runs About how often the work runs in one measurement, in a few slices of which the fastest counts.
 */
export async function compare(candidates: readonly Candidate[], options: Rounds): Promise<Result[]> {
  const times = await measureRounds(candidates, options);
  return against(candidates, times, 0);
}

/** How much is measured. */
export interface Rounds {
  readonly rounds: number;
  readonly runs: number;
}

/** The times of each candidate in each round, in microseconds. */
export async function measureRounds(
  candidates: readonly Candidate[],
  { rounds, runs }: Rounds,
): Promise<number[][]> {
  const times = candidates.map((): number[] => []);
  // The round before the first one warms up and does not count.
  for (let round = -1; round < rounds; round++) {
    for (let turn = 0; turn < candidates.length; turn++) {
      const index = (turn + round + candidates.length) % candidates.length;
      const work = await (candidates[index] as Candidate).prepare();
      const time = await measure(work, runs);
      if (round >= 0) times[index]?.push(time);
    }
  }
  return times;
}

/** The same times as ratios to one of the candidates. */
export function against(
  candidates: readonly Candidate[],
  times: readonly (readonly number[])[],
  base: number,
): Result[] {
  const baseline = times[base] as readonly number[];
  return candidates.map(({ name }, index) => {
    const own = times[index] as readonly number[];
    const ratios = own.map((time, round) => time / (baseline[round] as number));
    return {
      name,
      microseconds: quantile(own, 0.5),
      ratio: quantile(ratios, 0.5),
      spread: [quantile(ratios, 0.1), quantile(ratios, 0.9)],
      least: Math.min(...own) / Math.min(...baseline),
    };
  });
}

/** The fastest of a few slices: on a machine that others use too, the others only ever make one slower. */
const SLICES = 5;

/** Microseconds for one run. */
async function measure(work: () => MaybePromise<unknown>, runs: number): Promise<number> {
  let fastest = Number.POSITIVE_INFINITY;
  const slice = Math.ceil(runs / SLICES);
  for (let done = 0; done < runs; done += slice) {
    const start = performance.now();
    for (let run = 0; run < slice; run++) {
      const result = work();
      // Awaiting what is no promise would cost more than some of the work.
      if (result instanceof Promise) await result;
    }
    fastest = Math.min(fastest, ((performance.now() - start) * 1_000) / slice);
  }
  return fastest;
}

function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] as number;
}
