import type { AgentInputItem } from '@openai/agents';
import { namesPersonalId, words, wordsOfKey } from './context.ts';
import { checkDepth, pathBelow, type Path } from './path.ts';

/** The location of a text in an item. */
export interface Place {
  readonly path: Path;
  readonly key?: string | undefined;
  readonly parentKey?: string | undefined;
  /** JSON text that must stay JSON text (tool arguments). */
  readonly strictJson?: true;
  /** Texts that share this are adjacent: a value can be split over them. */
  readonly run?: object;
}

/** The functions that a walk calls. Each returns the replacement. */
export interface Visitor {
  text(text: string, place: Place): string;
  /** A value that is not part of the protocol: arguments that are not text, of any shape. */
  data(value: unknown, place: Place): unknown;
  /** The fields beyond the protocol: `providerData` and fields that we do not know. */
  extra(value: unknown, place: Place): unknown;
}

/**
 * Fields that are never changed, anywhere in the protocol's own structure: ids, names, types and encrypted content.
 * Inside tool arguments and results these are ordinary keys.
 */
const PROTECTED: ReadonlySet<string> = new Set([
  'type',
  'role',
  'id',
  'callId',
  'call_id',
  'name',
  'namespace',
  'status',
  'phase',
  'caller',
  'execution',
  'promptCacheBreakpoint',
  'detail',
  'format',
  'mediaType',
  'media_type',
  'mime_type',
  'image',
  'image_url',
  'audio',
  'data',
  'outcome',
  'button',
  'keys',
  'fingerprint',
  'signature',
  'thoughtSignature',
  'thought_signature',
  'encrypted_content',
  'encryptedContent',
  'redactedData',
  'redacted_data',
  'created_by',
  'createdBy',
  'server_label',
  'serverLabel',
  'approve',
  'model',
  'itemId',
  'responseId',
  'response_id',
  'container_id',
  'containerId',
  'approval_request_id',
  'approvalRequestId',
  'file_id',
  'fileId',
  'fileID',
]);

/** In `providerData`: its shape is the provider's, so only ids, links and encrypted content are not changed. */
const PROTECTED_EXTRA: ReadonlySet<string> = words(
  'type role status fingerprint callid approve signature serverlabel redacteddata encryptedcontent thoughtsignature',
);
/** The same of a key by one of its words: `response_id`, `tool_call_ids`, `encrypted_content`, `thoughtSignature`. */
const PROTECTING_WORDS: ReadonlySet<string> = words('encrypted signature signatures');
const ID_ENDINGS: ReadonlySet<string> = words('id ids');
/** Not even a plain id: an address is one in `email_id`. */
const CONTACT_WORDS: ReadonlySet<string> = words('email mail phone mobile msisdn apple contact');

/** The item types of the protocol (0.20.0). Of others nothing is known, not even which fields are ids. */
const KNOWN_TYPES: ReadonlySet<string> = words(
  'message function_call function_call_result hosted_tool_call reasoning compaction computer_call computer_call_result shell_call ' +
    'shell_call_output apply_patch_call apply_patch_call_output program program_output tool_search_call tool_search_output',
);

/** More of the same, by item type: code belongs to its fingerprint, tool definitions are replayed losslessly. */
const PROTECTED_IN: Readonly<Record<string, readonly string[]>> = {
  program: ['code'],
  tool_search_output: ['tools', 'toolSearchAgentName', 'toolSearchMcpToolNames'],
  tool_search_call: ['toolSearchAgentName'],
};

/** Fields of the protocol that hold arrays of parts, each with a text that may continue in the next. */
const PART_LISTS: ReadonlySet<string> = new Set(['content', 'rawContent', 'output']);

/**
 * Calls the visitor for every text of an item, in a fixed order, and returns the item with what the visitor
 * returned: the item itself when nothing changed. Unknown fields are walked too, so that a new item type leaks
 * nothing (protocol of `@openai/agents` 0.20.0; `session-contract`, 4.4).
 */
export function walkItem(item: AgentInputItem, visitor: Visitor): AgentInputItem {
  const type = itemType(item);
  if (type === 'compaction') return item;
  if (!KNOWN_TYPES.has(type)) return walkUnknown(item, visitor);
  return mapObject(item, (value, key) => {
    if (!mayHoldText(value) || isProtected(type, key, value)) return value;
    const place: Place = { path: pathBelow(undefined, key), key };
    if (key === 'providerData') return visitor.extra(value, place);
    return walkField(type, value, place, visitor);
  }) as AgentInputItem;
}

/** Of an item that the protocol does not know every field is beyond it, as in `providerData`. */
function walkUnknown(item: AgentInputItem, visitor: Visitor): AgentInputItem {
  return mapObject(item, (value, key) =>
    isProtectedExtra(key, value) ? value : visitor.extra(value, { path: pathBelow(undefined, key), key }),
  ) as AgentInputItem;
}

/** `message` is the type of an item without one. */
export function itemType(item: AgentInputItem): string {
  return (item as { type?: string }).type ?? 'message';
}

