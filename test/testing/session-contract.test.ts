import { MemorySession, OpenAIConversationsSession, type Session } from '@openai/agents';
import { describe, expect, test } from 'vitest';
import { sampleItems, sessionChecks, sessionContract } from '../../src/testing/index.ts';
import { TenantSession } from '../support/context-aware-session.ts';
import { fakeOpenAI } from '../support/fake-openai.ts';
import { plainSession } from '../support/plain-session.ts';

describe('the SDK’s MemorySession', () => {
  sessionContract({ describe, test }, { open: () => new MemorySession() });
});

describe('a session with the five required members', () => {
  sessionContract({ describe, test }, { open: () => plainSession() });
});

describe('a session that routes by run context', () => {
  sessionContract({ describe, test }, { open: () => new TenantSession('tenants', 'default') });
});

/** Which checks a session fails, by name. */
async function failures(open: () => Session, maxItemsPerCall?: number): Promise<string[]> {
  const failed: string[] = [];
  for (const [name, check] of sessionChecks(sampleItems(), maxItemsPerCall)) {
    try {
      await check(open());
    } catch {
      failed.push(name);
    }
  }
  return failed;
}

test('the contract finds the losses of OpenAIConversationsSession, and nothing else', async () => {
  expect(await failures(() => new OpenAIConversationsSession({ client: fakeOpenAI().client }), 20))
    .toMatchInlineSnapshot(`
    [
      "returns every item exactly, with the order of its keys, and adds none",
      "returns items that are plain data and valid in the protocol",
      "normalizes for comparison item by item, without changing types",
    ]
  `);
});

describe('the contract fails a session that', () => {
  const broken = (change: (session: MemorySession) => Partial<Session>): (() => Session) => {
    return () => {
      const session = new MemorySession();
      return Object.assign(session, change(session));
    };
  };

  test('loses the order of keys', async () => {
    const open = broken((session) => {
      const getItems = session.getItems.bind(session);
      return {
        getItems: async (limit) =>
          (await getItems(limit)).map((item) => Object.fromEntries(Object.entries(item).reverse()) as never),
      };
    });
    expect(await failures(open)).toEqual([
      'returns every item exactly, with the order of its keys, and adds none',
    ]);
  });

  test('returns its own objects', async () => {
    const items = new Array<never>();
    const open = (): Session => ({
      ...plainSession(),
      getItems: () => Promise.resolve(items),
      addItems: (added) => Promise.resolve(void items.push(...(added as never[]))),
    });
    expect(await failures(open)).toContain(
      'is not changed by what callers do to items they handed over or got',
    );
  });

  test('gives all items for a limit of 0', async () => {
    const open = broken((session) => {
      const getItems = session.getItems.bind(session);
      return { getItems: (limit) => getItems(limit === 0 ? undefined : limit) };
    });
    expect(await failures(open)).toEqual([
      'returns the last n items for a limit, and none for a limit of 0 or less',
    ]);
  });

  test('applies a repeated transaction twice', async () => {
    const open = broken((session) => {
      const apply = session.applyHistoryTransaction.bind(session);
      let call = 0;
      return {
        applyHistoryTransaction: (args: Parameters<typeof apply>[0]) =>
          apply(
            typeof args?.operationId === 'string' && args.operationId.trim() !== ''
              ? { ...args, operationId: `${args.operationId}${++call}` }
              : args,
          ),
      } as Partial<Session>;
    });
    expect(await failures(open)).toEqual([
      'applies a transaction once under its operation id',
      'refuses another transaction under a used operation id',
      'replaces a suffix only when it matches',
    ]);
  });

  test('opens a pasted envelope', async () => {
    const open = broken((session) => {
      const getItems = session.getItems.bind(session);
      return {
        getItems: async (limit) =>
          (await getItems(limit)).filter((item) => !JSON.stringify(item).includes('"sr1.')),
      };
    });
    expect(await failures(open)).toEqual(['keeps text that looks like an envelope of strongroom']);
  });
});
