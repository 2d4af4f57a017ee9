import type { AgentInputItem } from '@openai/agents';
import { StrongroomError } from '../errors.ts';
import type { MaybePromise } from '../layer.ts';
import { after, isThenable, together } from './maybe.ts';
import type { RedactionSettings } from './options.ts';
import { blankItem, planItem, type Leaf } from './plan.ts';
import type { RecognizerResult, TextContext } from './recognizer.ts';
import { dataUrlRanges, resolveOverlaps, type Span } from './spans.ts';
import { foldedView } from './text-view.ts';

/** One thing that was found; where and what, never the value. */
export interface RedactionFinding {
  readonly entityType: string;
  /** `content[0].text`, `arguments.customer.email`. */
  readonly path: string;
  readonly itemType: string;
  readonly score: number;
  readonly recognizer: string;
  /** Name of the operator that was applied. */
  readonly operator: string;
}

/** An item and what was done to it. */
export interface RedactedItem {
  /** The same object when nothing was found. */
  readonly item: AgentInputItem;
  readonly findings: readonly RedactionFinding[];
}

/** What the layer and the public redactor are made of. */
export interface RedactionEngine {
  analyze(text: string, context: TextContext): MaybePromise<readonly Span[]>;
  redactItem(item: AgentInputItem): MaybePromise<RedactedItem>;
  /** Synchronous whatever the recognizers are, and total: it never throws. */
  compare(item: AgentInputItem): AgentInputItem;
}

/** An edit can bring digits together that were apart; after few rounds nothing more is found. */
const MOST_ROUNDS = 6;
/** A text of these characters only, and so long, is encoded data and no text. */
const BLOB = /^[A-Za-z0-9+/=_-]{512,}$/;

