import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { AgentInputItem } from '@openai/agents';
import { derivedId } from '../derived-id.ts';
import { historyDigest } from '../protocol/digest.ts';
import {
  COPY,
  COPY_RECORDS,
  DEK_STORE,
  MAINTENANCE,
  OPERATIONS,
  openBeside,
  type SessionSummary,
} from '../session-contract.ts';
import type { SessionsOptions, Store } from '../stores/store.ts';
import type { StoreSession } from '../stores/session.ts';
import { dek, dekId, envelope, fails, numbered, rejects, type Bench } from './store-bench.ts';

/** What a store must know about derived sessions. */
export const LINEAGE: ReadonlyMap<string, (bench: Bench) => Promise<void>> = new Map([
  ['lists conversations, and apart from them what belongs to them', listsApart],
  ['opens what belongs to a session beside it', opensBeside],
  ['gives what belongs to a session its subject', inheritsSubjects],
  ['keeps the subject of a session that was purged for what belongs to it', keepsSubjects],
  ['gives the subject of a session that is gone to what is derived from it later', keepsForLater],
  ['gives the subject of a session that was never written to what is derived from it', givesUnwritten],
  ['lets the database say whose a session is after another process gave it to another subject', isOfTheNext],
  ['gives what is derived from a session without a subject none', givesNone],
  [
    'writes what is derived from a session that two processes opened with different subjects',
    writesForEither,
  ],
  ['lets another subject have a session that this process removed', isFreeAfterRemoval],
  ['refuses another subject for as long as the session is there', refusesWhileThere],
  ['deletes a session with all that belongs to it', deletesTrees],
  ['removes nothing of what belongs to a session under a legal hold', holdsTrees],
  [
    'deletes no conversation with a derived session that is under a legal hold and holds nothing yet',
    holdsEmpty,
  ],
  ['refuses notes about a session whose id leaves no room for their own', refusesLongNotes],
  ['makes no session by clearing one that is not there', clearsNothing],
] satisfies [string, (bench: Bench) => Promise<void>][]);

/** The ids of a conversation and of its derived sessions. */
function treeOf(root: string): { root: string; branch: string; twig: string; vault: string; notes: string } {
  const branch = derivedId({ kind: 'branch', of: root, name: 'a~b %' });
  return {
    root,
    branch,
    twig: derivedId({ kind: 'branch', of: branch, name: 'twig' }),
    vault: derivedId({ kind: 'vault', of: branch }),
    notes: derivedId({ kind: 'notes', of: root }),
  };
}

function open(store: Store<StoreSession>, id: string): StoreSession {
  return store.session(id, { derived: true });
}

async function summaries(
  store: Store<StoreSession>,
  of: readonly string[],
  options: SessionsOptions,
): Promise<SessionSummary[]> {
  const found: SessionSummary[] = [];
  for await (const summary of store.sessions(options)) if (of.includes(summary.id)) found.push(summary);
  return found.sort((one, other) => (one.id < other.id ? -1 : 1));
}

async function idsOf(
  store: Store<StoreSession>,
  of: readonly string[],
  options: SessionsOptions,
): Promise<string[]> {
  return (await summaries(store, of, options)).map(({ id }) => id);
}

async function listsApart({ store, other, id }: Bench): Promise<void> {
  const tree = treeOf(id());
  const ids = Object.values(tree);
  for (const each of ids) await open(store, each).addItems(numbered(each, 2));
  assert.deepEqual(await idsOf(other, ids, {}), [tree.root]);
  assert.deepEqual(await idsOf(other, ids, { derived: 'all' }), ids.toSorted());
  const derived = await summaries(other, ids, { derived: true });
  const { root, branch, twig, vault, notes } = tree;
  assert.deepEqual(
    derived.map(({ id: derivedFrom, root: top, parent, kind }) => [derivedFrom, top, parent, kind]),
    [
      [branch, root, root, 'branch'],
      [twig, root, branch, 'branch'],
      [notes, root, root, 'notes'],
      [vault, root, branch, 'vault'],
    ].toSorted(([one = ''], [another = '']) => (one < another ? -1 : 1)),
  );
  for (const each of ids.slice(1)) fails('ERR_INVALID_OPTION', () => store.session(each));
  await rejects('ERR_INVALID_OPTION', store.deleteSession(branch));
  const every = store.sessions({ derived: 'some' as never })[Symbol.asyncIterator]();
  await rejects('ERR_INVALID_OPTION', every.next());
}

