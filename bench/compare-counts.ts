import type { Counted, Counts } from './counts.ts';

/** A count that differs from the table. */
export interface Difference {
  readonly work: string;
  readonly counted: string;
  readonly before: number;
  readonly now: number;
}

type Table = Readonly<Record<string, Readonly<Record<string, number>>>>;

/**
 * The counts that increased and those that decreased; for work that the table does not have yet every count
 * increased.
 */
export function compareCounts(
  table: Table,
  now: Readonly<Record<string, Counts>>,
): { readonly more: readonly Difference[]; readonly fewer: readonly Difference[] } {
  const differences = Object.entries(now).flatMap(([work, counts]) =>
    (Object.keys(counts) as Counted[]).map((counted) => ({
      work,
      counted,
      before: table[work]?.[counted] ?? 0,
      now: counts[counted],
    })),
  );
  return {
    more: differences.filter((difference) => difference.now > difference.before),
    fewer: differences.filter((difference) => difference.now < difference.before),
  };
}
