import type { AgentInputItem } from '@openai/agents';
import { checkOptions, invalidOption } from '../options.ts';

/**
 * The cost of the framing of an item: the role or type, separators, an id. OpenAI does not publish these; the
 * numbers are upper bounds of the chat formats of its models.
 */
const MESSAGE = 4;
const CALL = 8;

/** The cost of content that is not text, in tokens. */
export interface MediaCosts {
  /** A picture at `detail: 'low'`; default 85. */
  readonly lowDetailImage: number;
  /** Any other picture: the size is not known here, so this is the upper end for OpenAI's models. Default 1,500. */
  readonly image: number;
  /** A file by id or URL. Default 3,000, about two pages of a PDF. */
  readonly file: number;
}

export const MEDIA_COSTS: MediaCosts = { lowDetailImage: 85, image: 1_500, file: 3_000 };

export const MEDIA_NAMES: readonly (keyof MediaCosts)[] = ['lowDetailImage', 'image', 'file'];

/** The defaults, overridden by the given values, or `ERR_INVALID_OPTION`. */
export function mediaCosts(where: string, given: Partial<MediaCosts>): MediaCosts {
  checkOptions(where, given, MEDIA_NAMES);
  for (const name of MEDIA_NAMES) {
    const value = given[name];
    if (value !== undefined && !(Number.isFinite(value) && value >= 0)) {
      invalidOption(where, name, 'a number of tokens, at least 0', value);
    }
  }
  return { ...MEDIA_COSTS, ...given };
}

/** Base64 characters a token: encrypted reasoning and compaction, text files, PDF pages with pictures, audio. */
const ENCRYPTED = 5;
const TEXT_FILE = 5;
const BINARY_FILE = 60;
const AUDIO = 2_000;

type Loose = Readonly<Record<string, unknown>>;

/**
 * The cost of an item in tokens, its texts counted by `count`. Every item type has a cost; unknown ones cost their
 * JSON.
 */
export function createItemCost(
  count: (text: string) => number,
  media: MediaCosts = MEDIA_COSTS,
): (item: AgentInputItem) => number {
  const text = (value: unknown): number => (typeof value === 'string' && value !== '' ? count(value) : 0);
  const json = (value: unknown): number =>
    value === undefined || value === null
      ? 0
      : typeof value === 'string'
        ? text(value)
        : count(JSON.stringify(value));
  const parts = (value: unknown): number => {
    if (!Array.isArray(value))
      return typeof value === 'object' && value !== null ? part(value as Loose) : text(value);
    let tokens = 0;
    for (const each of value)
      tokens += typeof each === 'object' && each !== null ? part(each as Loose) : text(each);
    return tokens;
  };
  const part = (value: Loose): number => {
    switch (value['type']) {
      case 'input_text':
      case 'output_text':
      case 'text':
      case 'reasoning_text':
        return text(value['text']);
      case 'refusal':
        return text(value['refusal']);
      case 'input_image':
      case 'image':
      case 'computer_screenshot':
        return value['detail'] === 'low' ? media.lowDetailImage : media.image;
      case 'input_file':
      case 'file':
        return text(value['filename']) + fileCost(value['file'], media);
      case 'audio':
        return Math.max(text(value['transcript']), Math.ceil(inlineLength(value['audio']) / AUDIO));
      default:
        return json(value);
    }
  };

  return (item) => {
    // Fields of any type of item; an absent field has no cost.
    const fields = item as unknown as Loose;
    switch (fields['type']) {
      case undefined:
      case 'message':
        return MESSAGE + parts(fields['content']);
      case 'function_call':
        return CALL + text(fields['namespace']) + text(fields['name']) + text(fields['arguments']);
      case 'function_call_result':
      case 'computer_call_result':
        return CALL + parts(fields['output']);
      case 'hosted_tool_call':
        return (
          CALL +
          text(fields['name']) +
          text(fields['arguments']) +
          text(fields['output']) +
          json(fields['providerData'])
        );
      case 'computer_call':
        return CALL + json(fields['action']) + json(fields['actions']);
      case 'shell_call':
        return CALL + json(fields['action']);
      case 'shell_call_output':
        return CALL + json(fields['output']);
      case 'apply_patch_call':
        return CALL + json(fields['operation']);
      case 'apply_patch_call_output':
      case 'program_output':
        return CALL + text(fields['output']);
      case 'program':
        return CALL + text(fields['code']) + text(fields['fingerprint']);
      case 'tool_search_call':
        return CALL + json(fields['arguments']);
      case 'tool_search_output':
        return CALL + json(fields['tools']);
      case 'reasoning': {
        const encrypted = (fields['providerData'] as Loose | undefined)?.['encrypted_content'];
        const sealed = typeof encrypted === 'string' ? Math.ceil(encrypted.length / ENCRYPTED) : 0;
        return MESSAGE + parts(fields['content']) + parts(fields['rawContent']) + sealed;
      }
      case 'compaction': {
        const sealed = fields['encrypted_content'];
        return MESSAGE + (typeof sealed === 'string' ? Math.ceil(sealed.length / ENCRYPTED) : 0);
      }
      default:
        return MESSAGE + json(fields);
    }
  };
}

function fileCost(file: unknown, media: MediaCosts): number {
  const length = inlineLength(file);
  if (length === 0) return media.file;
  const type = typeof file === 'string' ? file.slice(0, 40) : String((file as Loose)['mediaType']);
  return /^(data:)?(text\/|application\/json)/.test(type)
    ? Math.ceil(length / TEXT_FILE)
    : Math.max(media.file / 2, Math.ceil(length / BINARY_FILE));
}

/** Base64 characters in the item itself; 0 for a reference. */
function inlineLength(value: unknown): number {
  if (typeof value === 'string') return /^https?:/.test(value) ? 0 : value.length;
  if (typeof value !== 'object' || value === null) return 0;
  const data = (value as Loose)['data'];
  if (typeof data === 'string') return data.length;
  return data instanceof Uint8Array ? Math.ceil(data.length / 3) * 4 : 0;
}
