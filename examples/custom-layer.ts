/** Layers of your own: one that only observes, one that changes stored items, one that labels them, and a codec. */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { MemorySession, type AgentInputItem } from '@openai/agents';
import {
  encrypt,
  expire,
  generateKey,
  keyring,
  wrapSession,
  type Entry,
  type SessionLayer,
} from 'strongroom';

// #region observer
/** Reports every call that took at least `overMs` milliseconds. A layer without data hooks may stand anywhere. */
function slowCalls(overMs: number, report: (text: string) => void): SessionLayer {
  return {
    name: 'slowCalls',
    async around(call, next) {
      const start = performance.now();
      try {
        return await next();
      } finally {
        const took = performance.now() - start;
        if (took >= overMs) report(`${call.kind} on ${call.sessionId}: ${took.toFixed(1)} ms`);
      }
    },
  };
}
// #endregion

// #region data
/**
 * Keeps at most `maxCharacters` of each tool result. The agent that called the tool has seen the whole; later turns see the
 * beginning.
 */
function shortToolResults(maxCharacters: number): SessionLayer {
  const shorten = (text: string): string =>
    text.length > maxCharacters ? `${text.slice(0, maxCharacters - 1)}…` : text;
  const store = (item: AgentInputItem): AgentInputItem => {
    if (item.type !== 'function_call_result') return item;
    const { output } = item;
    if (typeof output === 'string') return { ...item, output: shorten(output) };
    if (Array.isArray(output) || output.type !== 'text') return item;
    return { ...item, output: { ...output, text: shorten(output.text) } };
  };
  return {
    name: 'shortToolResults',
    write: (entries) => entries.map((entry) => ({ ...entry, item: store(entry.item) })),
    // The runner compares written items with those that it reads back: both must have the same change.
    compare: store,
  };
}
// #endregion

// #region label
/** Writes into each record which release stored it first. Fields of layers are named `x-…` and are stored in clear. */
function storedBy(release: string): SessionLayer {
  return {
    name: 'storedBy',
    stamps: true,
    write: (entries) =>
      entries.map((entry) =>
        // An item that a compaction keeps has its fields already.
        'x-release' in entry.header ? entry : { ...entry, header: { ...entry.header, 'x-release': release } },
      ),
  };
}
// #endregion

// #region codec
/** Compresses items with at least `overCharacters` characters of JSON, and marks them in the header of their record. */
function compress(overCharacters = 1_000): SessionLayer {
  const pack = (entry: Entry): Entry => {
    const json = jsonOf(entry.item);
    if (json === undefined || json.length < overCharacters) return entry;
    const text = deflateRawSync(json).toString('base64');
    return {
      ...entry,
      // Stores accept items of the protocol, so one of them carries the packed text.
      item: { type: 'message', role: 'user', content: [{ type: 'input_text', text }] },
      header: { ...entry.header, 'x-packed': 'deflate' },
    };
  };
  const unpack = (entry: Entry): Entry => {
    const { 'x-packed': packed, ...header } = entry.header;
    if (packed === undefined) return entry;
    const [part] = 'content' in entry.item && Array.isArray(entry.item.content) ? entry.item.content : [];
    if (part?.type !== 'input_text')
      throw new Error('A record that is marked as packed holds no packed text.');
    const json = inflateRawSync(Buffer.from(part.text, 'base64'), { maxOutputLength: 32 * 2 ** 20 });
    return { ...entry, item: JSON.parse(json.toString()) as AgentInputItem, header };
  };
  return {
    name: 'compress',
    stamps: true,
    // `read` undoes `write`, the mark in the header included: other layers never see packed items.
    reads: 'inverse',
    write: (entries) => entries.map(pack),
    read: (entries) => entries.map(unpack),
  };
}

/** The item as JSON, `undefined` for one with bytes, which JSON cannot hold. */
function jsonOf(item: AgentInputItem): string | undefined {
  let holdsBytes = false;
  const json = JSON.stringify(item, (_key, value: unknown) => {
    holdsBytes ||= ArrayBuffer.isView(value);
    return value;
  });
  return holdsBytes ? undefined : json;
}
// #endregion

const keys = keyring({ current: await generateKey() });
const inner = new MemorySession({ sessionId: 'user-123' });
const session = wrapSession(inner, [
  slowCalls(0, (text) => console.log('slow:', text)),
  shortToolResults(20),
  encrypt({ keys }),
]);

await session.addItems([
  {
    type: 'function_call',
    callId: 'call_1',
    name: 'search',
    arguments: '{"query":"weather"}',
    status: 'completed',
  },
  {
    type: 'function_call_result',
    callId: 'call_1',
    name: 'search',
    status: 'completed',
    output: { type: 'text', text: 'Sunny in the morning, rain from noon, storm warning for the coast.' },
  },
]);
const [, result] = await session.getItems();
console.log('The next turn sees:', result?.type === 'function_call_result' ? result.output : undefined);

const long = 'A storm warning for the coast, and rain from noon. '.repeat(100);
for (const layers of [[], [storedBy('7.2'), compress()]]) {
  const store = new MemorySession();
  const packed = wrapSession(store, [...layers, expire({ after: '30d' }), encrypt({ keys })]);
  await packed.addItems([{ role: 'user', content: long }]);
  const [message] = await packed.getItems();
  const isWhole = message !== undefined && 'content' in message && message.content === long;
  const { length } = JSON.stringify(await store.getItems());
  console.log(`${layers.length === 0 ? 'As it is' : 'Compressed'}: ${length} characters, whole: ${isWhole}`);
}