async function opensBeside({ store, other, id }: Bench): Promise<void> {
  const root = id();
  const notes = await openBeside(store.session(root), { kind: 'notes' });
  assert.equal(notes, open(store, derivedId({ kind: 'notes', of: root })));
  await notes?.addItems(numbered('note', 1));
  assert.deepEqual(await other[MAINTENANCE]?.tree(root), [derivedId({ kind: 'notes', of: root })]);
}

async function inheritsSubjects({ store, other, id }: Bench): Promise<void> {
  const tree = treeOf(id());
  const ids = Object.values(tree);
  const subject = `person-${randomUUID()}`;
  // A vault is written before the items whose values it has.
  await open(store, tree.vault).addItems(numbered('value', 1));
  await store.session(tree.root, { subject }).addItems(numbered('item', 1));
  for (const each of [tree.branch, tree.twig, tree.notes])
    await open(other, each).addItems(numbered(each, 1));
  assert.deepEqual(await idsOf(other, ids, { subject }), [tree.root]);
  const all = await summaries(other, ids, { subject, derived: 'all' });
  assert.deepEqual(
    all.map((summary) => [summary.id, summary.subject]),
    ids.toSorted().map((each) => [each, subject]),
  );
  assert.deepEqual(await idsOf(other, ids, { subject: `${subject}-2`, derived: 'all' }), []);
}

const LONG_AGO = Date.UTC(1980, 0);
const EXPIRED = envelope({ s: 'none', t: LONG_AGO, e: LONG_AGO + 1 });

async function keepsSubjects({ store, other, id }: Bench): Promise<void> {
  const { root, notes } = treeOf(id());
  const subject = `person-${randomUUID()}`;
  await store.session(root, { subject }).addItems([EXPIRED]);
  await open(store, notes).addItems(numbered('ledger', 1));
  await other.purgeExpired();
  assert.deepEqual(await idsOf(other, [root, notes], { subject, derived: 'all' }), [notes]);
}

async function keepsForLater({ store, other, id }: Bench): Promise<void> {
  const { root, branch, twig, vault, notes } = treeOf(id());
  const later = derivedId({ kind: 'branch', of: root, name: 'later' });
  const subject = `person-${randomUUID()}`;
  await store.session(root, { subject }).addItems([EXPIRED]);
  await open(store, branch).addItems(numbered('first', 1));
  await other.purgeExpired();
  // By another process, which does not know the subject, in each of the ways in which a session comes into being.
  await open(other, twig).addItems(numbered('twig', 1));
  await other[MAINTENANCE]?.notes.append(
    notes,
    () => ({ note: 1 }),
    () => ({}),
  );
  await open(other, branch)[COPY_RECORDS]({
    count: 0,
    digest: historyDigest([]),
    to: vault,
    items: numbered('copy', 1),
    from: [0],
    operationId: randomUUID(),
  });
  await open(other, branch)[COPY]({
    count: (items) => items.length,
    whole: true,
    to: open(other, later),
    operationId: randomUUID(),
    begin: () => Promise.resolve(),
  });
  const ids = [branch, later, notes, twig, vault];
  assert.deepEqual(await idsOf(other, ids, { subject, derived: 'all' }), ids.toSorted());
  assert.deepEqual((await other[MAINTENANCE]?.ofSubject(subject))?.toSorted(), ids.toSorted());
}