/** Builds the engine of checked options. */
export function createRedactionEngine(settings: RedactionSettings): RedactionEngine {
  // Set for good once a recognizer or a transform has returned a promise: comparisons cannot wait for one.
  let isAsynchronous = settings.isAsynchronous;

  const analyze = (text: string, context: TextContext): MaybePromise<readonly Span[]> => {
    if (text.length === 0 || BLOB.test(text)) return [];
    const view = foldedView(text);
    const answers = settings.recognizers.map((recognizer) =>
      after(recognizer.analyze(view.text, context), (results) =>
        results.flatMap((result) => toSpan(result, recognizer.name, view.text.length)),
      ),
    );
    return after(together(answers), (lists) => {
      const spans: Span[] = [];
      for (const list of lists) {
        for (const span of list) {
          const [start, end] = view.original(span.start, span.end);
          spans.push({ ...span, start, end });
        }
      }
      if (spans.length === 0) return spans;
      return resolveOverlaps(outside(spans, dataUrlRanges(text)));
    });
  };

  const toSpan = (result: RecognizerResult, recognizer: string, length: number): Span[] => {
    const { entityType, start, end, score } = result;
    if (!Number.isInteger(start) || !Number.isInteger(end) || start < 0 || end > length) {
      throw new StrongroomError(
        'ERR_INVALID_OPTION',
        `redact: the recognizer ${JSON.stringify(recognizer)} returned a range outside of its text.`,
      );
    }
    if (score < settings.scoreThreshold || end <= start || !settings.isWanted(entityType)) return [];
    return [{ entityType, start, end, score, validated: result.validated === true, recognizer }];
  };

  const operate = (span: Span, value: string): string =>
    (settings.operators.get(span.entityType) ?? settings.defaultOperator).apply(value, span.entityType);

  /** Edits of one text, in order; an edit with no value cuts what another text has replaced. */
  const edit = (text: string, edits: readonly (readonly [Span, string])[]): string => {
    const pieces: string[] = [];
    let done = 0;
    for (const [span, replacement] of edits) {
      pieces.push(text.slice(done, span.start), replacement);
      done = span.end;
    }
    return pieces.join('') + text.slice(done);
  };

  /** One round over all texts of an item: what they become, and what was found in which. */
  const round = (
    leaves: readonly Leaf[],
  ): MaybePromise<{ readonly texts: readonly string[]; readonly found: readonly (readonly Span[])[] }> =>
    after(together(leaves.map((leaf) => analyze(leaf.text, leaf.context))), (own) =>
      after(together(runsOf(leaves).map((run) => analyzeRun(run, leaves, own))), (runs) => {
        const merged: (readonly Span[])[] = [...own];
        const cuts = new Map<Span, true>();
        for (const run of runs) {
          for (const [index, spans] of run.spans) merged[index] = spans;
          for (const cut of run.cuts) cuts.set(cut, true);
        }
        const texts = leaves.map((leaf, index) => {
          const spans = merged[index] as readonly Span[];
          if (spans.length === 0) return leaf.text;
          return edit(
            leaf.text,
            spans.map((span) => [
              span,
              cuts.has(span) ? '' : operate(span, leaf.text.slice(span.start, span.end)),
            ]),
          );
        });
        return { texts, found: merged.map((spans) => spans.filter((span) => !cuts.has(span))) };
      }),
    );

  /** Finds that reach over the border of texts that follow each other directly. */
  const analyzeRun = (
    run: readonly number[],
    leaves: readonly Leaf[],
    own: readonly (readonly Span[])[],
  ): MaybePromise<{
    readonly spans: ReadonlyMap<number, readonly Span[]>;
    readonly cuts: readonly Span[];
  }> => {
    const offsets: number[] = [];
    let whole = '';
    for (const index of run) {
      offsets.push(whole.length);
      whole += (leaves[index] as Leaf).text;
    }
    return after(analyze(whole, (leaves[run[0] as number] as Leaf).context), (spans) => {
      const changed = new Map<number, Span[]>();
      const cuts: Span[] = [];
      // "a@x.com" + "b@x.com" is two addresses: what each text shows by itself needs no find over the border.
      const isKnown = (span: Span, first: number, last: number): boolean => {
        for (let part = first; part <= last; part++) {
          const index = run[part] as number;
          const start = Math.max(0, span.start - (offsets[part] as number));
          const end = Math.min((leaves[index] as Leaf).text.length, span.end - (offsets[part] as number));
          const isOwn = own[index]?.some((other) => other.start <= start && other.end >= end) ?? false;
          if (start < end && !isOwn) return false;
        }
        return true;
      };
      for (const span of spans) {
        const first = textAt(offsets, span.start);
        const last = textAt(offsets, span.end - 1);
        if (first === last || isKnown(span, first, last)) continue;
        for (let part = first; part <= last; part++) {
          const index = run[part] as number;
          const offset = offsets[part] as number;
          const piece: Span = {
            ...span,
            start: Math.max(0, span.start - offset),
            end: Math.min((leaves[index] as Leaf).text.length, span.end - offset),
          };
          const others = changed.get(index) ?? own[index] ?? [];
          const overlapping = others.filter((other) => other.end > piece.start && other.start < piece.end);
          const widened: Span = {
            ...piece,
            start: Math.min(piece.start, ...overlapping.map((other) => other.start)),
            end: Math.max(piece.end, ...overlapping.map((other) => other.end)),
          };
          if (part > first) cuts.push(widened);
          const rest = others.filter((other) => !overlapping.includes(other));
          changed.set(
            index,
            [...rest, widened].sort((a, b) => a.start - b.start),
          );
        }
      }
      return { spans: changed, cuts };
    });
  };

  const applyTransform = (
    leaves: readonly Leaf[],
    texts: readonly string[],
    item: AgentInputItem,
  ): MaybePromise<readonly string[]> => {
    const { transform } = settings;
    if (transform === undefined) return texts;
    return after(
      together(
        leaves.map((leaf, index): MaybePromise<string> => {
          const text = texts[index] as string;
          return leaf.kind === 'text' ? transform(text, { path: leaf.context.path, item }) : text;
        }),
      ),
      (results) => {
        for (const [index, result] of results.entries()) {
          if (typeof result !== 'string') {
            throw new StrongroomError(
              'ERR_INVALID_ITEM',
              `redact: transform returned ${typeof result} for ${(leaves[index] as Leaf).context.path}; it must return a string.`,
            );
          }
        }
        return results;
      },
    );
  };

  const redactRound = (
    item: AgentInputItem,
    original: AgentInputItem,
    findings: readonly RedactionFinding[],
    count: number,
  ): MaybePromise<RedactedItem> => {
    const plan = planItem(item);
    return after(round(plan.leaves), ({ texts, found }) => {
      const more = found.flatMap((spans, index) =>
        spans.map((span) => reportOf(span, (plan.leaves[index] as Leaf).context)),
      );
      const all = [...findings, ...more];
      return after(
        count === 0 ? applyTransform(plan.leaves, texts, original) : texts,
        (final): MaybePromise<RedactedItem> => {
          const next = plan.render(final);
          if (next === item) return { item, findings: all };
          // Once more over what came out, so that a second redaction of it changes nothing.
          return count + 1 < MOST_ROUNDS
            ? redactRound(next, original, all, count + 1)
            : { item: next, findings: all };
        },
      );
    });
  };

  const reportOf = (span: Span, context: TextContext): RedactionFinding => ({
    entityType: span.entityType,
    path: context.path,
    itemType: context.itemType,
    score: span.score,
    recognizer: span.recognizer,
    operator: (settings.operators.get(span.entityType) ?? settings.defaultOperator).type,
  });

  return {
    analyze,
    redactItem: (item) => redactRound(item, item, [], 0),
    compare(item) {
      if (isAsynchronous) return blankItem(item);
      try {
        const redacted = redactRound(item, item, [], 0);
        if (!isThenable(redacted)) return redacted.item;
        redacted.then(undefined, () => undefined);
        isAsynchronous = true;
      } catch {
        // What cannot be redacted cannot be written either: nothing stored is equal to it.
      }
      return blankItem(item);
    },
  };
}

/** The finds that do not touch one of these ranges (sorted, apart). */
function outside(
  spans: readonly Span[],
  ranges: readonly (readonly [start: number, end: number])[],
): readonly Span[] {
  if (ranges.length === 0) return spans;
  const starts = ranges.map(([start]) => start);
  return spans.filter((span) => {
    const [start, end] = ranges[textAt(starts, span.end - 1)] as readonly [number, number];
    return span.end <= start || span.start >= end;
  });
}

/** The texts of each run of two and more. */
function runsOf(leaves: readonly Leaf[]): readonly (readonly number[])[] {
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

/** Index of the last text that begins at or before `offset`; empty texts are passed over. */
function textAt(offsets: readonly number[], offset: number): number {
  let low = 0;
  let high = offsets.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((offsets[middle] as number) <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}
