/** Recorded conversations through the stack: do they come back, how large are they, what was redacted. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { MemorySession, type AgentInputItem } from '@openai/agents';
import { cache, encrypt, expire, generateKey, keyring, redact, wrapSession, wrapStore } from 'strongroom';
import { auditLines } from 'strongroom/report';
import { openSqlite } from 'strongroom/sqlite';
import { bytes, check, note, progress, row, title } from './screen.ts';

interface Recording {
  readonly id: string;
  readonly items: AgentInputItem[];
}

const MOST_ON_SQLITE = 1.8;
const MOST_INLINE = 2.9;

/**
 * @param file One JSON object a line: `{"id", "items"}`, the items as the SDK's `AgentInputItem`.
 * @param limit How many conversations to replay at most.
 */
export async function replay(file: string, folder: string, limit: number): Promise<void> {
  if (!existsSync(file))
    throw new Error(`${file} does not exist. Give a file with one {"id","items"} a line.`);
  const recordings = await readRecordings(file, limit);
  const items = recordings.flatMap((recording) => recording.items);
  const json = items.reduce((sum, item) => sum + Buffer.byteLength(JSON.stringify(item)), 0);
  title(`Replay of ${recordings.length} conversations, ${items.length} items, ${bytes(json)} of JSON`);

  const keys = keyring({ current: await generateKey() });
  const layers = [expire({ after: '30d' }), cache({ maxBytes: 64_000_000 }), encrypt({ keys })];
  const redactions = new Map<string, number>();
  const redaction = redact({
    entities: ['EMAIL_ADDRESS', 'CREDIT_CARD', 'IBAN_CODE', 'IP_ADDRESS', 'US_SSN', 'API_KEY'],
    onRedaction: ({ counts }) => {
      for (const [entity, count] of Object.entries(counts)) {
        redactions.set(entity, (redactions.get(entity) ?? 0) + count);
      }
    },
  });

  const exactFile = join(folder, 'replay.db');
  const redactedFile = join(folder, 'replay-redacted.db');
  const exact = wrapStore(openSqlite(exactFile), layers);
  const redacted = wrapStore(openSqlite(redactedFile), [redaction, ...layers]);
  let inline = 0;
  let different = 0;
  let differentRedacted = 0;
  const advance = progress(recordings.length);
  const start = performance.now();
  for (const [index, { id, items: recorded }] of recordings.entries()) {
    const session = exact.session(id);
    for (const turn of turnsOf(recorded)) await session.addItems(turn);
    if (!isDeepStrictEqual(await session.getItems(), recorded)) different++;

    const careful = redacted.session(id);
    for (const turn of turnsOf(recorded)) await careful.addItems(turn);
    const expected = careful.prepareHistoryItemsForPersistenceComparison?.(recorded) ?? recorded;
    if (!isDeepStrictEqual(await careful.getItems(), expected)) differentRedacted++;

    const foreign = new MemorySession({ sessionId: id });
    await wrapSession(foreign, layers.toSpliced(1, 1)).addItems(recorded);
    for (const item of await foreign.getItems()) inline += Buffer.byteLength(JSON.stringify(item));
    advance(index + 1);
  }
  const took = performance.now() - start;
  await exact.close();
  await redacted.close();

  check(
    different === 0,
    `${recordings.length - different} of ${recordings.length} came back equal, item for item`,
  );
  check(
    differentRedacted === 0,
    `${recordings.length - differentRedacted} of ${recordings.length} came back equal apart from what was redacted`,
  );
  const onDisk = statSync(exactFile).size;
  row('SQLite file', `${bytes(onDisk)}: ${(onDisk / json).toFixed(2)} times the JSON`);
  check(onDisk <= MOST_ON_SQLITE * json, `at most ${MOST_ON_SQLITE} times the JSON on SQLite`);
  row('inline data keys', `${bytes(inline)}: ${(inline / json).toFixed(2)} times the JSON`);
  check(inline <= MOST_INLINE * json, `at most ${MOST_INLINE} times the JSON in a foreign session`);
  for (const [entity, count] of redactions) row(entity, `${count} redactions`);
  if (redactions.size === 0) note('Nothing was redacted.');
  const samples = items
    .map((item) => JSON.stringify(item).slice(40, 72))
    .filter((text) => text.length === 32);
  const content = readFileSync(exactFile);
  const readable = samples.filter((text) => content.includes(text)).length;
  check(readable === 0, `none of ${samples.length} pieces of 32 characters occurs in the file`);
  row('time', `${(took / 1_000).toFixed(1)} s for everything above, three stores and all comparisons`);
}

async function readRecordings(file: string, limit: number): Promise<Recording[]> {
  const recordings: Recording[] = [];
  // Not Node's own reader of lines: it also splits at characters that JSON leaves as they are.
  for await (const line of auditLines(file)) {
    if (line.trim() === '') continue;
    if (recordings.length >= limit) break;
    const recording = JSON.parse(line) as Partial<Recording>;
    if (typeof recording.id !== 'string' || !Array.isArray(recording.items)) {
      throw new Error(
        `${file}, conversation ${recordings.length + 1}: expected {"id": string, "items": array}.`,
      );
    }
    recordings.push(recording as Recording);
  }
  return recordings;
}

/** The items as the runner would have written them: a call of `addItems` for each message of the user. */
function turnsOf(items: readonly AgentInputItem[]): AgentInputItem[][] {
  const turns: AgentInputItem[][] = [];
  for (const item of items) {
    if (turns.length === 0 || ('role' in item && item.role === 'user')) turns.push([]);
    turns.at(-1)?.push(item);
  }
  return turns;
}
