import type { AgentInputItem, CallModelInputFilter } from '@openai/agents';
import { checkOptions, invalidOption } from '../options.ts';
import { ONE_PIXEL } from './one-pixel.ts';
import { isUserMessage } from './structure.ts';
import { answeredUntil, checkAmount } from './tool-outputs.ts';

/** Options of {@link limitImages}. */
export interface LimitImagesOptions {
  /** How many of the latest pictures stay, from 0 on. */
  readonly max: number;
  /** The text that replaces a picture; default `'[image removed]'`. */
  readonly placeholder?: string;
}

/**
 * A `callModelInputFilter` that keeps the latest pictures and replaces older ones by a text: in user messages, in
 * tool outputs, in generated images, and in the screenshots of computer calls (there by one transparent pixel,
 * because the API accepts no text). Only the request is changed; the store keeps every picture, with one limit.
 *
 * The runner stores new input as a filter returns it, and does not tell a filter which items are new. So pictures in
 * the last user message, and in user messages before it up to the last item that a model made, always stay and count
 * first. New input that has answers or calls of a model itself (examples, an imported conversation) cannot be told
 * from history: add those items with `session.addItems()` before the run, else their pictures are replaced in the
 * store too.
 *
 * @throws StrongroomError `ERR_INVALID_OPTION`
 *
 * @example
 * ```ts
 * import { clearToolOutputs, composeFilters, limitImages } from 'strongroom/history';
 *
 * export const callModelInputFilter = composeFilters(limitImages({ max: 3 }), clearToolOutputs());
 * ```
 */
export function limitImages(options: LimitImagesOptions): CallModelInputFilter {
  const where = 'limitImages()';
  checkOptions(where, options, ['max', 'placeholder']);
  const { max, placeholder = '[image removed]' } = options;
  checkAmount(where, 'max', max, 0);
  if (typeof placeholder !== 'string' || placeholder === '') {
    invalidOption(where, 'placeholder', 'a text', placeholder);
  }
  return ({ modelData }) => {
    const { input } = modelData;
    const fresh = newInputFrom(input);
    const unseen = answeredUntil(input);
    let left = max;
    const result = [...input];
    for (let index = input.length - 1; index >= 0; index--) {
      const item = input[index] as AgentInputItem;
      const stays = index >= unseen || (index >= fresh && isUserMessage(item));
      result[index] = withoutImages(item, placeholder, () => {
        left--;
        return stays || left >= 0;
      });
    }
    return { ...modelData, input: result };
  };
}

/** Where the new input of the run begins at the latest: no model made anything from there to the last user message. */
function newInputFrom(input: readonly AgentInputItem[]): number {
  const last = input.findLastIndex(isUserMessage);
  return last < 0 ? input.length : answeredUntil(input.slice(0, last));
}

type Part = { readonly type: string };

/** `keeps` is called for each picture, the last one first. The item itself when all of them stay. */
function withoutImages(item: AgentInputItem, placeholder: string, keeps: () => boolean): AgentInputItem {
  if (item.type === 'computer_call_result') {
    return keeps() ? item : { ...item, output: { ...item.output, data: ONE_PIXEL } };
  }
  if (item.type === 'function_call_result') {
    const { output } = item;
    if (typeof output === 'string') return item;
    if (Array.isArray(output)) {
      const parts = mapParts(output, keeps, () => ({ type: 'input_text' as const, text: placeholder }));
      return parts === output ? item : { ...item, output: parts };
    }
    return output.type !== 'image' || keeps()
      ? item
      : { ...item, output: { type: 'text' as const, text: placeholder } };
  }
  if (!('role' in item) || typeof item.content === 'string') return item;
  if (item.role === 'user') {
    const content = mapParts(item.content, keeps, () => ({ type: 'input_text' as const, text: placeholder }));
    return content === item.content ? item : { ...item, content };
  }
  if (item.role !== 'assistant') return item;
  const content = mapParts(item.content, keeps, () => ({ type: 'output_text' as const, text: placeholder }));
  return content === item.content ? item : { ...item, content };
}

function mapParts<T extends Part>(parts: T[], keeps: () => boolean, replacement: () => T): T[] {
  let copy: T[] | undefined;
  for (let index = parts.length - 1; index >= 0; index--) {
    const { type } = parts[index] as T;
    if ((type !== 'input_image' && type !== 'image') || keeps()) continue;
    copy ??= [...parts];
    copy[index] = replacement();
  }
  return copy ?? parts;
}
