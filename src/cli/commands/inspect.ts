import { defined } from '../../defined.ts';
import { page } from '../../history/page.ts';
import type { Header } from '../../layer.ts';
import { asCall } from '../../operations/as-call.ts';
import { envelopeText, parseEnvelope } from '../../protocol/envelope.ts';
import { encodeItem } from '../../protocol/item.ts';
import { MAINTENANCE } from '../../session-contract.ts';
import type { StoredRecord } from '../../stores/driver.ts';
import { decodeRecord } from '../../stores/record.ts';
import type { Context, Define } from '../command.ts';
import { CommandError } from '../exit-codes.ts';
import { counted, shown, shownTime } from '../output.ts';
import { hintNoRecords, sessionOf } from '../targets.ts';
import { wrappingKeysOf } from '../wrapping-keys.ts';

interface InspectFlags {
  readonly items?: true;
  readonly last: string;
}

export function registerInspect(define: Define): void {
  define(
    'inspect',
    'show the headers of the records of a session, which needs no key; with --items their content',
    async (context, id: string, { items, last }: InspectFlags) => {
      if (!/^[1-9]\d{0,8}$/.test(last))
        throw new CommandError('USAGE', '--last must be a whole number from 1.');
      await (items === true ? showItems(context, id, Number(last)) : showHeaders(context, id, Number(last)));
    },
  )
    .argument('<session>')
    .option('--items', 'the content of the items, through the layers: needs the keys')
    .option('--last <count>', 'only so many of the newest', '50');
}

async function showItems({ output, origin, open }: Context, id: string, last: number): Promise<void> {
  const { store } = await open();
  const { items, details } = await page(sessionOf(store, id), { limit: last, ...origin });
  if (items.length === 0) hintNoRecords(output, id);
  items.forEach((item, index) => {
    const { at, agent } = details[index] ?? {};
    const json = encodeItem(item);
    const from = agent === undefined ? '' : ` ${shown(agent)}`;
    output.line(
      'item',
      defined({ at, agent, item: JSON.parse(json) as unknown }),
      `${shownTime(at)}${from}  ${shown(json)}`,
    );
  });
}

async function showHeaders({ output, origin, open }: Context, id: string, last: number): Promise<void> {
  const { store } = await open({ keyless: true });
  const maintenance = store[MAINTENANCE];
  if (maintenance === undefined) {
    throw new CommandError(
      'USAGE',
      'inspect: the store of the configuration is not one of strongroom. Use --items.',
    );
  }
  const records = await asCall(sessionOf(store, id), 'checkKeys', origin, async () =>
    maintenance.records(id),
  );
  const first = Math.max(records.length - last, 0);
  const wanted = records.slice(first);
  const kidOf = await wrappingKeysOf(store, id, wanted);
  for (const [offset, record] of wanted.entries()) {
    const members = describe(record, first + offset, id, kidOf);
    const { index, kind, bytes, writtenAt, expiresAt, kid } = members;
    const expiry = expiresAt === undefined ? '' : ` · expires ${shownTime(expiresAt)}`;
    const key = kid === undefined ? '' : ` · key ${shown(kid)}`;
    output.line(
      'record',
      members,
      `${index}  ${kind} · ${counted(bytes, 'byte')} · ${shownTime(writtenAt)}${expiry}${key}`,
    );
  }
  output.line('sum', { records: records.length }, `${counted(records.length, 'record')}.`);
  if (records.length === 0) hintNoRecords(output, id);
}

interface Described {
  readonly index: number;
  readonly kind: 'sealed' | 'unsealed' | 'plain' | 'damaged';
  readonly bytes: number;
  readonly writtenAt: number;
  readonly expiresAt?: number;
  /** The key that wraps its data key. */
  readonly kid?: string;
  /** The header as it is stored. */
  readonly header?: Header;
}

function describe(
  record: StoredRecord,
  index: number,
  sessionId: string,
  kidOf: (record: StoredRecord) => string | undefined,
): Described {
  const { body, writtenAt, expiresAt } = record;
  const bytes = typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength;
  const of = { index, bytes, writtenAt, expiresAt: expiresAt ?? undefined };
  try {
    const text = envelopeText(decodeRecord(record, sessionId));
    if (text === undefined) return defined({ kind: 'plain' as const, ...of });
    const { header } = parseEnvelope(text);
    const kind = header.d === undefined ? ('unsealed' as const) : ('sealed' as const);
    return defined({ kind, ...of, kid: kidOf(record), header });
  } catch {
    return defined({ kind: 'damaged' as const, ...of });
  }
}
