import type { AgentInputItem } from '@openai/agents';
import { fromBase64url, fromUtf8, le64, pae, toBase64url, utf8 } from '../crypto/encoding.ts';
import { sha256 } from '../crypto/hash.ts';
import { StrongroomError } from '../errors.ts';
import { isObject } from '../options.ts';
import type { Header } from '../layer.ts';
import { itemKey } from './item.ts';

/** The parts of one `sr1` envelope. */
export interface Envelope {
  readonly header: Header;
  /** The header exactly as it is stored: what the seal authenticates. */
  readonly headerSegment: string;
  /** Nonce, ciphertext and tag; the item's JSON in UTF-8 when the suite is `"none"`. */
  readonly body: Uint8Array;
  /** The data key as a compact JWE, when it is stored in the envelope. */
  readonly wrapped?: string;
}

const PREFIX = 'sr1.';
const FIXED_FIELDS: ReadonlySet<string> = new Set(['s', 'd', 't', 'e', 'g', 'o']);
const SUITES: readonly string[] = ['none', 'XC20P', 'XAES-256-GCM'];
const MAX_HEADER_BYTES = 1_024;
const MAX_HEADER_CHARACTERS = Math.ceil((MAX_HEADER_BYTES * 4) / 3);
/** Every suite has a 24-byte nonce and a 16-byte tag. */
const MIN_SEALED_BYTES = 40;
const MAX_WRAPPED_CHARACTERS = 16_384;
// Canonical base64url of 32 and 16 bytes: the unused low bits of the last character are zero.
const BYTES_32 = /^[\w-]{42}[AEIMQUYcgkosw048]$/;
const BYTES_16 = /^[\w-]{21}[AQgw]$/;
const COMPACT_JWE = /^[\w-]+(?:\.[\w-]*){4}$/;

/** Whether `text` claims to be an envelope. */
export function looksLikeEnvelope(text: string): boolean {
  return text.startsWith(PREFIX);
}

/**
 * The header as a segment of an envelope: its fields in the order of the format, extensions (`x-…`) last and
 * sorted.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION` when a field is unknown or has a value that the format does
 * not allow, or when the header has more than 1,024 bytes: layers write headers, so one of them is wrong.
 */
export function formatHeader(header: Header): string {
  const bytes = utf8(headerText(header, 'ERR_INVALID_OPTION'));
  if (bytes.length > MAX_HEADER_BYTES) {
    fail('ERR_INVALID_OPTION', `it has ${bytes.length} bytes, more than ${MAX_HEADER_BYTES}`);
  }
  return toBase64url(bytes);
}

/** The envelope's text. The parts are not checked: they come from {@link formatHeader} and a suite. */
export function formatEnvelope(headerSegment: string, body: Uint8Array, wrapped?: string): string {
  const text = `${PREFIX}${headerSegment}.${toBase64url(body)}`;
  return wrapped === undefined ? text : `${text}.${wrapped}`;
}

/**
 * The parts of an envelope's text. Strict: {@link formatHeader} and {@link formatEnvelope} reproduce every accepted
 * text character by character (the wrapped key is checked when it is unwrapped).
 *
 * @throws {@link StrongroomError} `ERR_MALFORMED` when the text breaks the format, `ERR_UNSUPPORTED` when it has a
 * suite or a critical field that this version does not know.
 */
export function parseEnvelope(text: string): Envelope {
  if (!looksLikeEnvelope(text)) malformed(`the envelope does not begin with "${PREFIX}"`);
  const headerEnd = text.indexOf('.', PREFIX.length);
  if (headerEnd < 0) malformed('the envelope has fewer than three segments');
  const headerSegment = text.slice(PREFIX.length, headerEnd);
  const header = parseHeader(headerSegment);
  const bodyEnd = text.indexOf('.', headerEnd + 1);
  const body = fromBase64url(text.slice(headerEnd + 1, bodyEnd < 0 ? undefined : bodyEnd));
  if (body === undefined) malformed('the body is not canonical base64url');
  if (header.s === 'none') {
    if (bodyEnd >= 0) malformed('an unsealed envelope has more than three segments');
    return { header, headerSegment, body };
  }
  if (body.length < MIN_SEALED_BYTES) malformed('the body is shorter than a nonce and a tag');
  if (bodyEnd < 0) return { header, headerSegment, body };
  const wrapped = text.slice(bodyEnd + 1);
  if (!isWrapped(wrapped)) malformed('the wrapped data key is not a compact JWE');
  return { header, headerSegment, body, wrapped };
}

function isWrapped(text: string): boolean {
  return text.length <= MAX_WRAPPED_CHARACTERS && COMPACT_JWE.test(text);
}

/** Whether these parts are of a sealed envelope, as {@link parseEnvelope} gives them; the header is a valid one. */
export function isSealed({ header, body, wrapped }: Envelope): boolean {
  return (
    header.s !== 'none' && body.length >= MIN_SEALED_BYTES && (wrapped === undefined || isWrapped(wrapped))
  );
}

/**
 * The header of an envelope without checking the rest, `undefined` when it has no valid one: for purges, which have
 * no keys, and to distinguish envelopes from text that begins like one.
 */
export function readHeader(text: string): Header | undefined {
  const headerEnd = text.indexOf('.', PREFIX.length);
  if (!looksLikeEnvelope(text) || headerEnd < 0) return undefined;
  try {
    return parseHeader(text.slice(PREFIX.length, headerEnd));
  } catch {
    return undefined;
  }
}

