import type { AgentInputItem, Session } from '@openai/agents';
import { afterAll, describe, expect, test } from 'vitest';
import { branches } from '../../src/history/branches.ts';
import { authorize, encrypt, wrapStore, type SessionLayer, type Store } from '../../src/index.ts';
import { memoryDekStore } from '../../src/keys/memory-dek-store.ts';
import { reencrypt } from '../../src/operations/reencrypt.ts';
import { eraseSession, eraseSubject } from '../../src/operations/retention.ts';
import { shred } from '../../src/operations/shred.ts';
import { fixedKeyring } from '../../src/testing/fixed-keyring.ts';
import { everyStore } from '../stores/every-store.ts';
import { uniqueName } from '../stores/servers.ts';

// Functions that destroy ask the layers first: a session whose call is refused keeps its records and all data keys that these need.

const keys = fixedKeyring();

const said = (content: string): AgentInputItem => ({ type: 'message', role: 'user', content });

const removals: Record<string, (store: Store, id: string) => Promise<unknown>> = {
  'eraseSession()': (store, id) => eraseSession(store, id),
  'eraseSubject()': (store, id) => eraseSubject(store, id),
  'shred()': (store, id) => shred(store.session(id)),
  'reencrypt()': (store, id) => reencrypt(store.session(id), { grace: 0 }),
};

const cases = ['the store', 'another database'].flatMap((place) =>
  Object.keys(removals).map((what) => ({ what, place })),
);

for (const { name, absent, open, clean } of await everyStore('refused removals')) {
  describe.skipIf(absent)(`a session in ${name} with data keys in`, () => {
    afterAll(clean);

    test.each(cases)('$place is left as it was by $what that is refused', async ({ what, place }) => {
      await using store = open();
      const dekStore = memoryDekStore();
      /** Without keys that another one has opened. */
      const encryption = (): SessionLayer =>
        encrypt({
          keys,
          ...(place === 'another database' && { dekStore }),
          onUndecryptable: () => 'throw',
        });
      const sessions = wrapStore(store, [encryption()]);
      for (const refused of ['main', 'branch', 'twig']) {
        const id = uniqueName(refused);
        const tree = branches(sessions, id);
        await sessions.session(id, { subject: id }).addItems([said('main')]);
        await tree.create('branch');
        await tree.session('branch').addItems([said('branch')]);
        await tree.create('twig', { from: 'branch' });
        const session: Session = refused === 'main' ? sessions.session(id) : tree.session(refused);
        const refusedId = await session.getSessionId();
        const items = await session.getItems();
        const records = await store.session(refusedId, { derived: true }).getItems();

        const guard = authorize({ check: ({ sessionId }) => sessionId !== refusedId });
        await expect(removals[what]?.(wrapStore(store, [guard, encryption()]), id)).rejects.toMatchObject({
          code: 'ERR_ACCESS_DENIED',
          message: expect.stringContaining(`on session ${JSON.stringify(refusedId)} is refused`) as string,
        });
        const later = wrapStore(store, [encryption()]).session(refusedId, { derived: true });
        expect(await later.getItems()).toEqual(items);
        expect(await store.session(refusedId, { derived: true }).getItems()).toEqual(records);
      }
    });
  });
}
