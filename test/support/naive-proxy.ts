import type { AgentInputItem, Session } from '@openai/agents';

/**
 * The wrapper that everybody writes first, and that the suites must reject: it encrypts in the five required members
 * and forwards whatever else the session has. (The "cipher" is enough to make text unreadable and bytes different at
 * each call.)
 */
export function naiveProxy<S extends Session>(inner: S): S {
  let nonce = 0;
  const seal = (item: AgentInputItem): AgentInputItem => ({
    type: 'message',
    role: 'user',
    content: [{ type: 'input_text', text: `sealed.${++nonce}.${scramble(JSON.stringify(item))}` }],
  });
  const open = (record: AgentInputItem): AgentInputItem => {
    const text = textOf(record);
    // The flaw of all of them: what is not sealed passes as if it were fine.
    if (text?.startsWith('sealed.') !== true) return record;
    return JSON.parse(unscramble(text.split('.')[2] ?? '')) as AgentInputItem;
  };
  const overrides: Partial<Session> = {
    getItems: async (limit) => (await inner.getItems(limit)).map(open),
    addItems: async (items) => inner.addItems(items.map(seal)),
    popItem: async () => {
      const record = await inner.popItem();
      return record === undefined ? undefined : open(record);
    },
  };
  return new Proxy(inner, {
    get: (target, key) => {
      const override: unknown = Reflect.get(overrides, key);
      if (override !== undefined) return override;
      const member: unknown = Reflect.get(target, key, target);
      return typeof member === 'function'
        ? (...args: unknown[]): unknown => Reflect.apply(member as () => unknown, target, args)
        : member;
    },
  });
}

function textOf(record: AgentInputItem): string | undefined {
  if (!('role' in record) || !Array.isArray(record.content)) return undefined;
  const [part] = record.content;
  return part !== undefined && 'text' in part ? part.text : undefined;
}

function scramble(text: string): string {
  const bytes = new TextEncoder().encode(text).map((byte) => byte ^ 0x5a);
  return Buffer.from(bytes).toString('base64url');
}

function unscramble(text: string): string {
  return new TextDecoder().decode(new Uint8Array(Buffer.from(text, 'base64url')).map((byte) => byte ^ 0x5a));
}