async function givesUnwritten({ store, other, id }: Bench): Promise<void> {
  const { root, branch, twig, notes } = treeOf(id());
  const subject = `person-${randomUUID()}`;
  store.session(root, { subject });
  await store[MAINTENANCE]?.notes.append(
    notes,
    () => ({ note: 1 }),
    () => ({}),
  );
  await open(store, branch).addItems(numbered('first', 1));
  await open(other, twig).addItems(numbered('twig', 1));
  const ids = [branch, notes, twig];
  assert.deepEqual(await idsOf(other, ids, { subject, derived: 'all' }), ids.toSorted());
}

/** Subjects of the sessions of a tree, by id. */
async function subjectsOf(store: Store<StoreSession>, of: readonly string[]): Promise<Map<string, unknown>> {
  const found = await summaries(store, of, { derived: 'all' });
  return new Map(found.map((summary) => [summary.id, summary.subject]));
}

function otherSubject(id: string): string {
  return `Session ${JSON.stringify(id)} belongs to another subject`;
}

async function isOfTheNext({ store, other, id }: Bench): Promise<void> {
  const { root, branch, twig, vault, notes } = treeOf(id());
  const [first, next] = [`person-${randomUUID()}`, `person-${randomUUID()}`];
  const held = store.session(root, { subject: first });
  await held.addItems(numbered('first', 1));
  await other.deleteSession(root);
  await other.session(root, { subject: next }).addItems(numbered('next', 1));
  await open(other, branch).addItems(numbered('other', 1));
  await open(store, vault).addItems(numbered('value', 1));
  await open(store, branch).addItems(numbered('item', 1));
  await open(store, twig).replaceHistoryWithCompaction(numbered('summary', 1));
  await store[MAINTENANCE]?.notes.append(
    notes,
    () => ({ note: 1 }),
    () => ({}),
  );
  await open(other, vault).addItems(numbered('value', 1));
  const ids = [root, branch, twig, vault, notes];
  const expected = ids.toSorted().map((each) => [each, next]);
  assert.deepEqual([...(await subjectsOf(other, ids))], expected);
  assert.deepEqual(await other[MAINTENANCE]?.ofSubject(first), []);
  assert.deepEqual(await idsOf(other, ids, { subject: first, derived: 'all' }), []);
  // The object of the first subject is still there.
  assert.deepEqual(await store.session(root, { subject: next }).getItems(), numbered('next', 1));
  await store.session(root, { subject: next }).addItems(numbered('more', 1));
  for (const refused of [
    held,
    store.session(root, { subject: first }),
    other.session(root, { subject: first }),
  ])
    await rejects('ERR_CONFLICT', refused.addItems(numbered('late', 1)), otherSubject(root));
  await store.session(root).addItems(numbered('end', 1));
  await open(store, vault).addItems(numbered('end', 1));
  assert.deepEqual([...(await subjectsOf(other, ids))], expected);
}

async function givesNone({ store, other, id }: Bench): Promise<void> {
  const { root, vault } = treeOf(id());
  const subject = `person-${randomUUID()}`;
  const held = store.session(root, { subject });
  await held.addItems(numbered('first', 1));
  await other.deleteSession(root);
  await other.session(root).addItems(numbered('next', 1));
  await open(store, vault).addItems(numbered('value', 1));
  assert.deepEqual(
    [...(await subjectsOf(other, [root, vault]))],
    [root, vault].toSorted().map((each) => [each, undefined]),
  );
  assert.equal(await held.getSessionId(), root);
}

async function writesForEither({ store, other, id }: Bench): Promise<void> {
  for (let round = 0; round < 5; round++) {
    const { root, branch, vault } = treeOf(id());
    const [first, next] = [`person-${randomUUID()}`, `person-${randomUUID()}`];
    store.session(root, { subject: first });
    other.session(root, { subject: next });
    await Promise.all(
      [store, other].flatMap((each) => [
        open(each, vault).addItems(numbered('value', 1)),
        open(each, branch).replaceHistoryWithCompaction(numbered('item', 1)),
      ]),
    );
    await open(store, vault).addItems(numbered('value', 1));
    await open(other, vault).addItems(numbered('value', 1));
    assert.equal((await open(store, vault).getItems()).length, 4);
  }
}

