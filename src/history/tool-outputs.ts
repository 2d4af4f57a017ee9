import type { AgentInputItem, CallModelInputFilter } from '@openai/agents';
import { checkOptions, dropPromise, invalidOption } from '../options.ts';
import { createLinkMatcher } from '../protocol/links.ts';

/** A tool output that {@link clearToolOutputs} is about to clear. */
export interface ClearedOutput {
  /** Name of the tool; of built-in tools the type of their call. */
  readonly toolName: string;
  readonly callId: string;
  /** Characters of text that are removed. */
  readonly characters: number;
}

/** Options of {@link clearToolOutputs}. */
export interface ClearToolOutputsOptions {
  /** How many of the latest tool outputs stay whole; default 3. */
  readonly keep?: number;
  /** Names of tools whose outputs are never cleared, and do not count. */
  readonly excludeTools?: readonly string[];
  /** Characters of the output's beginning that stay in front of the placeholder; default 0. */
  readonly previewChars?: number;
  /** The text that replaces the output; default `'[cleared]'`. A function must be pure. */
  readonly placeholder?: string | ((output: ClearedOutput) => string);
  /** Clear the arguments of those calls too, to `{}`; default `false`. */
  readonly clearToolInputs?: boolean;
  /**
   * Clear in steps of this many outputs; default 1. With 1 every new output changes an old one, and a provider's prompt
   * cache misses from there on; with 10 it does so once in ten outputs.
   */
  readonly clearAtLeast?: number;
}

/**
 * A `callModelInputFilter` that empties old tool outputs, which are the largest part of an agent's history. The
 * model still sees that the tool was called and that it answered. Only the request is changed: the history in the
 * store stays whole, and ids, names and links do not change.
 *
 * Outputs that no model call has seen yet (those at the end of the input) are never cleared. Works within a long run
 * too. Outputs are those of function tools, shell and apply-patch; for screenshots see {@link limitImages}.
 *
 * One limit, from the runner (`runner/sessionPersistence`): new input that a filter changes is *stored* as changed.
 * Tool outputs are rarely new input (an application that answers calls itself); such a run should not use this filter
 * with `keep` smaller than the number of outputs it passes.
 *
 * Prevents: `Your input exceeds the context window of this model. Please adjust your input and try again.`
 * (`context_length_exceeded`)
 *
 * @throws StrongroomError `ERR_INVALID_OPTION`
 *
 * @example
 * ```ts
 * import { Agent, run, type Session } from '@openai/agents';
 * import { clearToolOutputs } from 'strongroom/history';
 *
 * const callModelInputFilter = clearToolOutputs({ keep: 5, excludeTools: ['get_policy'] });
 *
 * export const ask = (agent: Agent, question: string, session: Session) =>
 *   run(agent, question, { session, callModelInputFilter });
 * ```
 */
export function clearToolOutputs(options: ClearToolOutputsOptions = {}): CallModelInputFilter {
  const where = 'clearToolOutputs()';
  checkOptions(where, options, [
    'keep',
    'excludeTools',
    'previewChars',
    'placeholder',
    'clearToolInputs',
    'clearAtLeast',
  ]);
  const { keep = 3, excludeTools = [], previewChars = 0, placeholder = '[cleared]' } = options;
  const { clearToolInputs = false, clearAtLeast = 1 } = options;
  checkAmount(where, 'keep', keep, 0);
  checkAmount(where, 'previewChars', previewChars, 0);
  checkAmount(where, 'clearAtLeast', clearAtLeast, 1);
  if (!Array.isArray(excludeTools) || !excludeTools.every((name) => typeof name === 'string')) {
    invalidOption(where, 'excludeTools', 'an array of tool names', excludeTools);
  }
  if (typeof placeholder !== 'string' && typeof placeholder !== 'function') {
    invalidOption(where, 'placeholder', 'a string or a function', placeholder);
  }
  if (typeof clearToolInputs !== 'boolean') {
    invalidOption(where, 'clearToolInputs', 'a boolean', clearToolInputs);
  }
  const excluded = new Set(excludeTools);
  const replace = (item: ToolOutput, toolName: string): AgentInputItem => {
    const text = textOf(item);
    const mark =
      typeof placeholder === 'string'
        ? placeholder
        : placeholder({ toolName, callId: item.callId, characters: text.length });
    const preview = previewOf(text, previewChars);
    if (typeof mark !== 'string') {
      dropPromise(mark);
      return invalidOption(where, 'placeholder', 'a string or a function that returns one at once', mark);
    }
    const cleared = preview === '' ? mark : `${preview}… ${mark}`;
    // An output that is no longer than its placeholder, or cleared already, stays. Its end says nothing: a web page can
    // end with the placeholder.
    return text.length <= cleared.length && !hasMedia(item) ? item : withText(item, cleared);
  };

  return ({ modelData }) => {
    const { input } = modelData;
    const matcher = createLinkMatcher();
    const found: { readonly index: number; readonly call: number; readonly toolName: string }[] = [];
    const answered = answeredUntil(input);
    for (const [index, item] of input.entries()) {
      const { closes = -1 } = matcher.add(item, index);
      if (!isToolOutput(item)) continue;
      const toolName = item.type === 'function_call_result' ? item.name : callTypeOf(item);
      if (!excluded.has(toolName)) found.push({ index, call: closes, toolName });
    }
    const count = Math.floor(Math.max(0, found.length - keep) / clearAtLeast) * clearAtLeast;
    const result = [...input];
    for (const { index, call, toolName } of found.slice(0, count)) {
      if (index >= answered) continue;
      result[index] = replace(input[index] as ToolOutput, toolName);
      if (clearToolInputs && call >= 0) result[call] = withoutArguments(input[call] as AgentInputItem);
    }
    return { ...modelData, input: result };
  };
}

