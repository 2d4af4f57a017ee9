/** What an item of a run is recognized by after its state was deserialized, which makes other objects of it. */
export interface ItemNames {
  /** Type and ids: nothing of the conversation. */
  readonly ids: readonly string[];
  /** Texts, names and arguments. */
  readonly texts: readonly string[];
}

export function namesOfItem(item: unknown): ItemNames {
  const fields = recordOf(item);
  return {
    ids: [fields['type'], fields['callId'], fields['id']].map(textOf),
    texts: [
      ...[fields['role'], fields['name'], fields['arguments'], fields['output']].map(textOf),
      ...textsOf(fields['content']),
    ],
  };
}

function textsOf(content: unknown): string[] {
  if (!Array.isArray(content)) return [textOf(content)];
  return content.map((part) => {
    const { text, refusal, transcript } = recordOf(part);
    return textOf(text ?? refusal ?? transcript);
  });
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function recordOf(value: unknown): Record<string, unknown> {
  return Object(value) as Record<string, unknown>;
}