async function isFreeAfterRemoval({ store, id }: Bench): Promise<void> {
  const removals: readonly [AgentInputItem[], (root: string) => Promise<unknown>][] = [
    [numbered('first', 1), (root) => store.deleteSession(root)],
    [numbered('first', 1), async (root) => store[MAINTENANCE]?.drop(root)],
    [numbered('first', 1), async (root) => store[MAINTENANCE]?.dropIf(root, { lastBefore: Infinity })],
    [[EXPIRED], () => store.purgeExpired()],
  ];
  for (const [items, remove] of removals) {
    const { root, vault } = treeOf(id());
    const [first, next] = [`person-${randomUUID()}`, `person-${randomUUID()}`];
    const held = store.session(root, { subject: first });
    await held.addItems(items);
    await remove(root);
    const session = store.session(root, { subject: next });
    assert.deepEqual(await session.getItems(), []);
    await open(store, vault).addItems(numbered('value', 1));
    await session.addItems(numbered('next', 1));
    const ids = [root, vault];
    assert.deepEqual(
      [...(await subjectsOf(store, ids))],
      ids.toSorted().map((each) => [each, next]),
    );
    await rejects('ERR_CONFLICT', held.addItems(numbered('late', 1)), otherSubject(root));
    assert.equal(store.session(root), store.session(root, { subject: next }));
  }
}

async function refusesWhileThere({ store, other, id }: Bench): Promise<void> {
  const { root } = treeOf(id());
  const [first, next] = [`person-${randomUUID()}`, `person-${randomUUID()}`];
  const held = store.session(root, { subject: first });
  await held.addItems(numbered('first', 1));
  const theirs = store.session(root, { subject: next });
  for (const call of [
    () => theirs.getItems(),
    () => theirs.addItems(numbered('late', 1)),
    () => theirs[OPERATIONS].has('first'),
    async () => theirs[DEK_STORE].put(dek(root, 'key')),
  ])
    await rejects('ERR_CONFLICT', call(), otherSubject(root));
  // A refused call takes the session from nobody.
  assert.equal(store.session(root, { subject: first }), held);
  assert.equal(store.session(root), held);
  await other.deleteSession(root);
  assert.deepEqual(await theirs.getItems(), []);
  assert.equal(await theirs[OPERATIONS].has('first'), false);
  // Nothing is stored yet, so it is of nobody.
  await theirs.clearSession();
  assert.notEqual(store.session(root, { subject: first }), theirs);
  await theirs.replaceHistoryWithCompaction(numbered('next', 1));
  assert.equal(store.session(root, { subject: next }), theirs);
  assert.equal(store.session(root), theirs);
  assert.deepEqual([...(await subjectsOf(other, [root]))], [[root, next]]);
  await rejects('ERR_CONFLICT', held.popItem(), otherSubject(root));
  assert.deepEqual(await theirs.getItems(), numbered('next', 1));
}

async function deletesTrees({ store, other, id }: Bench): Promise<void> {
  const tree = treeOf(id());
  const neighbours = Object.values(treeOf(`${tree.root}~x`));
  const ids = Object.values(tree);
  for (const each of [...ids, ...neighbours]) {
    await open(store, each).addItems(numbered(each, 1));
    await store.session(tree.root)[DEK_STORE].put(dek(each, 'key'));
  }
  // A session without items still exists.
  await open(store, tree.notes).clearSession();
  const deks = other.session(tree.root)[DEK_STORE];
  const { derived } = await other.deleteSession(tree.branch, { derived: true });
  assert.deepEqual(derived, { branch: 1, vault: 1 });
  assert.deepEqual(await idsOf(store, ids, { derived: 'all' }), [tree.root]);
  assert.deepEqual(await store.deleteSession(tree.root), { derived: { notes: 1 } });
  for (const each of ids) {
    assert.deepEqual(await open(other, each).getItems(), [], each);
    assert.ok('destroyedAt' in ((await deks.get(each, dekId('key'))) ?? {}), each);
  }
  assert.deepEqual(await store[MAINTENANCE]?.tree(tree.root), []);
  assert.deepEqual(await idsOf(store, neighbours, { derived: 'all' }), neighbours.toSorted());
  await store.deleteSession(`${tree.root}~x`);
  assert.deepEqual(await idsOf(store, neighbours, { derived: 'all' }), []);
}

