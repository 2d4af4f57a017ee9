/** One way to do the work that is measured. */
export interface Candidate {
  readonly name: string;
  /**
   * Prepares a measurement, outside the clock, and returns what is measured.
   *
   * @param runs About how often the returned function will be called; it gets the number of earlier calls.
   */
  prepare(runs: number): MaybePromise<(run: number) => MaybePromise<unknown>>;
  /** Clears up after a measurement, outside the clock. */
  dispose?(): MaybePromise<unknown>;
}

/** Takes its own measurement, in any unit. */
export interface Sampler {
  readonly name: string;
  sample(): MaybePromise<number>;
}

type MaybePromise<T> = T | Promise<T>;

/** The measured cost of a candidate. */
export interface Result {
  readonly name: string;
  /** Median of its measurements. Only for orientation: it differs more between machines than the ratio. */
  readonly median: number;
  /** Median over the rounds of this candidate's measurement in units of the baseline's of the same round. */
  readonly ratio: number;
  /** Tenth and ninetieth percentile of that ratio. */
  readonly spread: readonly [number, number];
  /**
   * Its smallest measurement of all rounds in units of the baseline's smallest: the cost without other work on the
   * machine.
   */
  readonly least: number;
}

/** How much is measured. */
export interface Rounds {
  readonly rounds: number;
  readonly runs: number;
  /** `false` where an earlier measurement of the process has done the same work; {@link WARM_UP} when absent. */
  readonly warmUp?: WarmUp | false;
}

/** How long each candidate works before it is measured. */
export interface WarmUp {
  /** Enough calls for a candidate to be steady. */
  readonly calls: number;
  /** At most this time for each candidate, with its preparations. */
  readonly milliseconds: number;
}

/**
 * V8 compiles what runs often, in steps and in another thread: a call of the full stack is steady after some 2,000
 * calls, and takes three times as long before. A server is past them after its first minute, so that is what is
 * measured. The group `start` measures processes that have just started.
 */
export const WARM_UP: WarmUp = { calls: 10_000, milliseconds: 1_000 };

/**
 * Measures candidates side by side, after a warm-up: every round runs each of them once, beginning with another one
 * each time, and a ratio is taken inside a round. Other work on the machine then affects all of them alike.
 *
 * @param base Index of the candidate that the others are multiples of.
 * @param runs About how often the work runs in one measurement, in a few slices of which the fastest counts.
 */
export async function compare(
  candidates: readonly Candidate[],
  { rounds, runs, warmUp = WARM_UP }: Rounds,
  base: number = 0,
): Promise<Result[]> {
  const samplers = candidates.map((candidate): Sampler => ({
    name: candidate.name,
    async sample() {
      const work = await candidate.prepare(Math.ceil(runs / SLICES) * SLICES);
      // No candidate is charged for the young garbage of another. A collection of all garbage drops compiled code (decision 102).
      globalThis.gc?.({ type: 'minor' });
      const time = await timeOf(work, runs);
      await candidate.dispose?.();
      return time;
    },
  }));
  if (warmUp !== false) await warm(samplers, runs, warmUp);
  return compareSamples(samplers, rounds, base);
}

/** Candidates take turns, so that code that they share is compiled for all of them. */
async function warm(
  samplers: readonly Sampler[],
  runs: number,
  { calls, milliseconds }: WarmUp,
): Promise<void> {
  const spent = samplers.map(() => 0);
  const isWarm = (index: number, times: number): boolean =>
    times * runs >= calls || (spent[index] as number) >= milliseconds;
  for (let times = 0; !samplers.every((_, index) => isWarm(index, times)); times++) {
    for (const [index, sampler] of samplers.entries()) {
      if (isWarm(index, times)) continue;
      const start = performance.now();
      await sampler.sample();
      spent[index] = (spent[index] as number) + performance.now() - start;
    }
  }
}

/** The same for measurements that are taken elsewhere: in processes of their own, or of something else than time. */
export async function compareSamples(
  samplers: readonly Sampler[],
  rounds: number,
  base: number = 0,
): Promise<Result[]> {
  return against(samplers, await interleave(samplers, rounds), base);
}

/** The measurements of each candidate in each round. */
export async function interleave(samplers: readonly Sampler[], rounds: number): Promise<number[][]> {
  const samples = samplers.map((): number[] => []);
  // The round before the first one does not count: it fills caches, also those of the operating system.
  for (let round = -1; round < rounds; round++) {
    for (let turn = 0; turn < samplers.length; turn++) {
      const index = (turn + round + samplers.length) % samplers.length;
      const value = await (samplers[index] as Sampler).sample();
      if (round >= 0) samples[index]?.push(value);
    }
  }
  return samples;
}

/** The same measurements as ratios to one of the candidates. */
export function against(
  candidates: readonly { readonly name: string }[],
  samples: readonly (readonly number[])[],
  base: number,
): Result[] {
  const baseline = samples[base] as readonly number[];
  return candidates.map(({ name }, index) => {
    const own = samples[index] as readonly number[];
    const ratios = own.map((value, round) => value / (baseline[round] as number));
    return {
      name,
      median: quantile(own, 0.5),
      ratio: quantile(ratios, 0.5),
      spread: [quantile(ratios, 0.1), quantile(ratios, 0.9)],
      least: Math.min(...own) / Math.min(...baseline),
    };
  });
}

/** Milliseconds, by the clock on the wall: what a user waits for. */
const onTheWall = (): number => performance.now();

/** Milliseconds that the processors worked for this process, in all of its threads. */
const ofProcessors = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};

let clock = onTheWall;

/**
 * Measures the processor time of this process from now on. On a machine that does other work at the same time, that is
 * the part of a measurement that can be compared; it has nothing of what a server or another process does.
 */
export function countProcessorTime(): void {
  clock = ofProcessors;
}

/** The fastest of a few slices: other work on a shared machine can only make a slice slower. */
const SLICES = 5;

/** Microseconds of one run of `work`, of about `runs` in a few slices. */
export async function timeOf(work: (run: number) => MaybePromise<unknown>, runs: number): Promise<number> {
  let fastest = Number.POSITIVE_INFINITY;
  const slice = Math.ceil(runs / SLICES);
  for (let done = 0; done < runs; done += slice) {
    const start = clock();
    for (let run = 0; run < slice; run++) {
      const result = work(done + run);
      // Awaiting a value that is not a promise would cost more than some of the work.
      if (result instanceof Promise) await result;
    }
    fastest = Math.min(fastest, ((clock() - start) * 1_000) / slice);
  }
  return fastest;
}

function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] as number;
}
