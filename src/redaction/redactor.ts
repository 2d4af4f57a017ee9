import type { AgentInputItem } from '@openai/agents';
import type { MaybePromise } from '../layer.ts';
import { after, isThenable } from '../maybe-promise.ts';
import { analyzeText } from './analyze.ts';
import { applyTransform } from './apply-transform.ts';
import { createInspect, type Look } from './look.ts';
import type { RedactionSettings } from './options.ts';
import { blankItem, createPlanItem, type Leaf, type Plan } from './plan.ts';
import { beginProgress, resultOf, type Progress } from './progress.ts';
import type { TextContext } from './recognizer.ts';
import { createRedactTexts } from './redact-texts.ts';
import type { RedactedItem } from './redacted-item.ts';
import type { Span } from './spans.ts';

/** The engine of the layer and of the public redactor. */
export interface RedactionEngine {
  analyze(text: string, context: TextContext): MaybePromise<readonly Span[]>;
  /** @param mayBlock Whether the operator `block` refuses the item. */
  redactItem(item: AgentInputItem, mayBlock: boolean): MaybePromise<RedactedItem>;
  /** Synchronous with any recognizers, and never throws. */
  compare(item: AgentInputItem): AgentInputItem;
}

/** An edit can join digits that were separate; after few rounds nothing more is found. */
const MOST_ROUNDS = 6;

const NO_TOKENS: ReadonlyMap<string, string> = new Map();
const NONE: readonly never[] = [];

/** Builds the engine from checked options. */
export function createRedactionEngine(settings: RedactionSettings): RedactionEngine {
  // Set for good once a recognizer, an operator or a transform has returned a promise: comparisons cannot wait.
  let isAsynchronous = settings.isAsynchronous;

  const analyze = (text: string, context: TextContext, look?: Look): MaybePromise<readonly Span[]> =>
    analyzeText(settings, text, context, look);

  const planOf = createPlanItem(settings.maxScanBytes, createInspect(settings, analyze));

  const redactTexts = createRedactTexts(settings, analyze);

  const redactRound = (item: AgentInputItem, plan: Plan, progress: Progress): MaybePromise<RedactedItem> => {
    if (plan.leaves.length === 0) return resultOf(item, progress);
    return after(redactTexts(plan.leaves, progress), (texts) =>
      after(
        progress.round === 0 ? applyTransform(settings.transform, plan.leaves, texts, progress) : texts,
        (final): MaybePromise<RedactedItem> => {
          const isSame = final.every((text, index) => text === (plan.leaves[index] as Leaf).text);
          const next = isSame ? item : plan.render(item, final);
          progress.round++;
          progress.outputs = progress.nextOutputs;
          progress.nextOutputs = new Map();
          // Once more over the result, so that a second redaction changes nothing.
          if (next !== item && progress.round < MOST_ROUNDS) return redactRound(next, planOf(next), progress);
          return resultOf(next, progress);
        },
      ),
    );
  };

  const redactItem = (item: AgentInputItem, mayBlock: boolean): MaybePromise<RedactedItem> => {
    const plan = planOf(item);
    if (plan.leaves.length === 0) return { item, findings: NONE, unsearched: NONE, tokens: NO_TOKENS };
    return redactRound(item, plan, beginProgress(item, mayBlock));
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
        // An item that cannot be redacted cannot be written either: no stored item equals it.
      }
      return blankItem(item);
    },
  };
}
