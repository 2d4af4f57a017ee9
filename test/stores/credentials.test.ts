import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { credentials } from '../../src/stores/credentials.ts';
import { sharedPool } from '../../src/stores/shared-pool.ts';

describe('credentials', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'], now: 1_000_000 }));
  afterEach(() => void vi.useRealTimers());

  test('asks once for many connections, and again before the password expires', async () => {
    let asked = 0;
    const secret = credentials(async () => {
      asked++;
      await Promise.resolve();
      return { password: `password ${asked}`, expiresAt: Date.now() + 600_000 };
    });
    const all = await Promise.all(Array.from({ length: 10 }, () => secret.current()));
    expect(new Set(all)).toEqual(new Set(['password 1']));
    vi.setSystemTime(1_000_000 + 500_000);
    expect(await secret.current()).toBe('password 1');
    vi.setSystemTime(1_000_000 + 590_000);
    expect(await secret.current()).toBe('password 2');
  });

  test('asks at each connection for a password without an expiry, and again after a failure', async () => {
    let asked = 0;
    const secret = credentials(() => {
      asked++;
      if (asked === 2) throw new Error('the vault is sealed');
      return `password ${asked}`;
    });
    expect(await secret.current()).toBe('password 1');
    await expect(secret.current()).rejects.toThrow('the vault is sealed');
    expect(await secret.current()).toBe('password 3');
  });

  test('does not hand out a connection whose password has expired', async () => {
    const secret = credentials(() => ({ password: 'p', expiresAt: Date.now() + 60_000 }));
    await secret.current();
    const closed: number[] = [];
    let next = 0;
    const old = { number: 0, release: () => void closed.push(0) };
    const lend = () =>
      secret.lend(
        () => {
          const fresh = closed.length > 0;
          return Promise.resolve(fresh ? { number: ++next, release: () => undefined } : old);
        },
        (client) => client.release(),
      );
    expect(await lend()).toBe(old);
    expect(closed).toEqual([]);
    vi.setSystemTime(1_000_000 + 61_000);
    await secret.current();
    expect(await lend()).toMatchObject({ number: 1 });
    expect(closed).toEqual([0]);
  });

  test('keeps a password without an expiry until it is refused, on request', async () => {
    let asked = 0;
    const secret = credentials(() => `password ${++asked}`, 'until refused');
    expect(await secret.current()).toBe('password 1');
    expect(await secret.current()).toBe('password 1');
    expect(await Promise.all([secret.current('password 1'), secret.current('password 1')])).toEqual([
      'password 2',
      'password 2',
    ]);
    expect(await secret.current('password 1')).toBe('password 2');
  });

  test('refuses an invalid password, without showing it', async () => {
    await expect(credentials(() => 7 as never).current()).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message:
        'The password provider must return a string, or { password, expiresAt } with Unix milliseconds.',
    });
  });
});

describe('sharedPool', () => {
  test('makes one pool for concurrent callers, ends it with the last one, and makes a new one afterwards', async () => {
    const events: string[] = [];
    let made = 0;
    const make = async () => {
      const number = ++made;
      await Promise.resolve();
      return { number, end: () => Promise.resolve(void events.push(`end ${number}`)) };
    };
    const [a, b] = await Promise.all([
      sharedPool(['x'], undefined, make),
      sharedPool(['x'], undefined, make),
    ]);
    expect([a.number, b.number]).toEqual([1, 1]);
    const another = {};
    const c = await sharedPool(['x'], another, make);
    expect(c.number).toBe(2);
    expect((await sharedPool(undefined, undefined, make)).number).toBe(3);
    await a.release();
    await a.release();
    expect(events).toEqual([]);
    await b.release();
    expect(events).toEqual(['end 1']);
    expect((await sharedPool(['x'], undefined, make)).number).toBe(4);
  });

  test('tries again after a pool could not be created', async () => {
    let attempts = 0;
    const make = () => {
      if (++attempts === 1) return Promise.reject(new Error('no'));
      return Promise.resolve({ end: () => Promise.resolve() });
    };
    await expect(sharedPool(['fails'], undefined, make)).rejects.toThrow('no');
    await expect(sharedPool(['fails'], undefined, make)).resolves.toBeDefined();
  });
});
