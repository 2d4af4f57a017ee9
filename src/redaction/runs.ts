import type { MaybePromise } from '../layer.ts';
import { after } from '../maybe-promise.ts';
import type { Leaf } from './plan.ts';
import type { TextContext } from './recognizer.ts';
import { textAt, type Span } from './spans.ts';

/** An edit of one text: the find is replaced, or cut because the text before has its replacement. */
export interface Cut {
  readonly span: Span;
  readonly isRest: boolean;
}

/** The texts of each run of two and more. */
export function runsOf(leaves: readonly Leaf[]): readonly (readonly number[])[] {
  const runs: number[][] = [];
  let current: number[] = [];
  let shared: object | undefined;
  for (const [index, leaf] of leaves.entries()) {
    if (leaf.run !== undefined && leaf.run === shared) current.push(index);
    else {
      if (current.length > 1) runs.push(current);
      shared = leaf.run;
      current = leaf.run === undefined ? [] : [index];
    }
  }
  if (current.length > 1) runs.push(current);
  return runs;
}

/**
 * Finds across adjacent texts, and what a text says of the next one (a label, a name): the first text gets the replacement, the part in the others is removed. Returns the
 * edits of the changed texts.
 */
export function findAcross(
  run: readonly number[],
  leaves: readonly Leaf[],
  own: readonly (readonly Span[])[],
  analyze: (text: string, context: TextContext) => MaybePromise<readonly Span[]>,
): MaybePromise<ReadonlyMap<number, readonly Cut[]>> {
  const offsets: number[] = [];
  let whole = '';
  for (const index of run) {
    offsets.push(whole.length);
    whole += (leaves[index] as Leaf).text;
  }
  /** The part of a find in one of the texts, in offsets of that text. */
  const partOf = (span: Span, part: number): Span => {
    const offset = offsets[part] as number;
    const { text } = leaves[run[part] as number] as Leaf;
    return {
      ...span,
      start: Math.max(0, span.start - offset),
      end: Math.min(text.length, span.end - offset),
    };
  };
  // "a@x.com" + "b@x.com" is two addresses: finds within each text need no find across them.
  const isKnown = (span: Span, first: number, last: number): boolean => {
    for (let part = first; part <= last; part++) {
      const { start, end } = partOf(span, part);
      const isOwn =
        own[run[part] as number]?.some((other) => other.start <= start && other.end >= end) ?? false;
      if (start < end && !isOwn) return false;
    }
    return true;
  };
  return after(analyze(whole, (leaves[run[0] as number] as Leaf).context), (spans) => {
    const changed = new Map<number, Cut[]>();
    for (const span of spans) {
      const first = textAt(offsets, span.start);
      const last = textAt(offsets, span.end - 1);
      // Also of one text alone: its label can stand in the text before.
      if (isKnown(span, first, last)) continue;
      for (let part = first; part <= last; part++) {
        const index = run[part] as number;
        const piece = partOf(span, part);
        const others =
          changed.get(index) ?? (own[index] ?? []).map((other) => ({ span: other, isRest: false }));
        const rest: Cut[] = [];
        let { start, end } = piece;
        for (const other of others) {
          if (other.span.end > piece.start && other.span.start < piece.end) {
            start = Math.min(start, other.span.start);
            end = Math.max(end, other.span.end);
          } else rest.push(other);
        }
        const cuts = [...rest, { span: { ...piece, start, end }, isRest: part > first }];
        changed.set(
          index,
          cuts.sort((a, b) => a.span.start - b.span.start),
        );
      }
    }
    return changed;
  });
}
