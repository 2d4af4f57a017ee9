import type { Result } from './rounds.ts';

/** How much a run of the bench measures. */
export interface Effort {
  readonly rounds: number;
  /** Omits long measurements: shows that it runs, not how fast it is. */
  readonly quick: boolean;
  /** Only this one of the stores, by its name in `PAIRS`, where a group measures several. */
  readonly store?: string | undefined;
}

/** The unit of the numbers of a panel; times in microseconds. */
export type Unit = 'time' | 'bytes';

/** One measurement of all candidates. */
export interface Column {
  readonly title: string;
  readonly results: readonly Result[];
}

/** Measurements that share their candidates: one table, one plot. */
export interface Panel {
  readonly title: string;
  readonly unit: Unit;
  /** The candidate that the others are multiples of. */
  readonly base: string;
  readonly columns: readonly Column[];
}

/** A group that `--group` selects. */
export interface Group {
  readonly title: string;
  /** What a reader must know to judge the numbers. */
  readonly note: string;
  /** Yields each panel as soon as it is measured. */
  measure(effort: Effort): AsyncIterable<Panel>;
}
