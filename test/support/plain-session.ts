import type { AgentInputItem, Session } from '@openai/agents';

/** The five required members and nothing else, over JSON texts: what a first self-made session looks like. */
export function plainSession(sessionId: string = 'plain-1'): Session {
  let records: string[] = [];
  const parse = (text: string): AgentInputItem => JSON.parse(text) as AgentInputItem;
  return {
    getSessionId: () => Promise.resolve(sessionId),
    getItems: (limit) =>
      Promise.resolve((limit === undefined ? records : limit <= 0 ? [] : records.slice(-limit)).map(parse)),
    addItems: (items) => {
      records = [...records, ...items.map((item) => JSON.stringify(item))];
      return Promise.resolve();
    },
    popItem: () => {
      const last = records.at(-1);
      records = records.slice(0, -1);
      return Promise.resolve(last === undefined ? undefined : parse(last));
    },
    clearSession: () => {
      records = [];
      return Promise.resolve();
    },
  };
}
