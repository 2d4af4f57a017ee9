import { MemorySession, type AgentInputItem } from '@openai/agents';
import { describe, expect, it } from 'vitest';
import { counters } from '../../src/crypto/counters.ts';
import { generateKey } from '../../src/keys/generate-key.ts';
import { memoryDekStore, purgeDataKeys, shred } from '../../src/operations/index.ts';
import { keyring, type Keyring } from '../../src/keys/keyring.ts';
import type { SessionLayer } from '../../src/layer.ts';
import { cache, type CacheOptions } from '../../src/layers/cache.ts';
import { encrypt, type EncryptOptions } from '../../src/layers/encrypt.ts';
import { expire } from '../../src/layers/expire.ts';
import { fakeClock } from '../../src/testing/fake-clock.ts';
import { wrapSession, type Wrapped } from '../../src/wrap-session.ts';
import { coded, failure } from '../crypto/failure.ts';
import { userMessage } from './hand-made-call.ts';

const MODES = ['tail', 'verify', 'owner'] as const satisfies readonly CacheOptions['mode'][];
const MINUTE = 60_000;
const DAY = 86_400_000;

const clock = fakeClock();
const old = await generateKey();
const next = await generateKey();

async function warm(
  mode: CacheOptions['mode'],
  more: Partial<EncryptOptions> = {},
  before: readonly AgentInputItem[] = [],
): Promise<{ keys: Keyring; inner: MemorySession; session: Wrapped<MemorySession> }> {
  const keys = keyring({ current: old, previous: [next] });
  const inner = new MemorySession({ sessionId: 's', initialItems: [...before] });
  const layers: SessionLayer[] = [
    expire({ after: '3650d', clock }),
    cache({ maxItems: 10_000, ...(mode !== undefined && { mode }) }),
    encrypt({ keys, ...more }),
  ];
  const session = wrapSession(inner, layers);
  await session.addItems([userMessage('secret'), userMessage('another')]);
  expect(await session.getItems()).toHaveLength(before.length + 2);
  return { keys, inner, session };
}

describe.each(MODES)('a warm read in mode %s', (mode) => {
  it.each(['inline', 'table'])(
    'refuses at once what a disabled or destroyed key wrapped (%s)',
    async (place) => {
      const { keys, session } = await warm(mode, place === 'table' ? { dekStore: memoryDekStore() } : {});
      keys.promote(next.kid as string);
      keys.disable(old.kid as string);
      const disabled = coded(
        'ERR_KEY_DISABLED',
        /Record 1 of 2 of session "s" does not open: .* is disabled/,
      );
      expect(await failure(() => session.getItems())).toEqual(disabled);
      expect(await failure(() => session.getItems(1))).toMatchObject({ code: 'ERR_KEY_DISABLED' });
      keys.enable(old.kid as string);
      expect(await session.getItems()).toHaveLength(2);
      keys.destroy(old.kid as string);
      expect(await failure(() => session.getItems())).toEqual(coded('ERR_KEY_DISABLED', /is destroyed/));
    },
  );

  it('continues for a limit that covers only records under other keys', async () => {
    const { keys, session } = await warm(mode);
    keys.promote(next.kid as string);
    await session.addItems([userMessage('new'), userMessage('newer')]);
    expect(await session.getItems()).toHaveLength(4);
    keys.disable(old.kid as string);
    expect(await session.getItems(2)).toEqual([userMessage('new'), userMessage('newer')]);
    expect(await failure(() => session.getItems())).toMatchObject({ code: 'ERR_KEY_DISABLED' });
  });

  it('shows nothing more after shred(), and after a purge elsewhere for as long as data keys are kept', async () => {
    const here = await warm(mode, { dekStore: memoryDekStore({ clock }) });
    await shred(here.session);
    expect(await here.session.getItems()).toEqual([]);

    const dekStore = memoryDekStore({ clock });
    const { session } = await warm(mode, { dekStore, onUndecryptable: () => 'throw' });
    clock.advance(40 * DAY);
    await session.getItems();
    await purgeDataKeys(dekStore, { after: '30d', clock });
    clock.advance(5 * MINUTE - 1);
    expect(await session.getItems()).toHaveLength(2);
    clock.advance(1);
    expect(await failure(() => session.getItems())).toMatchObject({ code: 'ERR_SHREDDED' });
  });

  it('refuses plain text after its date', async () => {
    const until = clock() + 2 * MINUTE;
    const { session } = await warm(mode, { unsafeAllowPlaintext: { until } }, [userMessage('planted')]);
    clock.advance(2 * MINUTE - 1);
    expect(await session.getItems()).toHaveLength(3);
    clock.advance(1);
    expect(await failure(() => session.getItems())).toEqual(coded('ERR_NOT_SEALED', /Record 1 of 3/));
    expect(await session.getItems(2)).toHaveLength(2);
  });

  it('opens a history again after five minutes by default', async () => {
    const { session } = await warm(mode);
    const opens = async (): Promise<number> => {
      const before = counters.opens;
      await session.getItems();
      return counters.opens - before;
    };
    expect(await opens()).toBe(0);
    clock.advance(5 * MINUTE - 1);
    expect(await opens()).toBe(0);
    clock.advance(1);
    expect(await opens()).toBe(2);
    expect(await opens()).toBe(0);
  });

  it.each([10, 1_000])('checks once for each data key, not for each of %i records', async (count) => {
    const asked: string[] = [];
    const keys = keyring({ current: old, previous: [next] });
    const watched: Keyring = {
      ...keys,
      get current() {
        return keys.current;
      },
      checkOpens(kid) {
        asked.push(kid);
        keys.checkOpens(kid);
      },
    };
    const inner = new MemorySession({ sessionId: 's' });
    const session = wrapSession(inner, [
      expire({ after: '3650d', clock }),
      cache({ maxItems: 10_000, mode }),
      encrypt({ keys: watched }),
    ]);
    const messages = Array.from({ length: count }, (_, index) => userMessage(`m${index}`));
    await session.addItems(messages);
    await session.getItems();
    keys.promote(next.kid as string);
    await session.addItems(messages);
    await session.getItems();
    asked.length = 0;
    expect(await session.getItems()).toHaveLength(2 * count);
    expect(asked).toHaveLength(2);
    expect(new Set(asked)).toEqual(new Set([old.kid, next.kid]));
  });
});