async function holdsTrees({ store, other, id }: Bench): Promise<void> {
  const tree = treeOf(id());
  const ids = Object.values(tree);
  const { holds } = store.session(tree.root)[DEK_STORE];
  assert.ok(holds !== undefined, 'the DEK store of a store keeps holds');
  const hold = { id: `hold-${randomUUID()}`, sessionId: tree.branch, reason: 'case 7', placedAt: 5 };
  await open(store, tree.twig).addItems([EXPIRED]);
  await holds.place(hold);
  // Also on sessions that are created later.
  for (const each of [tree.root, tree.branch, tree.vault, tree.notes]) {
    await open(store, each).addItems([EXPIRED]);
    await store.session(tree.root)[DEK_STORE].put(dek(each, 'key'));
  }
  for (const each of [tree.branch, tree.twig, tree.vault]) {
    await rejects('ERR_HELD', open(other, each).clearSession());
    await rejects('ERR_HELD', open(other, each).popItem());
    await rejects('ERR_HELD', other.session(tree.root)[DEK_STORE].destroy(each));
    await rejects('ERR_HELD', other.deleteSession(each, { derived: true }));
  }
  await rejects('ERR_HELD', other.deleteSession(tree.root));
  await other.purgeExpired();
  assert.deepEqual(
    await idsOf(store, ids, { derived: 'all' }),
    [tree.branch, tree.twig, tree.vault].toSorted(),
  );
  await open(store, tree.notes).addItems([EXPIRED]);
  await holds.place({ ...hold, id: `${hold.id}-2`, sessionId: tree.root });
  await holds.release(hold.id, 9);
  await rejects('ERR_HELD', other.deleteSession(tree.notes, { derived: true }));
  await rejects('ERR_HELD', open(other, tree.vault).clearSession());
  await other.purgeExpired();
  assert.equal((await idsOf(store, ids, { derived: 'all' })).length, 4);
  await holds.release(`${hold.id}-2`, 10);
  await other.purgeExpired();
  assert.deepEqual(await idsOf(store, ids, { derived: 'all' }), []);
}

async function holdsEmpty({ store, other, id }: Bench): Promise<void> {
  const [held, free] = [treeOf(id()), treeOf(id())];
  for (const { root } of [held, free]) await store.session(root).addItems(numbered('item', 2));
  const { holds } = store.session(held.root)[DEK_STORE];
  assert.ok(holds !== undefined, 'the DEK store of a store keeps holds');
  const hold = { id: `hold-${randomUUID()}`, sessionId: held.twig, reason: 'case 7', placedAt: 5 };
  await holds.place(hold);
  await rejects('ERR_HELD', other.deleteSession(held.root));
  assert.equal((await store.session(held.root).getItems()).length, 2);
  await other.deleteSession(free.root);
  await holds.release(hold.id, 9);
  await other.deleteSession(held.root);
  assert.deepEqual(await idsOf(store, [held.root, free.root], { derived: 'all' }), []);
}

async function refusesLongNotes({ store, id }: Bench): Promise<void> {
  const notes = derivedId({ kind: 'notes', of: id('i'.repeat(512 - id().length)) });
  const written = store[MAINTENANCE]?.notes.append(
    notes,
    () => ({ note: 1 }),
    () => ({}),
  );
  await rejects('ERR_INVALID_OPTION', written ?? Promise.resolve());
  assert.deepEqual(await store[MAINTENANCE]?.records(notes), []);
}

async function clearsNothing({ store, other, id }: Bench): Promise<void> {
  const { root, vault } = treeOf(id());
  await open(store, vault).clearSession();
  assert.deepEqual(await other[MAINTENANCE]?.tree(root), []);
  await open(store, vault).addItems(numbered('value', 1));
  await open(other, vault).clearSession();
  assert.deepEqual(await open(store, vault).getItems(), []);
}
