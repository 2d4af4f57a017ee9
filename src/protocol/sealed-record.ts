import type { AgentInputItem } from '@openai/agents';
import type { KeyRow } from '../keys/data-keys/types.ts';
import type { SessionCall, SessionLayer } from '../layer.ts';
import { formatEnvelope, recordKey, type Envelope } from './envelope.ts';
import { recordOrigin, withOrigin } from './record-origin.ts';

/**
 * A carrier without its text: its header and its body, as they came from a database or go there. Only between a
 * session of our stores, the engine and layers of ours, in calls that {@link TAKES_PARTS} marks; all other code
 * gets the carrier itself. Read as an item, it has the members of the carrier. See decision 66.
 */
export class SealedRecord {
  readonly parts: Envelope;
  /** Of its data key, while no database has it. */
  readonly row: KeyRow | undefined;

  constructor(parts: Envelope, row: KeyRow | undefined) {
    this.parts = parts;
    this.row = row;
  }

  get type(): 'message' {
    return 'message';
  }

  get role(): 'user' {
    return 'user';
  }

  get content(): { type: 'input_text'; text: string }[] {
    const { headerSegment, body, wrapped } = this.parts;
    return [{ type: 'input_text', text: formatEnvelope(headerSegment, body, wrapped) }];
  }

  toJSON(): AgentInputItem {
    const { type, role, content } = this;
    return { type, role, content };
  }
}

export function sealedRecord(parts: Envelope, row?: KeyRow): AgentInputItem {
  return new SealedRecord(parts, row);
}

/** The row that has to go to the database with these records, of one write: all are sealed under one key. */
export function rowOf(records: readonly AgentInputItem[]): KeyRow | undefined {
  const [first] = records;
  return first instanceof SealedRecord && first.row?.state !== 'stored' ? first.row : undefined;
}

/** The parts of a record without its text, `undefined` for any other. */
export function partsOf(record: AgentInputItem): Envelope | undefined {
  return record instanceof SealedRecord ? record.parts : undefined;
}

/** The record as a plain carrier, for code outside of this package. */
export function plainRecord(record: AgentInputItem): AgentInputItem {
  return record instanceof SealedRecord ? withOrigin(record.toJSON(), recordOrigin(record)) : record;
}

/** The length of {@link recordKey}, without making the key. */
export function recordLength(record: AgentInputItem): number {
  const parts = partsOf(record);
  if (parts === undefined) return recordKey(record).length;
  const { headerSegment, body, wrapped } = parts;
  const length = 'sr1.'.length + headerSegment.length + 1 + Math.ceil((body.length * 4) / 3);
  return wrapped === undefined ? length : length + 1 + wrapped.length;
}

/** Marks the calls in which the sealing layer may write, and reads, a {@link SealedRecord}. */
export const TAKES_PARTS: unique symbol = Symbol('strongroom.takesParts');

export function takesParts(call: SessionCall): boolean {
  return (call as { readonly [TAKES_PARTS]?: boolean })[TAKES_PARTS] === true;
}

/** Layers that read records through the functions of `protocol` only, and their original hooks. */
const layers = new WeakMap<SessionLayer, SessionLayer>();

export function withParts<L extends SessionLayer>(layer: L): L {
  layers.set(layer, { ...layer });
  return layer;
}

/** Whether this package made the layer, and nobody replaced how it reads and writes. */
export function isOwnLayer(layer: SessionLayer): boolean {
  const made = layers.get(layer);
  return made !== undefined && made.write === layer.write && made.read === layer.read;
}

/** Whether none of these layers reads records as items. */
export function allTakeParts(list: readonly SessionLayer[]): boolean {
  return list.every((layer) => SEEING.every((hook) => layer[hook] === layers.get(layer)?.[hook]));
}

/** Hooks that get entries with their records in these calls. */
const SEEING = ['read', 'load', 'inspect', 'mutation', 'opensBy', 'stillOpens'] as const;
