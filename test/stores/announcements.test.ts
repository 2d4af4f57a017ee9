import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { announcementsOver, type Channel } from '../../src/stores/announcements.ts';

/** Lets everything run that waits for no clock. */
const settle = (): Promise<unknown> => new Promise((resolve) => setImmediate(resolve));

describe('announcements over channels', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  });

  function listening(channel: Partial<Channel>) {
    const told: boolean[] = [];
    const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    let closed = 0;
    const announcements = announcementsOver('openTest', () =>
      Promise.resolve({
        check: () => Promise.resolve(),
        nameOf: (sessionId) => sessionId,
        close: () => {
          closed++;
        },
        ...channel,
      }),
    );
    announcements.listen({
      changed: () => undefined,
      live: (nameOf) => void told.push(nameOf !== undefined),
    });
    return { announcements, told, warnings, closed: () => closed };
  }

  test('are trusted once an announcement of our own came back, and no longer when the connection is lost', async () => {
    const gone = new AbortController();
    const { announcements, told, closed } = listening({ gone: gone.signal });
    await vi.waitUntil(() => told.length > 0);
    expect(told).toEqual([true]);
    gone.abort();
    await vi.waitUntil(() => told.length > 1);
    expect(told).toEqual([true, false]);
    expect(closed()).toBe(1);
    await announcements.close();
  });

  test('are not trusted on a connection over which nothing comes back, with one warning', async () => {
    const { announcements, told, warnings, closed } = listening({
      check: () => new Promise(() => undefined),
    });
    await settle();
    await vi.advanceTimersByTimeAsync(4_999);
    expect(told).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    await settle();
    expect(told).toEqual([false]);
    expect(closed()).toBe(1);
    expect(warnings).toHaveBeenCalledExactlyOnceWith(
      'openTest: push: changes are not announced at present (No answer in 5000 ms.). Until they are, each cached read ' +
        'queries the database.',
      { type: 'StrongroomWarning', code: 'STRONGROOM_PUSH' },
    );
    await announcements.close();
  });

  test('end the connection when the store is closed, also while it is being opened', async () => {
    const { announcements, told, closed } = listening({});
    await announcements.close();
    expect(closed()).toBe(1);
    expect(told.at(-1)).toBe(false);
  });
});
