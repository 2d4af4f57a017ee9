import { StrongroomError } from '../errors.ts';
import type { MaybePromise } from '../layer.ts';
import { after, together } from '../maybe-promise.ts';
import { shownPath } from '../protocol/item-path.ts';
import { operatorOf, type RedactionSettings } from './options.ts';
import { applyEdits, overlapsOne } from './outputs.ts';
import type { Leaf } from './plan.ts';
import { noteUnsearched, reportPath, type Progress } from './progress.ts';
import type { Cut } from './runs.ts';
import type { Span } from './spans.ts';

/** Edits a text in this round, with these cuts. */
export type EditLeaf = (leaf: Leaf, cuts: readonly Cut[], progress: Progress) => MaybePromise<string>;

/** Replaces a text that was too large to search. */
const UNSCANNED = '<UNSCANNED>';

export function createEditLeaf(settings: RedactionSettings): EditLeaf {
  const replace = (span: Span, leaf: Leaf, progress: Progress): MaybePromise<string> => {
    const operator = operatorOf(settings, span.entityType);
    const value = span.value ?? leaf.text.slice(span.start, span.end);
    const { context } = leaf;
    const path = reportPath(leaf, progress);
    if (operator.type === 'block' && progress.mayBlock) {
      throw new StrongroomError(
        'ERR_PII_BLOCKED',
        `redact: ${shownPath(path)} of a ${context.itemType} item contains ${span.entityType}, whose operator is block. Remove it; nothing was stored.`,
      );
    }
    return after(operator.apply(value, { entityType: span.entityType, path }), (replacement) => {
      if (typeof replacement !== 'string') {
        throw new StrongroomError(
          'ERR_INVALID_OPTION',
          `redact: the operator of ${span.entityType} returned ${typeof replacement}; it must return a string.`,
        );
      }
      if (operator.type === 'pseudonymize') progress.tokens.set(replacement, value);
      // The first round has reported finds that are not changed in later rounds.
      if (progress.round === 0 || replacement !== value) {
        progress.findings.push({
          entityType: span.entityType,
          path,
          itemType: context.itemType,
          score: span.score,
          recognizer: span.recognizer,
          operator: operator.type,
        });
      }
      return replacement === value ? leaf.text.slice(span.start, span.end) : replacement;
    });
  };

  const editLeaf: EditLeaf = (leaf, cuts, progress) => {
    if (leaf.kind === 'unscanned') return refuseUnscanned(leaf, progress);
    const before = progress.outputs.get(leaf.text) ?? [];
    const fresh = before.length === 0 ? cuts : cuts.filter(({ span }) => !overlapsOne(before, span));
    if (fresh.length === 0) {
      if (before.length > 0) progress.nextOutputs.set(leaf.text, before);
      return leaf.text;
    }
    const numbers =
      leaf.kind === 'number' ? operatorOf(settings, (fresh[0] as Cut).span.entityType).numbers : undefined;
    return after(
      together(fresh.map((cut) => (cut.isRest ? '' : replace(cut.span, leaf, progress)))),
      (replacements) => {
        if (numbers !== undefined) return numbers === 'null' ? 'null' : digitsLike(leaf.text);
        const edits = fresh.map(({ span: { start, end, entityType } }, index) => ({
          start,
          end,
          replacement: replacements[index] as string,
          isOutput: operatorOf(settings, entityType).type === 'custom',
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

  return editLeaf;
}

/** As many digits, all the same: no recognizer finds them, and 16 of them are still a safe integer. */
function digitsLike(number: string): string {
  return (number.length < 16 ? '9' : '8').repeat(number.length);
}
