import { MemorySession, type Session } from '@openai/agents';
import * as fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { encrypt, generateKey, keyring, wrapSession } from '../../src/index.ts';
import {
  parseSessionId,
  rewindTo,
  sessionId,
  sessionStats,
  subjectOf,
  undoTurn,
} from '../../src/history/index.ts';
import { plainSession } from '../support/plain-session.ts';
import { assistant, call, result, system, user } from './support/random-history.ts';

const keys = keyring({ current: await generateKey() });

const history = [
  system('rules'),
  user('one'),
  assistant('first'),
  user('two'),
  call('c'),
  result('c'),
  assistant('second'),
  user('three'),
];

const sessions: readonly (readonly [string, () => Session])[] = [
  ['MemorySession', () => new MemorySession()],
  ['a sealed session', () => wrapSession(new MemorySession(), [encrypt({ keys })])],
  ['a session without transactions', () => plainSession()],
];

describe.each(sessions)('undoTurn() and rewindTo() on %s', (_name, open) => {
  it('removes the last turns and returns them', async () => {
    const session = open();
    await session.addItems(history);
    expect(await undoTurn(session)).toEqual({ removed: history.slice(7), left: 7 });
    expect(await undoTurn(session, 1)).toEqual({ removed: history.slice(3, 7), left: 3 });
    expect(await session.getItems()).toEqual(history.slice(0, 3));
    expect(await undoTurn(session, 9)).toEqual({ removed: history.slice(1, 3), left: 1 });
    expect(await undoTurn(session)).toEqual({ removed: [], left: 1 });
  });

  it('goes back to a turn, or to an item without separating a call from its result', async () => {
    const session = open();
    await session.addItems(history);
    await rewindTo(session, { turns: 2 });
    expect(await session.getItems()).toEqual(history.slice(0, 7));
    await rewindTo(session, { items: 5 });
    expect(await session.getItems()).toEqual(history.slice(0, 4));
    await rewindTo(session, { items: 99 });
    expect(await session.getItems()).toEqual(history.slice(0, 4));
    await rewindTo(session, { turns: 0 });
    expect(await session.getItems()).toEqual(history.slice(0, 1));
  });
});

describe('undoTurn() and rewindTo()', () => {
  it('change nothing when another process appended at the same time', async () => {
    const session = new MemorySession();
    await session.addItems(history);
    const getItems = session.getItems.bind(session);
    session.getItems = async (limit) => {
      const items = await getItems(limit);
      await session.addItems([user('late')]);
      return items;
    };
    await expect(undoTurn(session)).rejects.toThrow(/suffix/);
    session.getItems = getItems;
    expect(await session.getItems()).toEqual([...history, user('late')]);
  });

  describe.each([
    ['bare', (): Session => plainSession()],
    ['sealed', (): Session => wrapSession(plainSession(), [encrypt({ keys })])],
  ])('in a %s session without transactions', (_name, open) => {
    /** Another writer appends just before the item at this place from the end is popped. */
    const racing = (session: Session, place: number, append = session.addItems.bind(session)): Session => {
      let pops = 0;
      return {
        getSessionId: () => session.getSessionId(),
        getItems: (limit) => session.getItems(limit),
        addItems: append,
        async popItem() {
          pops += 1;
          if (pops === place) await session.addItems([user('late')]);
          return session.popItem();
        },
        clearSession: () => session.clearSession(),
      };
    };

    it.each([
      [1, 'no', 'removed 0 of 5 items, and put'],
      [3, 'unknown', 'removed 2 of 5 items, and put'],
    ])('put back an item that another writer appended before removal %i', async (place, written, message) => {
      const session = open();
      await session.addItems(history);
      await expect(undoTurn(racing(session, place), 2)).rejects.toMatchObject({
        code: 'ERR_CONFLICT',
        written,
        message: expect.stringContaining(message),
      });
      expect(await session.getItems()).toEqual([...history.slice(0, 9 - place), user('late')]);
    });

    it('say when the item of another writer could not be put back', async () => {
      const session = open();
      await session.addItems(history);
      const cause = new Error('disk full');
      const refusing = racing(session, 1, () => Promise.reject(cause));
      await expect(rewindTo(refusing, { turns: 2 })).rejects.toMatchObject({
        code: 'ERR_STORE',
        written: 'unknown',
        message: expect.stringContaining('could not be put back'),
        cause,
      });
    });

    it('say how much they removed when another writer emptied the session', async () => {
      const session = open();
      await session.addItems(history);
      const popItem = session.popItem.bind(session);
      session.popItem = async () => {
        const popped = await popItem();
        await session.clearSession();
        return popped;
      };
      await expect(undoTurn(session, 2)).rejects.toMatchObject({
        code: 'ERR_CONFLICT',
        written: 'unknown',
        message: expect.stringContaining('removed 1 of 5 items, and the session ended'),
      });
    });
  });

  it.each([
    [(session: Session): Promise<unknown> => undoTurn(session, 0), 'turns must be a positive whole number'],
    [
      (session: Session): Promise<unknown> => rewindTo(session, {}),
      'the target must be either turns or items',
    ],
    [
      (session: Session): Promise<unknown> => rewindTo(session, { turns: 1, items: 1 }),
      'either turns or items',
    ],
    [
      (session: Session): Promise<unknown> => rewindTo(session, { turns: -1 }),
      'turns must be a whole number of at least 0',
    ],
    [
      (session: Session): Promise<unknown> => rewindTo(session, { turn: 1 } as never),
      'unknown option "turn"',
    ],
  ])('refuse a target that is none', async (act, message) => {
    await expect(act(new MemorySession())).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining(message),
    });
  });
});

