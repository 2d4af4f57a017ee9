import type { MaybePromise } from '../layer.ts';
import { after, together } from '../maybe-promise.ts';
import { unsearchedLength } from './base64.ts';
import { createEditLeaf } from './edit-leaf.ts';
import type { Look } from './look.ts';
import type { RedactionSettings } from './options.ts';
import type { Leaf } from './plan.ts';
import { noteUnsearched, type Progress } from './progress.ts';
import type { TextContext } from './recognizer.ts';
import { findAcross, runsOf, type Cut } from './runs.ts';
import type { Span } from './spans.ts';

/** Redacts all texts of an item in one round. */
export type RedactTexts = (leaves: readonly Leaf[], progress: Progress) => MaybePromise<readonly string[]>;

export function createRedactTexts(
  settings: RedactionSettings,
  analyze: (text: string, context: TextContext, look?: Look) => MaybePromise<readonly Span[]>,
): RedactTexts {
  const editLeaf = createEditLeaf(settings);

  const noteEncoded = (leaf: Leaf, progress: Progress): void => {
    if (leaf.kind === 'unscanned' || progress.round > 0) return;
    const length = unsearchedLength(leaf.text, settings.decode.has('base64'));
    if (length > 0) noteUnsearched('encoded', leaf, length, progress);
  };

  return (leaves, progress) => {
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
            // Paths are made when all keys above their texts are searched.
            for (const [index, leaf] of leaves.entries()) {
              if (leaf.kind === 'key' && cuts[index]?.length !== 0) progress.foundKeys.add(leaf.text);
            }
            for (const leaf of leaves) noteEncoded(leaf, progress);
            return together(
              leaves.map((leaf, index) => editLeaf(leaf, cuts[index] as readonly Cut[], progress)),
            );
          },
        ),
    );
  };
}
