import type { AgentInputItem } from '@openai/agents';
import { ONE_PIXEL } from '../history/one-pixel.ts';
import type { SessionLayer } from '../layer.ts';
import { checkOptions, invalidOption } from '../options.ts';
import { itemType } from '../redaction/walk.ts';
import { mapInSlices } from '../slices.ts';

/** Options of {@link minimize}; at least one. */
export interface MinimizeOptions {
  /** Results of tools, all or all but those of the tools named in `keep`. Their calls stay. */
  readonly toolOutputs?: boolean | { readonly keep: readonly string[] };
  /** Reasoning text, where the provider returns it. The item stays with its id and its encrypted content. */
  readonly reasoning?: boolean;
  /** Pictures in messages and results, screenshots, generated pictures. */
  readonly images?: boolean;
  /** Files and sounds in messages and results; their names stay. */
  readonly files?: boolean;
}

type Part = Readonly<Record<string, unknown>>;

const NO_OUTPUT = '[tool output not kept]';
const NO_REASONING = '[reasoning not kept]';
const NO_IMAGE = '[image not kept]';
const NO_FILE = '[file not kept]';
/** Fields of `providerData` without which a provider does not accept its reasoning again. */
const ENCRYPTED: ReadonlySet<string> = new Set(['encrypted_content', 'encryptedContent']);
const RESULT_FIELDS: ReadonlySet<string> = new Set(['output', 'outputs', 'results', 'result', 'error']);

/**
 * Stores a placeholder where the content itself is not needed again. The model of the run that adds the content
 * sees all of it; later runs see the placeholder. The history stays valid: items, ids and pairs stay. The
 * `providerData` of the item is removed with the content, except encrypted reasoning and the queries of hosted
 * tools.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`.
 *
 * @example
 * ```ts
 * import { MemorySession } from '@openai/agents';
 * import { minimize, wrapSession } from 'strongroom';
 *
 * export const session = wrapSession(new MemorySession(), [
 *   minimize({ toolOutputs: { keep: ['get_order'] }, images: true }),
 * ]);
 * ```
 */
export function minimize(options: MinimizeOptions): SessionLayer {
  const where = 'minimize';
  checkOptions(where, options, ['toolOutputs', 'reasoning', 'images', 'files']);
  for (const name of ['reasoning', 'images', 'files'] as const) {
    const value = options[name];
    if (value !== undefined && typeof value !== 'boolean') invalidOption(where, name, 'true or false', value);
  }
  const { toolOutputs = false, reasoning = false, images = false, files = false } = options;
  const kept = keptTools(where, toolOutputs);
  if (kept === undefined && !reasoning && !images && !files) {
    invalidOption(where, 'options', 'one or more of toolOutputs, reasoning, images and files', options);
  }

  const part = (value: unknown, textType: 'input_text' | 'output_text' | 'text'): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    const { type } = value as Part;
    if (images && (type === 'input_image' || type === 'image')) return { type: textType, text: NO_IMAGE };
    if (files && (type === 'input_file' || type === 'file'))
      return { type: textType, text: nameOf(value as Part) };
    if (files && type === 'audio') return { type: textType, text: transcriptOf(value as Part) };
    return value;
  };

  const reduce = (item: AgentInputItem): AgentInputItem => {
    const reduced = reduceContent(item);
    return reduced === item ? item : withoutProviderData(reduced);
  };

  const reduceContent = (item: AgentInputItem): AgentInputItem => {
    const fields = fieldsOf(item);
    switch (itemType(item)) {
      case 'message': {
        const { content, role } = fields;
        if (!Array.isArray(content)) return item;
        return changed(
          item,
          'content',
          content.map((each) => part(each, role === 'user' ? 'input_text' : 'output_text')),
        );
      }
      case 'reasoning': {
        if (!reasoning) return item;
        const placeholder = (list: unknown): unknown =>
          Array.isArray(list)
            ? list.map(({ providerData: _data, ...each }: Part) => ({ ...each, text: NO_REASONING }))
            : list;
        return changed(
          changed(item, 'content', placeholder(fields['content'])),
          'rawContent',
          placeholder(fields['rawContent']),
        );
      }
      case 'function_call_result':
        return changed(item, 'output', resultOutput(fields));
      case 'computer_call_result':
        return images || isDropped('computer')
          ? changed(item, 'output', { ...(fields['output'] as Part), data: ONE_PIXEL })
          : item;
      case 'shell_call_output':
        return isDropped('shell') && Array.isArray(fields['output'])
          ? changed(
              item,
              'output',
              fields['output'].map((each: Part) => ({ ...each, stdout: NO_OUTPUT, stderr: '' })),
            )
          : item;
      case 'apply_patch_call_output':
      case 'program_output':
        return isDropped(itemType(item)) && typeof fields['output'] === 'string'
          ? changed(item, 'output', NO_OUTPUT)
          : item;
      case 'hosted_tool_call':
        return hostedCall(item, fields);
      default:
        return item;
    }
  };

  const isDropped = (tool: unknown): boolean => kept !== undefined && !kept.has(String(tool));

  const resultOutput = ({ name, output }: Part): unknown => {
    if (isDropped(name)) {
      if (typeof output === 'string') return NO_OUTPUT;
      return Array.isArray(output)
        ? [{ type: 'input_text', text: NO_OUTPUT }]
        : { type: 'text', text: NO_OUTPUT };
    }
    return Array.isArray(output) ? output.map((each) => part(each, 'input_text')) : part(output, 'text');
  };

  /** The result of a hosted tool, in the protocol's field and the provider's; its query, ids and names stay. */
  const hostedCall = (item: AgentInputItem, { name, output, providerData }: Part): AgentInputItem => {
    const isImage = typeof name === 'string' && name.startsWith('image_generation');
    if (!isDropped(name) && !(images && isImage)) return item;
    const placeholder = isImage ? NO_IMAGE : NO_OUTPUT;
    const withoutOutput = typeof output === 'string' ? changed(item, 'output', placeholder) : item;
    if (typeof providerData !== 'object' || providerData === null) return withoutOutput;
    const rest = Object.fromEntries(Object.entries(providerData).filter(([key]) => !RESULT_FIELDS.has(key)));
    return changed(withoutOutput, 'providerData', rest);
  };

  return {
    name: where,
    write: (entries) =>
      mapInSlices(entries, (entry) => {
        const item = reduce(entry.item);
        return item === entry.item ? entry : { ...entry, item };
      }),
    compare: reduce,
  };
}

