import type { Session } from '@openai/agents';
import { describe, expect, it, afterAll } from 'vitest';
import {
  cache,
  encrypt,
  expire,
  generateKey,
  keyring,
  redact,
  wrapSession,
  wrapStore,
} from '../../src/index.ts';
import { branches, derivedId } from '../../src/history/index.ts';
import { hold, release } from '../../src/operations/index.ts';
import { createRedactor } from '../../src/redaction/index.ts';
import { assistant, user } from '../history/support/random-history.ts';
import { everyStore } from './every-store.ts';
import { uniqueName } from './servers.ts';

const keys = keyring({ current: await generateKey() });
const key = new Uint8Array(32).fill(7);
const operators = { DEFAULT: { type: 'pseudonymize', key } } as const;
const stores = await everyStore('the lifetime of vaults');
const DAY = 86_400_000;
const ADDRESS = 'jane@acme.com';

describe.each(stores.filter(({ absent }) => !absent))('a vault on $name', ({ open, clean }) => {
  const store = open();
  let now = Date.now();
  const clock = (): number => now;
  const vaultOf = (id: string): Session =>
    wrapSession(store.session(derivedId({ kind: 'vault', of: id }), { derived: true }), [encrypt({ keys })]);
  const stack = wrapStore(store, [
    redact({ operators, vault: vaultOf }),
    expire({ after: '30d', clock }),
    cache({ maxItems: 100 }),
    encrypt({ keys }),
  ]);
  afterAll(async () => {
    await store.close();
    await clean();
  });

  const restored = async (id: string, text: string): Promise<string> =>
    createRedactor({ operators, vault: vaultOf(id) }).restoreText(text);
  const entries = async (id: string): Promise<number> => (await vaultOf(id).getItems()).length;

  /** A session whose first record was written so many days ago, and another one with its token later. */
  async function conversation(first: number, second: number): Promise<{ id: string; token: string }> {
    const id = uniqueName('use');
    const session = stack.session(id);
    const today = Date.now();
    now = today - first * DAY;
    await session.addItems([user(`write to ${ADDRESS}`)]);
    const token = /<EMAIL_ADDRESS_\w+>/.exec(JSON.stringify(await session.getItems()))?.[0] as string;
    now = today - second * DAY;
    // The model saw the token and repeats it.
    await session.addItems([assistant(`I wrote to ${token}`)]);
    now = today;
    return { id, token };
  }

  it('keeps a value until the last record that holds its token is gone, and no longer', async () => {
    const used = await conversation(35, 20);
    const over = await conversation(46, 31);
    await store.purgeExpired();
    expect(await stack.session(used.id).getItems()).toEqual([assistant(`I wrote to ${used.token}`)]);
    expect(await restored(used.id, used.token)).toBe(ADDRESS);
    expect(await entries(used.id)).toBe(1);
    expect(await entries(over.id)).toBe(0);
    expect(await restored(over.id, over.token)).toBe(over.token);
  });

  it('gives a value that was issued for the model to the record that holds it', async () => {
    const id = uniqueName('model');
    const text = `write to ${ADDRESS}`;
    const redacted = await createRedactor({ operators, vault: vaultOf(id) }).redactText(text);
    now = Date.now() - 31 * DAY;
    await stack.session(id).addItems([user(redacted)]);
    now = Date.now();
    expect(await restored(id, redacted)).toBe(text);
    await store.purgeExpired();
    expect(await entries(id)).toBe(0);
  });

  it('keeps a value under a hold on the conversation, and not after its release', async () => {
    const { id, token } = await conversation(46, 31);
    const placed = await hold(stack, { sessionId: id, reason: 'case 7' });
    await store.purgeExpired();
    expect(await restored(id, token)).toBe(ADDRESS);
    await release(stack, placed.id);
    await store.purgeExpired();
    expect(await entries(id)).toBe(0);
  });

  it('is deleted with the conversation, except for the values that a branch needs', async () => {
    const { id, token } = await conversation(20, 10);
    await branches(stack, id).create('retry');
    const branch = derivedId({ kind: 'branch', of: id, name: 'retry' });
    expect(await restored(branch, token)).toBe(ADDRESS);
    await stack.session(id).clearSession();
    expect(await entries(id)).toBe(0);
    expect(await restored(branch, token)).toBe(ADDRESS);
    await stack.deleteSession(id);
    expect(await entries(branch)).toBe(0);
  });
});
