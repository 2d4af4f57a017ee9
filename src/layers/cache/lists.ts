import type { Session } from '@openai/agents';
import type { AppendStep, Entry, HistoryVersion } from '../../layer.ts';
import { createBoundedLists } from './bounded-lists.ts';
import { isMarked, isSkipped, type Known } from './known.ts';
import type { CacheSettings } from './options.ts';
import { sizeOf } from './size.ts';

/** Properties of all records of a list together. */
export interface Sums {
  readonly items: number;
  /** 0 where bytes have no bound. */
  readonly bytes: number;
  /** Some were skipped. */
  readonly skips: boolean;
  /** Some are replaced by marks. */
  readonly marked: boolean;
}

const NONE: Sums = { items: 0, bytes: 0, skips: false, marked: false };

/** @param before Those of the records before these. */
export function sumsOf(
  known: readonly Known[],
  { maxBytes }: Pick<CacheSettings, 'maxBytes'>,
  before: Sums = NONE,
): Sums {
  let { items, bytes, skips, marked } = before;
  for (const each of known) {
    items++;
    if (maxBytes !== undefined) bytes += sizeOf(each);
    skips ||= isSkipped(each);
    marked ||= isMarked(each);
  }
  return { items, bytes, skips, marked };
}

/** One kept history. */
export interface List extends Sums {
  readonly known: Known[];
  /** One entry of each name of {@link SessionLayer.opensBy}, to check whether all of them may still be shown. */
  readonly examples: Map<string, Entry>;
  /** How many records from the start the inner session is known to have had, … */
  checked: number;
  /** … the version of its history then, where it has one, and known, … */
  version: HistoryVersion | undefined;
  /** … and what this process appended since: so many of these. Lists that follow one another share them. */
  steps: AppendStep[];
  stepCount: number;
  /** Valid while the session is in this generation. */
  generation: number;
  /** When its oldest record was opened. */
  readonly openedAt: number;
  /** Holds the session, so that a later look-up of the same session finds the same object and this list. */
  readonly session: Session;
}

/** The kept histories, under the bounds of size and of time. */
export interface Lists {
  get(key: string): List | undefined;
  /** The list under this key, if no change of the session was begun since. */
  current(key: string, generation: number, now: number): List | undefined;
  set(key: string, list: List): void;
  delete(key: string): void;
  /** Drops the least recently used lists as long as they are older than `ttl`. */
  dropOver(now: number): void;
}

export function createLists({ maxItems, maxBytes, ttl }: CacheSettings): Lists {
  const lists = createBoundedLists<List>(maxItems, maxBytes);

  /** A negative age means that the clock was set back. */
  const isOver = ({ openedAt }: List, now: number): boolean => now < openedAt || now - openedAt >= ttl;

  return {
    ...lists,
    current(key, generation, now) {
      const list = lists.get(key);
      if (list === undefined) return undefined;
      if (list.generation === generation && !isOver(list, now)) return list;
      lists.delete(key);
      return undefined;
    },
    dropOver: (now) => lists.dropOver((list) => isOver(list, now)),
  };
}