function parseHeader(segment: string): Header {
  const bytes = segment.length > MAX_HEADER_CHARACTERS ? undefined : fromBase64url(segment);
  if (bytes === undefined) malformed('the header is too long or not canonical base64url');
  let text: string;
  let header: unknown;
  try {
    text = fromUtf8(bytes);
    header = JSON.parse(text);
  } catch {
    // The parser's message quotes the text.
    malformed('the header is not JSON in UTF-8');
  }
  if (!isObject(header)) {
    malformed('the header is not an object');
  }
  // Comparing with the canonical text excludes every other order, space, escape, duplicate and number variant
  // without a parser of our own.
  if (headerText(header as Header, 'ERR_MALFORMED') !== text) {
    malformed('the header is not in its canonical form');
  }
  return header as Header;
}

/** The canonical JSON of a header. Called for every item, so it is built by hand for speed. */
function headerText(header: Header, code: 'ERR_INVALID_OPTION' | 'ERR_MALFORMED'): string {
  const { s, d, t, e, g, o } = header;
  if (typeof s !== 'string') fail(code, 'its field s is not a string');
  if (!SUITES.includes(s)) {
    throw new StrongroomError(
      'ERR_UNSUPPORTED',
      `This version of strongroom does not know the suite of this envelope. Known: ${SUITES.join(', ')}.`,
    );
  }
  let text = `{"s":"${s}"`;
  if (s === 'none') {
    if (d !== undefined) fail(code, 'its field d is only for sealed entries');
  } else {
    if (typeof d !== 'string' || !BYTES_32.test(d)) fail(code, 'its field d is not 32 bytes in base64url');
    if (t === undefined) fail(code, 'its field t is missing');
    text += `,"d":"${d}"`;
  }
  if (t !== undefined) text += `,"t":${time(code, 't', t)}`;
  if (e !== undefined) text += `,"e":${time(code, 'e', e)}`;
  if (g !== undefined) text += `,"g":${time(code, 'g', g)}`;
  if (o !== undefined) {
    if (typeof o !== 'string' || !BYTES_16.test(o)) fail(code, 'its field o is not 16 bytes in base64url');
    text += `,"o":"${o}"`;
  }
  let extensions: string[] | undefined;
  for (const field in header) {
    if (FIXED_FIELDS.has(field)) continue;
    if (!field.startsWith('x-')) {
      throw new StrongroomError(
        code === 'ERR_MALFORMED' ? 'ERR_UNSUPPORTED' : code,
        'The header of an entry has a critical field that this version of strongroom does not know. ' +
          'Update strongroom; fields of other layers begin with "x-".',
      );
    }
    (extensions ??= []).push(field);
  }
  for (const field of extensions?.sort() ?? []) {
    const value = header[field as `x-${string}`];
    if (value === undefined) continue;
    if (
      value !== null &&
      typeof value !== 'string' &&
      typeof value !== 'boolean' &&
      !Number.isFinite(value)
    ) {
      fail(code, 'an extension field is not a string, finite number, boolean or null');
    }
    text += `,${JSON.stringify(field)}:${JSON.stringify(value)}`;
  }
  return `${text}}`;
}

function time(code: 'ERR_INVALID_OPTION' | 'ERR_MALFORMED', field: string, value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    fail(code, `its field ${field} is not a time in whole Unix milliseconds`);
  }
  return value as number;
}

function fail(code: 'ERR_INVALID_OPTION' | 'ERR_MALFORMED', what: string): never {
  throw new StrongroomError(code, `The header of an entry is not valid: ${what}.`);
}

function malformed(what: string): never {
  throw new StrongroomError(
    'ERR_MALFORMED',
    `A stored record is not a valid sr1 envelope: ${what}. Restore the record, or handle it with onUndecryptable.`,
  );
}

/** The protocol item that carries an envelope: every session stores and returns this shape unchanged. */
export function carrierOf(envelope: string): AgentInputItem {
  return { type: 'message', role: 'user', content: [{ type: 'input_text', text: envelope }] };
}

/**
 * The envelope's text in a record of the carrier's shape, `undefined` for any other record. Ids and other fields
 * that a backend added are ignored. The argument may be anything that a session returned.
 */
export function envelopeText(record: AgentInputItem): string | undefined {
  const { type, role, content } = (record ?? {}) as { type?: unknown; role?: unknown; content?: unknown };
  if (type !== 'message' || role !== 'user' || !Array.isArray(content) || content.length !== 1) {
    return undefined;
  }
  const part = content[0] as { type?: unknown; text?: unknown } | null;
  if (typeof part !== 'object' || part?.type !== 'input_text' || typeof part.text !== 'string') {
    return undefined;
  }
  return looksLikeEnvelope(part.text) ? part.text : undefined;
}

/**
 * The envelope of an entry in a stack without a sealing layer: `s` becomes `"none"`, nothing is authenticated.
 *
 * @param json The item, as `encodeItem` gives it.
 */
export function sealClear(header: Header, json: string): string {
  return formatEnvelope(formatHeader({ ...header, s: 'none' }), utf8(json));
}

/**
 * The item's JSON in an unsealed envelope.
 *
 * @throws {@link StrongroomError} `ERR_MALFORMED` when the body is not UTF-8 or the envelope is a sealed one.
 */
export function openClear(envelope: Envelope): string {
  if (envelope.header.s !== 'none') malformed('it is sealed where an unsealed record is expected');
  try {
    return fromUtf8(envelope.body);
  } catch {
    return malformed('the body is not UTF-8');
  }
}

/** The tag `o` of an unsealed entry: 16 bytes, the same for the same operation and index. */
export function clearOperationTag(operationId: string, index: number): string {
  return toBase64url(sha256(pae('op', operationId, le64(index))).subarray(0, 16));
}

/** Equal for equal records: the envelope where there is one (backends add ids around it), else the whole item. */
export function recordKey(record: AgentInputItem): string {
  return envelopeText(record) ?? itemKey(record);
}
