import { MemorySession, type AgentInputItem } from '@openai/agents';
import type { Entry, SessionCall, SessionLayer } from '../../src/layer.ts';

/** A call as the engine makes one. */
export function sessionCall(kind: SessionCall['kind']): SessionCall {
  return {
    kind,
    sessionId: 'session-1',
    layers: [],
    inner: new MemorySession(),
    routesByRunContext: false,
    sealed: false,
    now: () => 0,
    lookBack: async () => undefined,
    skipped: () => undefined,
    result: {},
  };
}

/** What a layer's `write` makes of one item. */
export async function throughWrite(layer: SessionLayer, item: AgentInputItem): Promise<AgentInputItem> {
  const entries: readonly Entry[] =
    (await layer.write?.([{ item, header: {} }], sessionCall('addItems'))) ?? [];
  return (entries[0] as Entry).item;
}

/** What a layer's `read` makes of one item. */
export async function throughRead(layer: SessionLayer, item: AgentInputItem): Promise<AgentInputItem> {
  const entries = (await layer.read?.([{ item, header: {} }], sessionCall('getItems'))) ?? [];
  return (entries[0] as Entry).item;
}

/** A user message. */
export function userMessage(text: string): AgentInputItem {
  return { type: 'message', role: 'user', content: [{ type: 'input_text', text }] };
}

/** The text of {@link userMessage}. */
export function textOf(item: AgentInputItem): string {
  return (item as { content: { text: string }[] }).content.map((part) => part.text).join('');
}