type ToolOutput = Extract<
  AgentInputItem,
  { type: 'function_call_result' | 'shell_call_output' | 'apply_patch_call_output' }
>;

function isToolOutput(item: AgentInputItem): item is ToolOutput {
  return (
    item.type === 'function_call_result' ||
    item.type === 'shell_call_output' ||
    item.type === 'apply_patch_call_output'
  );
}

function callTypeOf(item: ToolOutput): string {
  return item.type === 'shell_call_output' ? 'shell_call' : 'apply_patch_call';
}

/** The index from which on no model call has answered. */
export function answeredUntil(input: readonly AgentInputItem[]): number {
  const last = input.findLastIndex(
    (item) =>
      ('role' in item && item.role === 'assistant') ||
      item.type === 'function_call' ||
      item.type === 'shell_call' ||
      item.type === 'apply_patch_call' ||
      item.type === 'computer_call',
  );
  // The items after the calls of the last response answer them.
  return last + 1;
}

function textOf(item: ToolOutput): string {
  if (item.type === 'apply_patch_call_output') return item.output ?? '';
  if (item.type === 'shell_call_output') {
    return item.output.map(({ stdout, stderr }) => `${stdout}${stderr}`).join('');
  }
  const { output } = item;
  if (typeof output === 'string') return output;
  const parts = Array.isArray(output) ? output : [output];
  return parts.map((part) => ('text' in part ? part.text : '')).join('');
}

function hasMedia(item: ToolOutput): boolean {
  if (item.type !== 'function_call_result' || typeof item.output === 'string') return false;
  const parts = Array.isArray(item.output) ? item.output : [item.output];
  return parts.some((part) => !('text' in part));
}

function withText(item: ToolOutput, text: string): AgentInputItem {
  if (item.type === 'apply_patch_call_output') return { ...item, output: text };
  if (item.type === 'shell_call_output') {
    // The outcome of each command stays, because the model needs it to decide.
    return {
      ...item,
      output: item.output.map((entry, index) => ({ ...entry, stdout: index === 0 ? text : '', stderr: '' })),
    };
  }
  if (typeof item.output === 'string') return { ...item, output: text };
  if (Array.isArray(item.output)) return { ...item, output: [{ type: 'input_text' as const, text }] };
  return { ...item, output: { type: 'text' as const, text } };
}

function withoutArguments(item: AgentInputItem): AgentInputItem {
  if (item.type === 'function_call') return { ...item, arguments: '{}' };
  return item;
}

/** The beginning of a text, never half of a surrogate pair. */
function previewOf(text: string, characters: number): string {
  const preview = text.slice(0, characters);
  return /[\uD800-\uDBFF]$/.test(preview) ? preview.slice(0, -1) : preview;
}

export function checkAmount(where: string, option: string, value: unknown, least: number): void {
  if (!Number.isSafeInteger(value) || (value as number) < least) {
    invalidOption(where, option, `a whole number of at least ${least}`, value);
  }
}
