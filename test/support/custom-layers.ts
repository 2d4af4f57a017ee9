import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { AgentInputItem } from '@openai/agents';
import type { Entry, SessionLayer } from '../../src/index.ts';
import { decodeItem, encodeItem } from '../../src/protocol/item.ts';

function pack(item: AgentInputItem): AgentInputItem {
  const text = deflateRawSync(encodeItem(item)).toString('base64');
  return { type: 'message', role: 'user', content: [{ type: 'input_text', text }] };
}

function unpack(item: AgentInputItem): AgentInputItem {
  const { content } = item as { readonly content: readonly { readonly text: string }[] };
  return decodeItem(inflateRawSync(Buffer.from(content[0]?.text ?? '', 'base64')).toString());
}

/** A codec that writes no header: compresses every item, so that nothing else stands in the store. */
export function compress(): SessionLayer {
  return {
    name: 'compress',
    reads: 'inverse',
    write: (entries) => entries.map((entry) => ({ ...entry, item: pack(entry.item) })),
    read: (entries) => entries.map((entry) => ({ ...entry, item: unpack(entry.item) })),
  };
}

/** A codec that compresses what is long, and says so in the header. */
export function compressLong(characters = 200): SessionLayer {
  const write = (entry: Entry): Entry =>
    encodeItem(entry.item).length < characters
      ? entry
      : { ...entry, item: pack(entry.item), header: { ...entry.header, 'x-z': 1 } };
  const read = (entry: Entry): Entry => {
    const { 'x-z': packed, ...header } = entry.header;
    return packed === undefined ? entry : { ...entry, item: unpack(entry.item), header };
  };
  return {
    name: 'compressLong',
    stamps: true,
    reads: 'inverse',
    write: (entries) => entries.map(write),
    read: (entries) => entries.map(read),
  };
}

/** Labels each item with who wrote it first. */
export function label(by = 'release 7'): SessionLayer {
  return {
    name: 'label',
    stamps: true,
    write: (entries) =>
      entries.map((entry) =>
        'x-by' in entry.header ? entry : { ...entry, header: { ...entry.header, 'x-by': by } },
      ),
  };
}

/** Hands the headers of each read to a test. */
export function headersTo(seen: (headers: readonly Entry['header'][]) => void): SessionLayer {
  return {
    name: 'headers',
    inspect: (entries) => seen(entries.map((entry) => ('header' in entry ? entry.header : {}))),
  };
}
