import { StrongroomError } from '../errors.ts';
import type { MaybePromise } from '../layer.ts';
import { after, together } from '../maybe-promise.ts';
import { shownPath } from '../protocol/item-path.ts';
import type { RedactionSettings } from './options.ts';
import type { Leaf } from './plan.ts';
import { reportPath, type Progress } from './progress.ts';

/** The texts after the option `transform`, which gets no keys, no numbers and no texts that were not searched. */
export function applyTransform(
  transform: RedactionSettings['transform'],
  leaves: readonly Leaf[],
  texts: readonly string[],
  progress: Progress,
): MaybePromise<readonly string[]> {
  if (transform === undefined) return texts;
  const { original: item } = progress;
  const results = leaves.map((leaf, index): MaybePromise<string> => {
    const text = texts[index] as string;
    return leaf.kind === 'text' ? transform(text, { path: reportPath(leaf, progress), item }) : text;
  });
  return after(together(results), (transformed) => {
    for (const [index, result] of transformed.entries()) {
      if (typeof result === 'string') continue;
      throw new StrongroomError(
        'ERR_INVALID_OPTION',
        `redact: transform returned ${typeof result} for ${shownPath(reportPath(leaves[index] as Leaf, progress))}; it must return a string.`,
      );
    }
    return transformed;
  });
}