/** Whether the protocol says that this field of its structure is never edited. An object under such a name is walked. */
function isProtected(type: string, key: string, value: unknown): boolean {
  return (PROTECTED.has(key) && isPlain(value)) || (PROTECTED_IN[type]?.includes(key) ?? false);
}

/**
 * The same for a key inside `providerData`, by whole words (`paid` and `covid` are none), and for a value of the
 * right type: a text, a number or a list of these. An object under such a key is walked.
 */
export function isProtectedExtra(key: string, value: unknown): boolean {
  if (key.length > 64 || !isPlain(value)) return false;
  const parts = wordsOfKey(key);
  if (PROTECTED_EXTRA.has(parts.join(''))) return true;
  if (parts.some((word) => PROTECTING_WORDS.has(word))) return true;
  if (!ID_ENDINGS.has(parts[parts.length - 1] ?? '')) return false;
  return !namesPersonalId(parts) && !parts.some((word) => CONTACT_WORDS.has(word));
}

/** No object, in lists neither. */
function isPlain(value: unknown): boolean {
  if (Array.isArray(value)) return value.every((element) => typeof element !== 'object' || element === null);
  return typeof value !== 'object' || value === null || value instanceof Uint8Array;
}

/** Numbers, booleans and `null` are not changed, so their location does not matter. */
function mayHoldText(value: unknown): boolean {
  return typeof value === 'string' || (typeof value === 'object' && value !== null);
}

function walkField(type: string, value: unknown, place: Place, visitor: Visitor): unknown {
  if (typeof value === 'string') {
    const { key } = place;
    return visitor.text(value, key === 'arguments' ? { ...place, strictJson: true } : place);
  }
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  if (place.key === 'arguments') return visitor.data(value, place);
  checkDepth(place.path);
  if (Array.isArray(value)) {
    const isParts = place.key !== undefined && PART_LISTS.has(place.key);
    let run: object | undefined;
    return mapArray(value, (element, index) => {
      const at: Place = { path: pathBelow(place.path, index), key: place.key, parentKey: place.parentKey };
      if (!isParts || !hasText(element)) {
        run = undefined;
        return walkField(type, element, at, visitor);
      }
      if (hasText(value[index + 1])) run ??= {};
      return walkPart(type, element, at, visitor, run);
    });
  }
  return walkPart(type, value as Record<string, unknown>, place, visitor);
}

function hasText(part: unknown): part is Record<string, unknown> {
  return typeof part === 'object' && part !== null && typeof (part as { text?: unknown }).text === 'string';
}

/** A part of content, an action, an operation, an output. */
function walkPart(
  type: string,
  part: Record<string, unknown>,
  place: Place,
  visitor: Visitor,
  run?: object,
): unknown {
  let textChanged = false;
  const walked = mapObject(part, (value, key) => {
    if (!mayHoldText(value)) return value;
    if (key === 'file') return walkFile(value, below(place, key), visitor);
    if (isProtected(type, key, value)) return value;
    const here = below(place, key);
    const at: Place = key === 'text' && run !== undefined ? { ...here, run } : here;
    if (key === 'providerData') return visitor.extra(value, at);
    const next = walkField(type, value, at, visitor);
    textChanged ||= key === 'text' && next !== value;
    return next;
  }) as Record<string, unknown>;
  return textChanged ? withoutEchoes(walked) : walked;
}

/** Token probabilities repeat the text token by token: they are dropped when the text changes. */
function withoutEchoes(part: Record<string, unknown>): Record<string, unknown> {
  const { providerData } = part;
  if (typeof providerData !== 'object' || providerData === null || !('logprobs' in providerData)) return part;
  const { logprobs: _, ...rest } = providerData as Record<string, unknown>;
  return { ...part, providerData: rest };
}

/** Only the name of a file is text; its content, address and id are not. */
function walkFile(value: unknown, place: Place, visitor: Visitor): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  return mapObject(value, (member, key) =>
    key === 'filename' && typeof member === 'string' ? visitor.text(member, below(place, key)) : member,
  );
}

function below(place: Place, segment: string): Place {
  return {
    path: pathBelow(place.path, segment),
    key: segment,
    parentKey: place.key,
  };
}

/** `value` itself when `map` changes nothing. */
export function mapArray(
  value: readonly unknown[],
  map: (element: unknown, index: number) => unknown,
): readonly unknown[] {
  let copy: unknown[] | undefined;
  for (let index = 0; index < value.length; index++) {
    const next = map(value[index], index);
    if (next !== value[index]) (copy ??= [...value])[index] = next;
  }
  return copy ?? value;
}

/** `value` itself when `map` changes nothing. */
function mapObject(value: object, map: (member: unknown, key: string) => unknown): object {
  let copy: Record<string, unknown> | undefined;
  for (const key of Object.keys(value)) {
    const member = (value as Record<string, unknown>)[key];
    if (member === undefined) continue;
    const next = map(member, key);
    if (next !== member) setOwn((copy ??= { ...value } as Record<string, unknown>), key, next);
  }
  return copy ?? value;
}

/** Assignment that also works for a key named `__proto__`. */
export function setOwn(target: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
}