function keptTools(where: string, toolOutputs: unknown): ReadonlySet<string> | undefined {
  if (toolOutputs === false) return undefined;
  if (toolOutputs === true) return new Set();
  const rule = 'true, false or { keep: [tool names] }';
  if (typeof toolOutputs !== 'object' || toolOutputs === null)
    return invalidOption(where, 'toolOutputs', rule, toolOutputs);
  checkOptions(`${where}: toolOutputs`, toolOutputs, ['keep']);
  const { keep } = toolOutputs as { keep?: unknown };
  if (!Array.isArray(keep) || keep.some((name) => typeof name !== 'string')) {
    return invalidOption(where, 'toolOutputs.keep', 'an array of tool names', keep);
  }
  return new Set(keep as readonly string[]);
}

function nameOf(file: Part): string {
  const inner = file['file'];
  const name =
    file['filename'] ??
    (typeof inner === 'object' && inner !== null ? (inner as Part)['filename'] : undefined);
  return typeof name === 'string' ? `${NO_FILE} ${name}` : NO_FILE;
}

function transcriptOf(audio: Part): string {
  const { transcript } = audio;
  return typeof transcript === 'string' && transcript !== '' ? transcript : NO_FILE;
}

/**
 * A provider's own form of an item can repeat what was dropped. The parts that a later run needs stay: encrypted
 * reasoning, and everything but the result of hosted tools.
 */
function withoutProviderData(item: AgentInputItem): AgentInputItem {
  if (item.providerData === undefined || itemType(item) === 'hosted_tool_call') return item;
  const { providerData, ...rest } = item;
  const kept = Object.entries(providerData).filter(([key]) => ENCRYPTED.has(key));
  return kept.length === 0 ? rest : { ...rest, providerData: Object.fromEntries(kept) };
}

/** The fields of any type of item; its own type knows only those that all of them have. */
function fieldsOf(item: AgentInputItem): Part {
  return item;
}

/** The item itself when the field is absent or unchanged. */
function changed(item: AgentInputItem, field: string, value: unknown): AgentInputItem {
  const before = fieldsOf(item)[field];
  if (before === undefined || value === before) return item;
  if (Array.isArray(before) && Array.isArray(value) && before.every((each, index) => each === value[index])) {
    if (before.length === value.length) return item;
  }
  return { ...item, [field]: value };
}
