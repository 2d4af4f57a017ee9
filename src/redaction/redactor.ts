import type { AgentInputItem } from '@openai/agents';
import { StrongroomError } from '../errors.ts';
import { shownPath } from '../protocol/item-path.ts';
import type { MaybePromise } from '../layer.ts';
import { analyzeText } from './analyze.ts';
import { unsearchedLength } from './base64.ts';
import { createInspect, type Look } from './look.ts';
import { after, isThenable, together } from '../maybe-promise.ts';
import { applyEdits, overlapsOne, type Outputs, type Range } from './outputs.ts';
import type { PreparedOperator } from './operators.ts';
import type { RedactionSettings } from './options.ts';
import { blankItem, planItem, type Leaf, type Plan } from './plan.ts';
import type { TextContext } from './recognizer.ts';
import { findAcross, runsOf, type Cut } from './runs.ts';
import type { Span } from './spans.ts';

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

/** A text, or a part of one, that was stored without anybody having searched what it says. */
export interface UnsearchedText {
  /**
   * `oversize`: longer than `maxScanBytes`, `<UNSCANNED>` stands in its place (`onOversize: 'drop'`). `encoded`: runs
   * of 512 and more characters of Base64 were searched as they stand, what they decode to was not (`decode`).
   */
  readonly reason: 'oversize' | 'encoded';
  /** `content[0].text`, `arguments.customer.email`. */
  readonly path: string;
  readonly itemType: string;
  /** UTF-16 code units. */
  readonly length: number;
}

/** An item and what was done to it. */
export interface RedactedItem {
  /** The same object when nothing was changed. */
  readonly item: AgentInputItem;
  readonly findings: readonly RedactionFinding[];
  readonly unsearched: readonly UnsearchedText[];
  /** Tokens that stand for values of this item, and the values. */
  readonly tokens: ReadonlyMap<string, string>;
}

/** What the layer and the public redactor are made of. */
export interface RedactionEngine {
  analyze(text: string, context: TextContext): MaybePromise<readonly Span[]>;
  /** @param mayBlock Whether the operator `block` refuses the item. */
  redactItem(item: AgentInputItem, mayBlock: boolean): MaybePromise<RedactedItem>;
  /** Synchronous whatever the recognizers are, and total: it never throws. */
  compare(item: AgentInputItem): AgentInputItem;
}

/** An edit can bring digits together that were apart; after few rounds nothing more is found. */
const MOST_ROUNDS = 6;
/** Stands for a text that was too large to search. */
const UNSCANNED = '<UNSCANNED>';

const NO_TOKENS: ReadonlyMap<string, string> = new Map();

/** What has been done to an item so far. */
interface Progress {
  readonly original: AgentInputItem;
  readonly mayBlock: boolean;
  readonly findings: RedactionFinding[];
  readonly unsearched: UnsearchedText[];
  readonly tokens: Map<string, string>;
  /** What custom operators have made in the rounds before, and in this one. */
  outputs: Outputs;
  nextOutputs: Map<string, readonly Range[]>;
  round: number;
}

