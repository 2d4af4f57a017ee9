import type { AgentInputItem } from '@openai/agents';
import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { cache, encrypt, generateKey, keyring, wrapSession, type Layers } from '../../src/index.ts';
import type { Column, Group } from '../group.ts';
import { conversation, TURN } from '../items.ts';
import { compareSamples, timeOf, type Sampler } from '../rounds.ts';
import { fill } from '../stacks.ts';

const COUNT = 1_000;
const PROGRAM = join(resolve(import.meta.dirname, '..'), 'children', 'python_session.py');

export const pythonGroup: Group = {
  title: 'The EncryptedSession of Python',
  note: 'What an EncryptedSession of the SDK for Python does (HKDF and Fernet of python3-cryptography, over a list in memory) beside encrypt() over a list in memory; items of 1 KB, two processes that take turns in each round.',
  async *measure({ rounds }) {
    const items = conversation(COUNT);
    const python = startPython(items);
    try {
      const keys = keyring({ current: await generateKey() });
      const stacks: readonly (readonly [string, Layers])[] = [
        ['encrypt()', [encrypt({ keys })]],
        ['cache(), encrypt()', [cache({ maxItems: 1_000_000 }), encrypt({ keys })]],
      ];
      const sessions = await Promise.all(
        stacks.map(async ([name, layers]) => {
          const [reads, writes] = [listSession(layers), listSession(layers)];
          await fill(reads, items);
          return { name, reads, writes };
        }),
      );
      const turn = conversation(TURN, COUNT);
      const works: readonly (readonly [
        string,
        number,
        (session: (typeof sessions)[number]) => Promise<unknown>,
      ])[] = [
        ['addItems(4)', 100, async ({ writes }) => writes.addItems(turn)],
        ['getItems(10)', 100, async ({ reads }) => reads.getItems(10)],
        ['getItems() of 1,000', 5, async ({ reads }) => reads.getItems()],
      ];
      const columns: Column[] = [];
      for (const [title, runs, work] of works) {
        const samplers: Sampler[] = [
          { name: 'Python', sample: async () => python.time(title, runs) },
          ...sessions.map((session) => ({
            name: session.name,
            sample: async () => timeOf(async () => work(session), runs),
          })),
        ];
        columns.push({ title, results: await compareSamples(samplers, rounds) });
      }
      yield { title: 'beside Python', unit: 'time', base: 'Python', columns };
    } finally {
      python.end();
    }
  },
};

/** A session with almost no work of its own. */
function listSession(layers: Layers): ReturnType<typeof wrapSession> {
  const records: AgentInputItem[] = [];
  const session = {
    getSessionId: async () => 'session-1',
    getItems: async (limit?: number) => records.slice(limit === undefined ? 0 : -limit),
    addItems: async (items: AgentInputItem[]) => {
      records.push(...items);
      if (records.length > 10_000) records.length = 0;
    },
    popItem: async () => records.pop(),
    clearSession: async () => {
      records.length = 0;
    },
  };
  return wrapSession(session, layers);
}

/** A process that measures on request. */
function startPython(items: readonly AgentInputItem[]): {
  readonly time: (work: string, runs: number) => Promise<number>;
  readonly end: () => void;
} {
  const child = spawn('python3', [PROGRAM], { stdio: ['pipe', 'pipe', 'inherit'] });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  child.stdin.write(`${JSON.stringify(items)}\n`);
  return {
    async time(work, runs) {
      child.stdin.write(`${work} ${runs}\n`);
      const { value, done } = await answers.next();
      if (done === true) throw new Error('Python ended. Is python3-cryptography installed?');
      return Number(value);
    },
    end: () => child.stdin.end(),
  };
}
