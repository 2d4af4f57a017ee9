import type { AgentInputItem } from '@openai/agents';
import { count, time } from '../../report/page/format.ts';
import { markup, type Html } from '../../report/page/html.ts';
import type { OpenTurn } from './reading.ts';

/** A page stays usable with one tool result of megabytes on it. */
const LONGEST_TEXT = 20_000;

/** One turn with its items. Everything is text: images and files are named, never loaded. */
export function turnOf({ number, items }: OpenTurn): Html {
  const at = items[0]?.details.at;
  return markup`<article class="turn" id="turn-${number}">
    <header><h3>${number === 0 ? 'Before the first turn' : `Turn ${number}`}</h3>
      <span class="note">${at !== undefined && markup`${time(at)}, `}${count(items.length, 'item')}</span></header>
    ${items.map(({ item, details }) => itemOf(item, details.agent))}
  </article>`;
}

function itemOf(item: AgentInputItem, agent: string | undefined): Html {
  const { who, parts, isUser } = partsOf(item);
  return markup`<div class="item${isUser && ' user'}"><div class="who">${who}${
    agent !== undefined && ` · ${agent}`
  }</div>${parts}</div>`;
}

interface Parts {
  readonly who: string;
  readonly parts: readonly Html[];
  readonly isUser?: boolean;
}

/** Items can be of any form: another program may have written them. */
function partsOf(item: AgentInputItem): Parts {
  const { type, role, content, name, arguments: given, output } = item as unknown as Record<string, unknown>;
  if (typeof role === 'string') {
    return { who: role, isUser: role === 'user', parts: partsOfContent(content) };
  }
  if (type === 'function_call') return { who: `call of ${nameOf(name)}`, parts: [code(given)] };
  if (type === 'function_call_result')
    return { who: `result of ${nameOf(name)}`, parts: partsOfContent(output) };
  if (type === 'reasoning') return { who: 'reasoning', parts: partsOfContent(content) };
  return { who: nameOf(type), parts: [code(item)] };
}

function nameOf(value: unknown): string {
  return typeof value === 'string' ? value : 'an item without a name';
}

function partsOfContent(content: unknown): readonly Html[] {
  const parts: readonly unknown[] = Array.isArray(content) ? content : [content];
  return parts.map((part) => {
    if (typeof part === 'string') return paragraph(part);
    const { text, refusal } = Object(part) as { readonly text?: unknown; readonly refusal?: unknown };
    if (typeof text === 'string') return paragraph(text);
    return typeof refusal === 'string' ? paragraph(refusal) : code(part);
  });
}

function paragraph(text: string): Html {
  return markup`<p>${shortened(text)}</p>`;
}

function code(value: unknown): Html {
  const text = typeof value === 'string' ? value : JSON.stringify(value, withoutBytes, 2);
  return markup`<pre>${shortened(text ?? 'nothing')}</pre>`;
}

/** Bytes, and texts that hold some, are named by their size. */
function withoutBytes(_key: string, value: unknown): unknown {
  if (ArrayBuffer.isView(value)) return `[${count(value.byteLength, 'byte')}]`;
  if (typeof value !== 'string') return value;
  return value.startsWith('data:') ? `[data: URL of ${count(value.length, 'character')}]` : value;
}

function shortened(text: string): string {
  if (text.length <= LONGEST_TEXT) return text;
  return `${text.slice(0, LONGEST_TEXT)}\n[${count(text.length - LONGEST_TEXT, 'more character')}]`;
}
