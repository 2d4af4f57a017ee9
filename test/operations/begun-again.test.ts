import { afterAll, describe, expect, it } from 'vitest';
import { branches, derivedId } from '../../src/history/index.ts';
import { encrypt, generateKey, keyring, redact, wrapSession, wrapStore } from '../../src/index.ts';
import { eraseSubject, exportSubject } from '../../src/operations/retention.ts';
import { createRedactor } from '../../src/redaction/index.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import type { Store } from '../../src/stores/store.ts';
import { user } from '../history/support/random-history.ts';
import { everyStore } from '../stores/every-store.ts';
import { uniqueName } from '../stores/servers.ts';

const keys = keyring({ current: await generateKey() });
const key = new Uint8Array(32).fill(7);
const operators = { DEFAULT: { type: 'pseudonymize', key } } as const;
const stores = await everyStore('conversations that begin again after an erasure');

/** What a process of an application opens. */
function processOver(store: Store<StoreSession>): {
  sessions: Store;
  vaultOf: (id: string) => ReturnType<typeof wrapSession>;
} {
  const seal = encrypt({ keys });
  const vaultOf = (id: string): ReturnType<typeof wrapSession> =>
    wrapSession(store.session(derivedId({ kind: 'vault', of: id }), { derived: true }), [seal]);
  return { sessions: wrapStore(store, [redact({ operators, vault: vaultOf }), seal]), vaultOf };
}

describe.each(stores.filter(({ absent }) => !absent))('a room on $name', ({ shared, open, clean }) => {
  const here = open();
  const there = shared ? open() : here;
  const [one, other] = [processOver(here), processOver(there)];
  afterAll(async () => {
    await here.close();
    if (there !== here) await there.close();
    await clean();
  });

  async function subjectsOf(room: string): Promise<Set<string | undefined>> {
    const found = new Set<string | undefined>();
    for await (const { id, root, subject } of other.sessions.sessions({ derived: 'all' }))
      if (id === room || root === room) found.add(subject);
    return found;
  }

  it('keeps the vault and the branches of the next person when the first one is erased again', async () => {
    const room = uniqueName('room');
    const [ada, bob] = [`ada of ${room}`, `bob of ${room}`];
    const held = one.sessions.session(room, { subject: ada });
    await held.addItems([user('write to ada@example.com')]);
    expect((await eraseSubject(other.sessions, ada)).deleted).toContain(room);
    await other.sessions.session(room, { subject: bob }).addItems([user('here is bob')]);
    await branches(other.sessions, room).create('plan');
    await branches(one.sessions, room)
      .session('plan')
      .addItems([user('or to bob@example.org')]);

    // The object of the first person is still there. Its next write, which writes the vault before, tells this process
    // that it is over.
    await expect(held.addItems([user('write to late@example.com')])).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
      message: expect.stringContaining('belongs to another subject') as string,
    });
    await one.sessions.session(room).addItems([user('write to bob@example.com')]);

    expect(await subjectsOf(room)).toEqual(new Set([bob]));
    const again = await eraseSubject(other.sessions, ada);
    expect(again.deleted).toEqual([]);
    for await (const session of exportSubject(other.sessions, ada)) expect(session).toBeUndefined();
    const text = JSON.stringify(await other.sessions.session(room).getItems());
    const redactor = createRedactor({ operators, vault: other.vaultOf(room) });
    expect(await redactor.restoreText(text)).toContain('write to bob@example.com');
  });

  it('is of the next person in the process that erased the first one', async () => {
    const room = uniqueName('room');
    const [ada, bob] = [`ada of ${room}`, `bob of ${room}`];
    const held = one.sessions.session(room, { subject: ada });
    await held.addItems([user('write to ada@example.com')]);
    await eraseSubject(one.sessions, ada);
    await one.sessions.session(room, { subject: bob }).addItems([user('write to bob@example.com')]);
    await one.sessions.session(room).addItems([user('and again')]);
    expect(await subjectsOf(room)).toEqual(new Set([bob]));
    await expect(held.addItems([user('late')])).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
  });

  it('has no subject when nobody gives one after the erasure', async () => {
    const room = uniqueName('room');
    const ada = `ada of ${room}`;
    const held = one.sessions.session(room, { subject: ada });
    await held.addItems([user('write to ada@example.com')]);
    await eraseSubject(one.sessions, ada);
    await one.sessions.session(room).addItems([user('write to bob@example.com')]);
    expect(await subjectsOf(room)).toEqual(new Set([undefined]));
    expect(await held.getSessionId()).toBe(room);
  });
});
