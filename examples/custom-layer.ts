/** Two layers of your own: one that only looks, and one that changes what is stored. */
import { MemorySession, type AgentInputItem } from '@openai/agents';
import { encrypt, generateKey, keyring, wrapSession, type SessionLayer } from 'strongroom';

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
    // The runner compares what it wrote with what it reads back: it must see the same change on both sides.
    compare: store,
  };
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
