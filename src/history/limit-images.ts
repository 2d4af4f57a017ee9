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
 * because the API accepts no text). Only the request is changed; the store keeps every picture.
 *
 * The new input of the run is never changed, because the runner stores new input as a filter returns it: pictures
 * from the last user message on, and in user messages directly before it, always stay and count first.
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

/** Where the new input of the run begins at the latest: at the user messages that stand together last. */
function newInputFrom(input: readonly AgentInputItem[]): number {
  let index = input.findLastIndex(isUserMessage);
  if (index < 0) return input.length;
  while (index > 0 && isUserMessage(input[index - 1] as AgentInputItem)) index--;
  return index;
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