describe('sessionStats()', () => {
  it('counts the content of a session', async () => {
    const session = new MemorySession();
    await session.addItems([...history, call('open', 'search')]);
    expect(await sessionStats(session, () => 10)).toEqual({
      items: 9,
      turns: 3,
      tokens: 90,
      types: {
        'message:system': 1,
        'message:user': 3,
        'message:assistant': 2,
        function_call: 2,
        function_call_result: 1,
      },
      tools: { f: 1, search: 1 },
      agents: {},
      orphans: 1,
    });
  });
});

describe('sessionId()', () => {
  afterEach(() => void vi.restoreAllMocks());

  it('gives different parts different ids, and gives the parts back', () => {
    const parts = fc.array(fc.string({ minLength: 1, unit: 'grapheme' }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(parts, parts, (one, other) => {
        const id = sessionId(...(one as [string]));
        expect(parseSessionId(id)).toEqual(one);
        expect(id).toMatch(/^[\w.:%-]+$/);
        expect(id === sessionId(...(other as [string]))).toBe(JSON.stringify(one) === JSON.stringify(other));
      }),
    );
  });

  it('escapes separators, and the mark of a branch', () => {
    expect(sessionId('acme', 'a:b', 'x~branch~y')).toBe('acme:a%3Ab:x%7Ebranch%7Ey');
    expect(sessionId('../../etc')).toBe('..%2F..%2Fetc');
  });

  it('gives a new UUID of version 7 without parts, in the order of time', () => {
    const before = Date.now();
    const ids = Array.from({ length: 1_000 }, () => sessionId());
    const after = Date.now();
    expect(new Set(ids).size).toBe(1_000);
    for (const id of ids) {
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      const time = Number.parseInt(id.replace('-', '').slice(0, 12), 16);
      expect(time).toBeGreaterThanOrEqual(before - 1);
      expect(time).toBeLessThanOrEqual(after + 1);
      expect(parseSessionId(id)).toEqual([id]);
    }
    const stamps = ids.map((id) => id.slice(0, 18));
    expect(stamps).toEqual(stamps.toSorted());
  });

  it('has the time of the clock of the system, also where the monotonic clock stood still, and keeps the order of ids', () => {
    const timeOf = (id: string): number => Number.parseInt(id.replace('-', '').slice(0, 12), 16);
    vi.spyOn(performance, 'now').mockReturnValue(0.75);
    const clock = vi.spyOn(Date, 'now');
    const ids = [5_000, 5_000, 4_999, 4_500, 5_001].map((time) => {
      clock.mockReturnValue(2_000_000_000_000 + time);
      return sessionId();
    });
    expect(ids.map((id) => timeOf(id) - 2_000_000_000_000)).toEqual([5_000, 5_000, 5_000, 5_000, 5_001]);
    const stamps = ids.map((id) => id.slice(0, 18));
    expect(stamps).toEqual([...new Set(stamps)].toSorted());
    // More ids than a millisecond has fractions.
    const many = Array.from({ length: 5_000 }, () => sessionId().slice(0, 18));
    expect(many).toEqual([...new Set(many)].toSorted());
    // A clock that was wrong and is set back.
    clock.mockReturnValue(2_000_000_000_000);
    expect(timeOf(sessionId())).toBe(2_000_000_000_000);
  });

  it('refuses empty parts and broken Unicode, and parses only its own ids', () => {
    for (const parts of [[''], ['a', ''], ['\ud800'], [1]]) {
      expect(() => sessionId(...(parts as [string]))).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_OPTION' }),
      );
    }
    for (const id of ['', 'a::b', 'a b', '%', '%61']) expect(parseSessionId(id)).toBeUndefined();
  });
});

describe('subjectOf()', () => {
  it('returns the first parts of an id, the same for all sessions of a person', () => {
    const [one, other] = [sessionId('acme:1', 'jane', 'a'), sessionId('acme:1', 'jane', 'b')];
    expect(subjectOf(one, 2)).toBe(sessionId('acme:1', 'jane'));
    expect(subjectOf(other, 2)).toBe(subjectOf(one, 2));
    expect(subjectOf(`~branch~retry~${one}`)).toBe(sessionId('acme:1'));
    expect(subjectOf(sessionId('acme', '1:jane'), 2)).not.toBe(subjectOf(sessionId('acme:1', 'jane'), 2));
  });

  it('refuses ids that sessionId() did not make, and ids with too few parts', () => {
    for (const act of [
      () => subjectOf('a b'),
      () => subjectOf(sessionId('acme'), 2),
      () => subjectOf(sessionId('acme'), 0),
      () => subjectOf(undefined as never),
    ]) {
      expect(act).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION' }));
    }
  });
});
