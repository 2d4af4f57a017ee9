import type * as agents from '@openai/agents';
import { errorName } from '../../error-name.ts';
import type { SessionCall } from '../../layer.ts';
import type { Described } from './described.ts';

type Sdk = Pick<typeof agents, 'getCurrentTrace' | 'withCustomSpan'>;

/**
 * Makes the call inside a custom span of the SDK, when a trace of the SDK is active. The span never sees an error: the
 * SDK would copy its message. `failed` gets failures of tracing, none of which fails the call.
 *
 * @see https://openai.github.io/openai-agents-js/guides/tracing/
 */
export async function inAgentsSpan<T>(
  { getCurrentTrace, withCustomSpan }: Sdk,
  call: SessionCall,
  described: Described,
  work: () => Promise<T>,
  failed: (error: unknown) => void,
): Promise<T> {
  let running: Promise<T> | undefined;
  const once = (): Promise<T> => (running ??= work());
  try {
    if (getCurrentTrace() !== null) {
      const data: Record<string, unknown> = { ...described };
      const spanData: agents.CustomSpanData = { type: 'custom', name: `session ${call.kind}`, data };
      await withCustomSpan(
        async (span) => {
          try {
            await once();
            if (call.result.items !== undefined) data['strongroom.items.out'] = call.result.items;
          } catch (error) {
            span.setError({ message: errorName(error) ?? '_OTHER' });
          }
        },
        { data: spanData },
      );
    }
  } catch (error) {
    failed(error);
  }
  return once();
}
