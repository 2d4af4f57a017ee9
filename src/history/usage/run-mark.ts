import { digestOf } from '../../protocol/digest.ts';
import { namesOfItem } from './item-names.ts';
import { restoredOf, type RunWithUsage, type UsedResponse } from './run.ts';
import { addTokens, NO_TOKENS, tokensOf, type TokenUsage } from './tokens.ts';

/** What a record keeps of its run, to recognize it when it is resumed from its serialized state. */
export interface RunMark {
  /** The responses that are counted. */
  readonly responses: number;
  /** Of these responses: ids and usage, and a checksum of what they say. */
  readonly hash: string;
  /** A checksum of what the run was asked; `''` when it is unknown. */
  readonly input: string;
  /** The usage of the run context then, with that of others. */
  readonly seen: TokenUsage;
}

/** How much of a run was counted before: a resumed run contains the earlier responses, too. */
export interface Counted {
  readonly responses: number;
  readonly total: TokenUsage;
}

/** The part of a record that this file reads. */
interface Marked {
  /** Absent in records of earlier versions. */
  readonly run?: RunMark | undefined;
  readonly response: string | undefined;
}

/**
 * 18 bits tell runs of one conversation apart that are alike in all else. A whole hash would let a reader of the
 * ledger confirm a guess of a text, which redaction may have taken out of the conversation.
 */
const CHECKSUM_CHARACTERS = 3;

/** The marks of a run after each of its responses. */
export function marksOf(result: RunWithUsage): readonly RunMark[] {
  const input = inputChecksum(result.input);
  const seen = tokensOf(result.state.usage);
  let [ids, texts] = ['', ''];
  return (result.rawResponses ?? []).map((response, index) => {
    const names = response.output.map(namesOfItem);
    const { requests, inputTokens, outputTokens, totalTokens } = tokensOf(response.usage);
    ids = digestOf(
      JSON.stringify([
        ids,
        response.responseId ?? '',
        [requests, inputTokens, outputTokens, totalTokens],
        names.map((name) => name.ids),
      ]),
    );
    texts = digestOf(JSON.stringify([texts, names.map((name) => name.texts)]));
    return { responses: index + 1, hash: `${ids}.${texts.slice(0, CHECKSUM_CHARACTERS)}`, input, seen };
  });
}

/** The length of the input is that of the history with a session, so it differs from turn to turn. */
function inputChecksum(input: unknown): string {
  if (typeof input !== 'string' && !Array.isArray(input)) return '';
  const items: readonly unknown[] = typeof input === 'string' ? [{ content: input }] : input;
  return digestOf(JSON.stringify([items.length, namesOfItem(items.at(-1)).texts])).slice(
    0,
    CHECKSUM_CHARACTERS,
  );
}

/**
 * Whether records of a ledger can be of this run although this process has not recorded it: the run was resumed from
 * its serialized state. A run of which the items are unknown is one when its provider gives ids.
 */
export function mayBeCounted(result: RunWithUsage): boolean {
  return searchable(result) > 0;
}

/** How many responses, from the first one, another process may have counted. */
function searchable(result: RunWithUsage): number {
  const { rawResponses = [] } = result;
  const withoutId = rawResponses.findIndex(({ responseId }) => responseId === undefined);
  return restoredOf(result) ?? (withoutId < 0 ? rawResponses.length : withoutId);
}

/**
 * How much of a resumed run the records count.
 *
 * @param records The last ones of the ledger, in order.
 * @param isOnlyAnswers Whether the usage of the run is that of its responses alone.
 */
export function countedBefore(
  records: readonly Marked[],
  result: RunWithUsage,
  marks: readonly RunMark[],
  isOnlyAnswers: boolean,
): Counted | undefined {
  const most = searchable(result);
  const { rawResponses = [] } = result;
  const found = records
    .flatMap(({ run }) => (run !== undefined && run.responses <= most ? [run] : []))
    .filter((run) => isOf(run, marks[run.responses - 1], result))
    .reduce<RunMark | undefined>(
      (best, run) => (run.responses >= (best?.responses ?? 0) ? run : best),
      undefined,
    );
  if (found !== undefined) {
    return { responses: found.responses, total: countedOf(result, found, isOnlyAnswers) };
  }
  const last = records.at(-1);
  if (last?.run !== undefined || last?.response === undefined) return undefined;
  const responses =
    rawResponses.slice(0, most).findLastIndex(({ responseId }) => responseId === last.response) + 1;
  return responses === 0 ? undefined : { responses, total: sumOfResponses(rawResponses.slice(0, responses)) };
}

function countedOf(
  { state, rawResponses = [] }: RunWithUsage,
  run: RunMark,
  isOnlyAnswers: boolean,
): TokenUsage {
  const [before, after] = [rawResponses.slice(0, run.responses), rawResponses.slice(run.responses)];
  if (isOnlyAnswers) return sumOfResponses(before);
  const isRestored = contains(tokensOf(state.usage), addTokens(run.seen, sumOfResponses(after)));
  // A state that was deserialized with a run context of the application has no usage of the time before.
  return isRestored ? run.seen : NO_TOKENS;
}

function isOf(run: RunMark, mark: RunMark | undefined, result: RunWithUsage): boolean {
  if (run.hash !== mark?.hash) return false;
  return run.input === '' || mark.input === '' || run.input === mark.input || mayHaveOtherInput(result);
}

/** The filter of a handoff may give a run another input. It may also take the handoff itself out of the items. */
function mayHaveOtherInput({ newItems = [], rawResponses = [] }: RunWithUsage): boolean {
  const items = newItems as readonly { readonly type?: unknown; readonly rawItem?: unknown }[];
  if (items.some(({ type }) => type === 'handoff_output_item')) return true;
  const kept = new Set(items.map(({ rawItem }) => JSON.stringify(namesOfItem(rawItem))));
  return rawResponses.some(({ output }) =>
    output.some((item) => !kept.has(JSON.stringify(namesOfItem(item)))),
  );
}

function contains(usage: TokenUsage, part: TokenUsage): boolean {
  return (
    usage.requests >= part.requests &&
    usage.inputTokens >= part.inputTokens &&
    usage.outputTokens >= part.outputTokens
  );
}

export function sumOfResponses(responses: readonly UsedResponse[]): TokenUsage {
  return responses.reduce<TokenUsage>((sum, { usage }) => addTokens(sum, tokensOf(usage)), NO_TOKENS);
}
