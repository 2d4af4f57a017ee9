import { MemorySession, type AgentInputItem, type Session } from '@openai/agents';
import type { Entry, SessionCall } from '../../src/layer.ts';

/** A call as the engine makes it, for tests of one layer without an engine. */
export function handMadeCall(overrides: Partial<SessionCall> = {}): SessionCall {
  return {
    kind: 'getItems',
    sessionId: 'session-1',
    inner: sharedInner,
    layers: [],
    routesByRunContext: false,
    sealed: false,
    now: () => 1_000_000,
    lookBack: async () => undefined,
    skipped: () => undefined,
    result: {},
    ...overrides,
  };
}

const sharedInner: Session = new MemorySession();

export function userMessage(text: string): AgentInputItem {
  return { type: 'message', role: 'user', content: [{ type: 'input_text', text }] };
}

export function entryOf(item: AgentInputItem, header: Entry['header'] = {}): Entry {
  return { item, header };
}

export function functionCall(callId: string): AgentInputItem {
  return { type: 'function_call', callId, name: 'lookup', arguments: '{}', status: 'completed' };
}

export function functionResult(callId: string, text = 'done'): AgentInputItem {
  return {
    type: 'function_call_result',
    callId,
    name: 'lookup',
    status: 'completed',
    output: { type: 'text', text },
  };
}

/** Process warnings of strongroom while `work` runs and the turn after it. */
export async function warningsOf(work: () => unknown): Promise<{ code: string; message: string }[]> {
  const warnings: { code: string; message: string }[] = [];
  const listen = (warning: Error & { code?: string }): void => {
    if (warning.name === 'StrongroomWarning') {
      warnings.push({ code: warning.code ?? '', message: warning.message });
    }
  };
  process.on('warning', listen);
  try {
    await work();
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.off('warning', listen);
  }
  return warnings;
}