/** Builds the engine of checked options. */
export function createRedactionEngine(settings: RedactionSettings): RedactionEngine {
  // Set for good once a recognizer, an operator or a transform has returned a promise: comparisons cannot wait.
  let isAsynchronous = settings.isAsynchronous;

  const inspect = createInspect(settings);

  const analyze = (text: string, context: TextContext, look?: Look): MaybePromise<readonly Span[]> =>
    analyzeText(settings, text, context, look);

  const operatorOf = (entityType: string): PreparedOperator =>
    settings.operators.get(entityType) ?? settings.defaultOperator;

  const replace = (span: Span, leaf: Leaf, progress: Progress): MaybePromise<string> => {
    const operator = operatorOf(span.entityType);
    const value = span.value ?? leaf.text.slice(span.start, span.end);
    const { context } = leaf;
    if (operator.type === 'block' && progress.mayBlock) {
      throw new StrongroomError(
        'ERR_PII_BLOCKED',
        `redact: ${span.entityType} in ${shownPath(context.path)} of a ${context.itemType} item; its operator is block. Nothing was stored.`,
      );
    }
    return after(
      operator.apply(value, { entityType: span.entityType, path: context.path }),
      (replacement) => {
        if (typeof replacement !== 'string') {
          throw new StrongroomError(
            'ERR_INVALID_OPTION',
            `redact: the operator of ${span.entityType} returned ${typeof replacement} instead of a string.`,
          );
        }
        if (operator.type === 'pseudonymize') progress.tokens.set(replacement, value);
        // What stays in later rounds is what the first one has reported.
        if (progress.round === 0 || replacement !== value) {
          progress.findings.push({
            entityType: span.entityType,
            path: context.path,
            itemType: context.itemType,
            score: span.score,
            recognizer: span.recognizer,
            operator: operator.type,
          });
        }
        return replacement === value ? leaf.text.slice(span.start, span.end) : replacement;
      },
    );
  };

  const editLeaf = (leaf: Leaf, cuts: readonly Cut[], progress: Progress): MaybePromise<string> => {
    if (leaf.kind === 'unscanned') return refuseUnscanned(leaf, progress);
    const before = progress.outputs.get(leaf.text) ?? [];
    const fresh = before.length === 0 ? cuts : cuts.filter(({ span }) => !overlapsOne(before, span));
    if (fresh.length === 0) {
      if (before.length > 0) progress.nextOutputs.set(leaf.text, before);
      return leaf.text;
    }
    const numbers =
      leaf.kind === 'number' ? operatorOf((fresh[0] as Cut).span.entityType).numbers : undefined;
    return after(
      together(fresh.map((cut) => (cut.isRest ? '' : replace(cut.span, leaf, progress)))),
      (replacements) => {
        if (numbers !== undefined) return numbers === 'null' ? 'null' : digitsLike(leaf.text);
        const edits = fresh.map(({ span: { start, end, entityType } }, index) => ({
          start,
          end,
          replacement: replacements[index] as string,
          isOutput: operatorOf(entityType).type === 'custom',
        }));
        const edited = applyEdits(leaf.text, edits, before);
        if (edited.outputs.length > 0) progress.nextOutputs.set(edited.text, edited.outputs);
        return edited.text;
      },
    );
  };

  const refuseUnscanned = (leaf: Leaf, progress: Progress): string => {
    if (settings.onOversize === 'block' && progress.mayBlock) {
      throw new StrongroomError(
        'ERR_PII_BLOCKED',
        `redact: ${shownPath(leaf.context.path)} of a ${leaf.context.itemType} item is larger than maxScanBytes ` +
          `(${settings.maxScanBytes}) and was not searched. Raise it, shorten the text, or choose onOversize: 'drop'.`,
      );
    }
    noteUnsearched('oversize', leaf, leaf.text.length, progress);
    return UNSCANNED;
  };

  const noteUnsearched = (
    reason: UnsearchedText['reason'],
    { context: { path, itemType } }: Leaf,
    length: number,
    progress: Progress,
  ): void => {
    if (progress.round === 0) progress.unsearched.push({ reason, path, itemType, length });
  };

  const noteEncoded = (leaf: Leaf, progress: Progress): void => {
    if (leaf.kind === 'unscanned' || progress.round > 0) return;
    const length = unsearchedLength(leaf.text, settings.decode.has('base64'));
    if (length > 0) noteUnsearched('encoded', leaf, length, progress);
  };

  /** What all texts of an item become in one round. */
  const redactTexts = (leaves: readonly Leaf[], progress: Progress): MaybePromise<readonly string[]> => {
    for (const leaf of leaves) noteEncoded(leaf, progress);
    return after(
      together(
        leaves.map((leaf) => (leaf.kind === 'unscanned' ? [] : analyze(leaf.text, leaf.context, leaf.look))),
      ),
      (own) =>
        after(
          together(runsOf(leaves).map((run) => findAcross(run, leaves, own, analyze))),
          (across): MaybePromise<readonly string[]> => {
            const cuts: (readonly Cut[])[] = own.map((spans) =>
              spans.map((span) => ({ span, isRest: false })),
            );
            for (const changed of across) for (const [index, list] of changed) cuts[index] = list;
            return together(
              leaves.map((leaf, index) => editLeaf(leaf, cuts[index] as readonly Cut[], progress)),
            );
          },
        ),
    );
  };

  const applyTransform = (
    leaves: readonly Leaf[],
    texts: readonly string[],
    item: AgentInputItem,
  ): MaybePromise<readonly string[]> => {
    const { transform } = settings;
    if (transform === undefined) return texts;
    const results = leaves.map((leaf, index): MaybePromise<string> => {
      const text = texts[index] as string;
      return leaf.kind === 'text' ? transform(text, { path: leaf.context.path, item }) : text;
    });
    return after(together(results), (transformed) => {
      for (const [index, result] of transformed.entries()) {
        if (typeof result === 'string') continue;
        throw new StrongroomError(
          'ERR_INVALID_OPTION',
          `redact: transform returned ${typeof result} for ${shownPath((leaves[index] as Leaf).context.path)}; it must return a string.`,
        );
      }
      return transformed;
    });
  };

  const redactRound = (item: AgentInputItem, plan: Plan, progress: Progress): MaybePromise<RedactedItem> => {
    if (plan.leaves.length === 0) return resultOf(item, progress);
    return after(redactTexts(plan.leaves, progress), (texts) =>
      after(
        progress.round === 0 ? applyTransform(plan.leaves, texts, progress.original) : texts,
        (final): MaybePromise<RedactedItem> => {
          const isSame = final.every((text, index) => text === (plan.leaves[index] as Leaf).text);
          const next = isSame ? item : plan.render(final);
          progress.round++;
          progress.outputs = progress.nextOutputs;
          progress.nextOutputs = new Map();
          // Once more over what came out, so that a second redaction of it changes nothing.
          if (next !== item && progress.round < MOST_ROUNDS) return redactRound(next, planOf(next), progress);
          return resultOf(next, progress);
        },
      ),
    );
  };

  const resultOf = (item: AgentInputItem, { findings, unsearched, tokens }: Progress): RedactedItem => ({
    item,
    findings,
    unsearched,
    tokens,
  });

  const planOf = (item: AgentInputItem): Plan => planItem(item, settings.maxScanBytes, inspect);

  const redactItem = (item: AgentInputItem, mayBlock: boolean): MaybePromise<RedactedItem> => {
    const plan = planOf(item);
    if (plan.leaves.length === 0) return { item, findings: [], unsearched: [], tokens: NO_TOKENS };
    return redactRound(item, plan, {
      original: item,
      mayBlock,
      findings: [],
      unsearched: [],
      tokens: new Map(),
      outputs: new Map(),
      nextOutputs: new Map(),
      round: 0,
    });
  };

  return {
    analyze,
    redactItem,
    compare(item) {
      if (isAsynchronous) return blankItem(item);
      try {
        const redacted = redactItem(item, false);
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

/** As many digits, all the same: no recognizer takes them for a find, and 16 of them are still a safe integer. */
function digitsLike(number: string): string {
  return (number.length < 16 ? '9' : '8').repeat(number.length);
}
