import type { Header } from '../../layer.ts';
import { readHeader, envelopeText } from '../../protocol/envelope.ts';
import { isWithoutContent, lineageOf } from '../../derived-id.ts';
import { listed } from '../../operations/listed.ts';
import { MAINTENANCE } from '../../session-contract.ts';
import type { StoredRecord } from '../../stores/driver.ts';
import { decodeRecord } from '../../stores/record.ts';
import type { Store } from '../../stores/store.ts';
import { layersOfStore } from '../../wrap-store.ts';
import { counted, shown } from '../output.ts';
import type { Report } from './finding.ts';

/** Sessions that are looked into without `--all`. */
const SAMPLE = 200;

interface Found {
  sessions: number;
  records: number;
  damaged: Set<string>;
  plain: Set<string>;
  unstamped: Set<string>;
  vaults: Set<string>;
  endlessVaults: Set<string>;
  clearVaults: Set<string>;
  suites: Set<string>;
}

/** What is stored compared with what the layers would store: drift between the database and the configuration. */
export async function checkRecords(
  store: Store,
  all: boolean,
  signal: AbortSignal,
  report: Report,
): Promise<void> {
  const found = await lookInto(store, all, signal);
  if (found === undefined) return;
  const names = layersOfStore(store).map(({ name }) => name);
  const encrypts = names.includes('encrypt');
  if (found.damaged.size > 0) {
    report(
      'error',
      'drift.damaged',
      `${counted(found.damaged.size, 'session')} hold records that nobody can read, such as ${example(found.damaged)}.`,
      'Restore them from a backup, or delete the session. strongroom inspect shows which records they are.',
    );
  }
  if (encrypts && found.plain.size > 0) {
    report(
      'error',
      'drift.plain',
      `${counted(found.plain.size, 'session')} hold plain items although the configuration encrypts, such as ${example(found.plain)}: old ones, or inserted ones.`,
      'Look at them with strongroom inspect, then seal them with strongroom migrate.',
    );
  }
  if (names.includes('expire') && found.unstamped.size > 0) {
    report(
      'warning',
      'drift.unstamped',
      `${counted(found.unstamped.size, 'session')} hold items without an expiry although the configuration has expire(), such as ${example(found.unstamped)}. A purge by stamps alone keeps them.`,
      "Give retention a period, such as expired: '30d', which counts from the time of writing.",
    );
  }
  if (encrypts && found.suites.size > 1) {
    report(
      'note',
      'drift.suites',
      `The store holds items of several suites: ${[...found.suites].toSorted().join(', ')}.`,
      'Nothing: all of them are read. strongroom reencrypt seals them with the current one.',
    );
  }
  if (found.clearVaults.size > 0) {
    report(
      'error',
      'vault.plain',
      `${counted(found.clearVaults.size, 'vault')} hold the values of tokens in clear, such as ${example(found.clearVaults)}.`,
      'Wrap the vault session in encrypt(), see docs/redaction.md.',
    );
  }
  if (found.endlessVaults.size > 0) {
    report(
      'warning',
      'vault.endless',
      `${counted(found.endlessVaults.size, 'vault')} hold values that never expire, such as ${example(found.endlessVaults)}.`,
      'Add expire() to the layers, so that a value is deleted with the last item that holds its token.',
    );
  }
  const looked = `Looked into ${counted(found.records, 'record')} of ${counted(found.sessions, 'session')}`;
  if (!all && found.sessions >= SAMPLE) {
    report('note', 'sample', `${looked}, not into all of them.`, 'Add --all to look into every record.');
  }
}

async function lookInto(store: Store, all: boolean, signal: AbortSignal): Promise<Found | undefined> {
  const maintenance = store[MAINTENANCE];
  if (maintenance === undefined) return undefined;
  const found: Found = {
    sessions: 0,
    records: 0,
    damaged: new Set(),
    plain: new Set(),
    unstamped: new Set(),
    vaults: new Set(),
    endlessVaults: new Set(),
    clearVaults: new Set(),
    suites: new Set(),
  };
  for await (const { id } of listed(store, { derived: 'all' })) {
    signal.throwIfAborted();
    const kind = lineageOf(id)?.kind;
    if (isWithoutContent(kind)) continue;
    if (!all && found.sessions >= SAMPLE) break;
    found.sessions++;
    for (const record of await maintenance.records(id)) {
      found.records++;
      const header = headerOf(record, id);
      if (header === 'damaged') {
        found.damaged.add(id);
        continue;
      }
      const isSealed = header?.d !== undefined;
      if (isSealed) found.suites.add(header.s ?? '');
      if (kind === 'vault') {
        if (!isSealed) found.clearVaults.add(id);
        if (record.expiresAt === null) found.endlessVaults.add(id);
        continue;
      }
      if (!isSealed) found.plain.add(id);
      if (record.expiresAt === null) found.unstamped.add(id);
    }
  }
  return found;
}

/** `undefined` for a plain record. */
function headerOf(record: StoredRecord, id: string): Partial<Header> | 'damaged' | undefined {
  try {
    const text = envelopeText(decodeRecord(record, id));
    return text === undefined ? undefined : readHeader(text);
  } catch {
    return 'damaged';
  }
}

function example(ids: ReadonlySet<string>): string {
  return shown([...ids][0] ?? '');
}
